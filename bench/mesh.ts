// What the mesh costs and how soon it notices: `node bench/mesh.ts`. Two hosts on loopback, the second in a process of its own for the deaths.
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { realClock } from '../src/base/clock.ts'
import { type HostId, type MeshId, type TokenId } from '../src/base/ids.ts'
import { silentLog } from '../src/base/log.ts'
import { realRandom } from '../src/base/random.ts'
import { type Identity } from '../src/mesh/identity.ts'
import { type Mesh } from '../src/mesh/mesh.ts'
import { scratchFolder } from '../test/fixture/scratch-folder.ts'

const MESH = 'm000000000000001' as MeshId
const scratch = scratchFolder('hostmesh-bench-')
const directory = scratch.path

const imports = await costOf(async () =>
  Promise.all([import('../src/mesh/start-mesh.ts'), import('../src/mesh/identity.ts'), import('../src/mesh/token.ts')]),
)
const [{ startMesh }, { identityOf, loadIdentity }, { createToken }] = imports.value
report('import of the mesh with libp2p', imports)

const identity = await costOf(() => loadIdentity(join(directory, 'identity.key'), realRandom))
report('new identity, on disk', identity)
const started = await costOf(() => start(identity.value))
report('startMesh to listening, first', started)
const second = await costOf(async () => start(await identityOf(realRandom.bytes(32))))
report('startMesh to listening, second', second)
const a = started.value
const b = second.value

await measureJoin()
introduce([a, b])
await up(a)
await up(b)
await measureRequests()
await measureFrames()
await measureLongFrame()
await measureIdle()
await measureDeaths('kill -9', 'SIGKILL')
await measureDeaths('SIGSTOP', 'SIGSTOP')
await Promise.all([a.stop(), b.stop()])
scratch.remove()
process.exit()

function start(of: Identity): Promise<Mesh> {
  return startMesh({
    identity: of,
    listen: ['127.0.0.1:0'],
    networks: [],
    dataDir: join(directory, of.hostId),
    bootId: of.hostId,
    version: '0',
    topics: ['load'],
    clock: realClock,
    random: realRandom,
    log: silentLog,
  })
}

async function measureJoin(): Promise<void> {
  introduce([a])
  a.handleJoin(async () => 'in')
  a.setJoinOpen(true)
  const inviters = [{ host: a.self, addresses: a.ownAddresses() }]
  const { token } = createToken({ meshId: MESH, tokenId: 't' as TokenId, role: 'host', expiresAt: 0, inviters }, realRandom)
  for (const which of ['first', 'second']) {
    report(
      `join, without the leader's commit, ${which}`,
      await costOf(() => b.join(token, { addresses: [], facts: null }, { deadlineMs: 5000 })),
    )
  }
  a.setJoinOpen(false)
}

async function measureRequests(): Promise<void> {
  b.handle('echo', async (body) => body)
  const times: number[] = []
  for (let turn = 0; turn < 500; turn += 1) {
    const from = performance.now()
    await a.request(b.self, 'echo', { turn }, { deadlineMs: 5000 })
    times.push(performance.now() - from)
  }
  console.log(`request and reply, one after the other: median ${percentile(times, 0.5)} ms, p99 ${percentile(times, 0.99)} ms`)
}

async function measureFrames(): Promise<void> {
  const frame = new Uint8Array(300)
  for (const perTurn of [1, 64]) {
    let got = 0
    const off = b.onFrame(() => (got += 1))
    const turns = perTurn === 1 ? 2000 : 300
    const cost = await costOf(async () => {
      for (let turn = 1; turn <= turns; turn += 1) {
        for (let count = 0; count < perTurn; count += 1) a.send(b.self, frame, 'urgent')
        while (got < turn * perTurn) await new Promise((resolve) => setImmediate(resolve))
      }
    })
    const each = (ms: number): string => ((ms * 1000) / (turns * perTurn)).toFixed(1)
    console.log(`frame of 300 bytes, ${perTurn} a turn: ${each(cost.cpuMs)} us CPU at both ends together, ${each(cost.ms)} us passed`)
    off()
  }
}

async function measureLongFrame(): Promise<void> {
  const done = new Promise<void>((resolve) => {
    const off = b.onFrame((_from, frame) => {
      if (frame.length < 1_000_000) return
      off()
      resolve()
    })
  })
  const cost = await costOf(async () => {
    a.send(b.self, new Uint8Array(64 * 1024 * 1024), 'bulk')
    await done
  })
  report('one frame of 64 MiB on the second connection', cost)
}

async function measureIdle(): Promise<void> {
  const cost = await costOf(() => new Promise((resolve) => setTimeout(resolve, 5000)))
  console.log(`two idle hosts with one link: ${(cost.cpuMs / 5 / 2).toFixed(1)} ms CPU a second each`)
}

/** Ten deaths: how long until the survivor says down. */
async function measureDeaths(what: string, signal: 'SIGKILL' | 'SIGSTOP'): Promise<void> {
  const times: number[] = []
  for (let round = 0; round < 10; round += 1) {
    const { peer, self, addresses } = await startPeer()
    a.setMembers({ meshId: MESH, generation: 1, members: [{ host: self, addresses }] })
    await up(a)
    await new Promise((resolve) => setTimeout(resolve, 300 + 25 * round))
    const down = new Promise<number>((resolve) =>
      a.onPeer(({ kind, host }) => kind === 'down' && host === self && resolve(performance.now())),
    )
    const from = performance.now()
    peer.kill(signal)
    times.push((await down) - from)
    peer.kill('SIGKILL')
  }
  console.log(
    `${what} of a peer until it is down: median ${percentile(times, 0.5)} ms, from ${percentile(times, 0)} to ${percentile(times, 1)} ms`,
  )
}

async function startPeer(): Promise<{ peer: ChildProcess; self: HostId; addresses: string[] }> {
  const seed = Buffer.from(realRandom.bytes(32)).toString('hex')
  const peer = fork(join(import.meta.dirname, '../test/mesh/peer-process.ts'), [seed, a.self, a.ownAddresses().join()], { execArgv: [] })
  const hello = await new Promise<unknown>((resolve) => peer.once('message', resolve))
  return { peer, ...(hello as { self: HostId; addresses: string[] }) }
}

function introduce(meshes: readonly Mesh[]): void {
  const members = meshes.map((mesh) => ({ host: mesh.self, addresses: mesh.ownAddresses() }))
  for (const mesh of meshes) mesh.setMembers({ meshId: MESH, generation: 1, members })
}

async function up(mesh: Mesh): Promise<void> {
  while (mesh.peers().some(({ link }) => link === 'down')) await new Promise((resolve) => setTimeout(resolve, 5))
}

interface Cost<T> {
  readonly value: T
  readonly ms: number
  readonly cpuMs: number
}

async function costOf<T>(run: () => Promise<T>): Promise<Cost<T>> {
  const [from, cpu] = [performance.now(), process.cpuUsage()]
  const value = await run()
  const { user, system } = process.cpuUsage(cpu)
  return { value, ms: performance.now() - from, cpuMs: (user + system) / 1000 }
}

function report(what: string, { ms, cpuMs }: Cost<unknown>): void {
  console.log(`${what}: ${ms.toFixed(0)} ms, ${cpuMs.toFixed(0)} ms CPU`)
}

function percentile(times: readonly number[], share: number): string {
  const sorted = times.toSorted((one, other) => one - other)
  return (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0).toFixed(1)
}
