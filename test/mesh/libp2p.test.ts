// What only the real transport can get wrong: strangers with their own libp2p, names, ports, raw bytes, processes that die.
import { type ChildProcess, fork } from 'node:child_process'
import dns from 'node:dns'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Libp2p } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { type HostId, type MeshId, type TokenId } from '../../src/base/ids.ts'
import { realRandom } from '../../src/base/random.ts'
import { parseAddress, toMultiaddr } from '../../src/mesh/address.ts'
import { type Mesh } from '../../src/mesh/mesh.ts'
import { createToken } from '../../src/mesh/token.ts'
import { STREAM_KINDS } from '../../src/mesh/wire.ts'
import { newIdentity, startRealHost } from '../fixture/real-hosts.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { waitFor } from '../lab/wait-for.ts'

const MESH = 'm000000000000001' as MeshId

describe("a stranger's own libp2p node", () => {
  it('is cut off while no join is open, and gets no stream of any protocol', async () => {
    const host = await startRealHost()
    const alarms: unknown[] = []
    host.onAlarm((alarm) => alarms.push(alarm))
    introduce([host])
    const stranger = await plainNode()
    for (const protocol of PROTOCOLS) expect(await conversation(stranger, host, protocol)).not.toBe('an answer')
    await waitFor('it is cut off', () => stranger.getConnections().length === 0)
    expect(alarms).toEqual([expect.objectContaining({ kind: 'refused', host: stranger.peerId.toString() })])
  })

  it('gets an answer to the join protocol alone while a join is open', async () => {
    const host = await startRealHost()
    introduce([host])
    host.handleJoin(async () => 'never')
    host.setJoinOpen(true)
    const stranger = await plainNode()
    const answered: string[] = []
    for (const protocol of PROTOCOLS) if ((await conversation(stranger, host, protocol)) === 'an answer') answered.push(protocol)
    expect(answered).toEqual(['/hostmesh/join/1'])
  })
})

describe('names', () => {
  it('are never looked up: not to listen, link, ask, gossip or join', async () => {
    const lookUp = vi.spyOn(dns, 'lookup')
    const resolve = vi.spyOn(dns.promises, 'resolve')
    onTestFinished(() => {
      lookUp.mockRestore()
      resolve.mockRestore()
    })
    const [a, b] = [await startRealHost(), await startRealHost({ listen: '[::1]:0' })]
    introduce([a, b])
    await linked([a, b])
    b.handle('echo', async (body) => body)
    await a.request(b.self, 'echo', 1, { deadlineMs: 5000 })
    a.publish('load', 1)
    const joiner = await startRealHost()
    a.handleJoin(async () => 'in')
    a.setJoinOpen(true)
    await joiner.join(tokenOf(a), { addresses: [], facts: null }, { deadlineMs: 5000 })
    const isIp = (name: unknown): boolean => /^[\d.]+$|:/.test(String(name))
    expect(lookUp.mock.calls.filter(([name]) => !isIp(name))).toEqual([])
    expect(resolve).not.toHaveBeenCalled()
  })

  it('are refused where an address is wanted, with a clear error', async () => {
    await expect(startRealHost({ listen: 'localhost:0' })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('localhost'),
    })
    const host = await startRealHost()
    const other = (await newIdentity()).hostId
    host.setMembers({ meshId: MESH, generation: 1, members: [{ host: other, addresses: ['h2.lan:7400'] }] })
    await waitFor('the reason', () => host.peers()[0]?.cause?.includes('resolves no names'))
  })
})

describe('listening', () => {
  it('on a port that is taken is a conflict', async () => {
    const host = await startRealHost()
    const listen = present(host.ownAddresses()[0], 'its address')
    await expect(startRealHost({ listen })).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(listen) })
  })

  it("on an address that is not this machine's fails and says which", async () => {
    await expect(startRealHost({ listen: '198.19.255.254:0' })).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining('198.19.255.254'),
    })
  })

  it('stops with the mesh: the port is free again, and stopping twice is harmless', async () => {
    const first = await startRealHost()
    const listen = present(first.ownAddresses()[0], 'its address')
    await first.stop()
    await first.stop()
    expect((await startRealHost({ listen })).ownAddresses()).toEqual([listen])
  })

  it('goes on while somebody holds silent connections and sends noise', async () => {
    const [a, b] = [await startRealHost(), await startRealHost()]
    const { ip, port } = parseAddress(present(a.ownAddresses()[0], 'its address'))
    const sockets = await Promise.all(Array.from({ length: 30 }, () => openSocket(ip, port)))
    for (const socket of sockets.slice(0, 10)) socket.write(Buffer.from(realRandom.bytes(5000)))
    introduce([a, b])
    await linked([a, b])
    expect(sockets.slice(10).filter(({ destroyed }) => !destroyed).length).toBeGreaterThan(0)
  })
})

it('a host that comes back under another IP is found again, though the membership still has the old one', async () => {
  const identity = await newIdentity()
  const [a, b] = [await startRealHost({ listen: '127.0.0.1:0' }), await startRealHost({ identity, listen: '127.0.0.2:0' })]
  introduce([a, b])
  await linked([a, b])
  const old = [a, b].map(member)
  await b.stop()
  await waitFor('a noticed', () => a.peers()[0]?.link === 'down')
  const moved = await startRealHost({ identity, listen: '127.0.0.9:0' })
  moved.setMembers({ meshId: MESH, generation: 1, members: old })
  await linked([a, moved])
  expect(a.peers()[0]?.address).toMatch(/^127\.0\.0\.\d+:\d+$/)
})

it('a host remembers on disk where its peers were', async () => {
  const [identity, dataDir] = [await newIdentity(), await temporaryDirectory()]
  const peer = await startRealHost()
  const first = await startRealHost({ identity, dataDir })
  introduce([first, peer])
  await linked([first, peer])
  await first.stop()
  await waitFor('the peer noticed', () => peer.peers()[0]?.link === 'down')
  peer.setMembers({ meshId: MESH, generation: 1, members: [peer, { self: first.self, ownAddresses: () => [] }].map(member) })
  const second = await startRealHost({ identity, dataDir })
  second.setMembers({ meshId: MESH, generation: 1, members: [{ host: peer.self, addresses: ['127.0.0.77:9'] }] })
  await linked([second])
})

it('a peer in a process of its own is down when it is stopped or killed, and linked again when it goes on or starts anew', async () => {
  const { host, peer, restart } = await withProcess()
  peer.kill('SIGSTOP')
  await waitFor('the stopped one is down, though its kernel answers', () => host.peers()[0]?.link === 'down')
  expect(host.peers()[0]?.cause).not.toBeNull()
  peer.kill('SIGCONT')
  await linked([host])
  peer.kill('SIGKILL')
  await waitFor('the killed one is down', () => host.peers()[0]?.link === 'down')
  await restart()
  await linked([host])
}, 60_000)

const PROTOCOLS = [
  ...STREAM_KINDS.map((kind) => `/hostmesh/${kind}/1`),
  '/meshsub/1.2.0',
  '/meshsub/1.1.0',
  '/ipfs/id/1.0.0',
  '/ipfs/ping/1.0.0',
  '/hostmesh/id/1.0.0',
]

/** A libp2p node that knows nothing of hostmesh. */
async function plainNode(): Promise<Libp2p> {
  const node = await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
  })
  onTestFinished(async () => node.stop())
  return node
}

/** What comes of opening a stream and sending two well-formed frames: a join's first message, then a beat. */
async function conversation(node: Libp2p, host: Mesh, protocol: string): Promise<'an answer' | 'refused' | 'ended'> {
  const target = multiaddr(toMultiaddr(parseAddress(present(host.ownAddresses()[0], 'its address')), host.self))
  const body = Buffer.from(JSON.stringify({ protocol: 1, meshId: MESH, tokenId: 't' }))
  const header = Buffer.alloc(5)
  header.writeUInt32BE(body.length)
  header[4] = 15
  try {
    const stream = await node.dialProtocol(target, protocol, { signal: AbortSignal.timeout(5000) })
    return await new Promise((resolve) => {
      stream.addEventListener('message', () => resolve('an answer'))
      stream.addEventListener('close', () => resolve('ended'))
      stream.send(Buffer.concat([header, body, Buffer.from([0, 0, 0, 0, 4])]))
    })
  } catch {
    return 'refused'
  }
}

async function withProcess(): Promise<{ host: Mesh; peer: ChildProcess; restart: () => Promise<void> }> {
  const host = await startRealHost()
  const seed = Buffer.from(realRandom.bytes(32)).toString('hex')
  const start = async (): Promise<{ child: ChildProcess; self: HostId; addresses: string[] }> => {
    const child = fork(join(import.meta.dirname, 'peer-process.ts'), [seed, host.self, host.ownAddresses().join()], {
      execArgv: [],
      env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'hostmesh-test-cache') },
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const hello = await new Promise<unknown>((resolve) => child.once('message', resolve))
    return { child, ...(hello as { self: HostId; addresses: string[] }) }
  }
  const { child, self, addresses } = await start()
  host.setMembers({ meshId: MESH, generation: 1, members: [{ host: self, addresses }] })
  await linked([host])
  return { host, peer: child, restart: () => start().then(() => {}) }
}

function openSocket(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port }, () => resolve(socket))
    socket.on('error', reject)
    onTestFinished(() => void socket.destroy())
  })
}

function introduce(meshes: readonly Mesh[]): void {
  for (const mesh of meshes) mesh.setMembers({ meshId: MESH, generation: 1, members: meshes.map(member) })
}

function member(mesh: Pick<Mesh, 'self' | 'ownAddresses'>): { host: HostId; addresses: readonly string[] } {
  return { host: mesh.self, addresses: mesh.ownAddresses() }
}

async function linked(meshes: readonly Mesh[]): Promise<void> {
  await waitFor(
    'all links are up',
    () => meshes.every((mesh) => mesh.peers().length > 0 && mesh.peers().every(({ link }) => link === 'up')),
    { limitMs: 15_000 },
  )
}

function tokenOf(inviter: Mesh): ReturnType<typeof createToken>['token'] {
  const inviters = [{ host: inviter.self, addresses: inviter.ownAddresses() }]
  return createToken({ meshId: MESH, tokenId: 't' as TokenId, role: 'host', expiresAt: 0, inviters }, realRandom).token
}
