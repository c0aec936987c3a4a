// A host in a process of its own, for tests that kill it. Arguments: seed of its key (hex), its one peer, that peer's addresses.
import { realClock } from '../../src/base/clock.ts'
import { type HostId, type MeshId } from '../../src/base/ids.ts'
import { silentLog } from '../../src/base/log.ts'
import { realRandom } from '../../src/base/random.ts'
import { identityOf } from '../../src/mesh/identity.ts'
import { startMesh } from '../../src/mesh/start-mesh.ts'

const [seed = '', peer = '', addresses = ''] = process.argv.slice(2)
// It ends with the test, whatever becomes of that.
process.once('disconnect', () => process.exit())

const mesh = await startMesh({
  identity: await identityOf(Buffer.from(seed, 'hex')),
  listen: ['127.0.0.5:0'],
  networks: [],
  dataDir: '/dev/null/none',
  bootId: `process-${process.pid}`,
  version: '1.2.3',
  topics: ['load'],
  clock: realClock,
  random: realRandom,
  log: silentLog,
})
mesh.setMembers({
  meshId: 'm000000000000001' as MeshId,
  generation: 1,
  members: [{ host: peer as HostId, addresses: addresses.split(',') }],
})
process.send?.({ self: mesh.self, addresses: mesh.ownAddresses() })
