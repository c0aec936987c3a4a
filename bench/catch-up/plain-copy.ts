// The limit that catching up is held against: as many bytes through one stream of the mesh, to a process that does nothing with them.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { realClock } from '../../src/base/clock.ts'
import { type MeshId } from '../../src/base/ids.ts'
import { silentLog } from '../../src/base/log.ts'
import { realRandom } from '../../src/base/random.ts'
import { identityOf } from '../../src/mesh/identity.ts'
import { type ByteStream, type Membership, type Mesh } from '../../src/mesh/mesh.ts'
import { startMesh } from '../../src/mesh/start-mesh.ts'
import { pause } from '../../test/lab/wait-for.ts'

type Peer = Membership['members'][number]

export const COPY_STREAM = 'bench.copy'
/** As a snapshot's. */
const CHUNK_BYTES = 256 * 1024
const DEADLINE_MS = 20_000

/** Milliseconds until the other end says that it has all `bytes`. */
export async function plainCopyMs(bytes: number): Promise<number> {
  const mesh = await copyMesh()
  const child = fork(join(import.meta.dirname, 'copy-peer.ts'), [mesh.self, mesh.ownAddresses()[0] ?? ''], { execArgv: [] })
  try {
    const [hello] = await once(child, 'message')
    const peer = hello as Peer
    introduce(mesh, peer)
    const stream = await opened(mesh, peer, bytes)
    const from = performance.now()
    const ended = new Promise<void>((resolve) => stream.onClose(() => resolve()))
    stream.onData(() => {})
    const chunk = Buffer.alloc(CHUNK_BYTES, 7)
    for (let left = bytes; left > 0; left -= CHUNK_BYTES) await stream.write(chunk.subarray(0, Math.min(left, CHUNK_BYTES)))
    await ended
    return performance.now() - from
  } finally {
    child.kill('SIGKILL')
    await mesh.stop()
  }
}

export async function copyMesh(): Promise<Mesh> {
  return startMesh({
    identity: await identityOf(realRandom.bytes(32)),
    listen: ['127.0.0.1:0'],
    networks: [],
    dataDir: '/dev/null/none',
    bootId: `copy-${process.pid}`,
    version: '0',
    topics: [],
    clock: realClock,
    random: realRandom,
    log: silentLog,
  })
}

export function introduce(mesh: Mesh, peer: Peer): void {
  mesh.setMembers({
    meshId: 'm000000000000002' as MeshId,
    generation: 1,
    members: [{ host: mesh.self, addresses: mesh.ownAddresses() }, peer],
  })
}

async function opened(mesh: Mesh, peer: Peer, bytes: number): Promise<ByteStream> {
  for (const until = performance.now() + DEADLINE_MS; ;) {
    if (mesh.peers().some(({ host, link }) => host === peer.host && link === 'up')) {
      return mesh.openStream(peer.host, COPY_STREAM, bytes, { deadlineMs: DEADLINE_MS })
    }
    if (performance.now() > until) throw new Error('the far end of the plain copy does not come up')
    await pause(5)
  }
}
