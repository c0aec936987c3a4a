// The Mesh contract over libp2p on loopback, and over the fake network in virtual time.
import { present } from '../../src/base/assert.ts'
import { type HostId } from '../../src/base/ids.ts'
import { seededRandom } from '../../src/base/random.ts'
import { type Identity, identityOf } from '../../src/mesh/identity.ts'
import { type Mesh } from '../../src/mesh/mesh.ts'
import { startFakeMesh } from '../fixture/fake-mesh.ts'
import { FakeNetwork } from '../fixture/fake-network.ts'
import { manualClock } from '../fixture/manual-clock.ts'
import { newIdentity, startRealHost } from '../fixture/real-hosts.ts'
import { waitFor } from '../lab/wait-for.ts'
import { meshContract, type MeshWorld } from './mesh.ts'

const LIMIT_MS = 15_000

meshContract('libp2p', async (): Promise<MeshWorld> => {
  const known = new Map<HostId, { identity: Identity; listen: string }>()
  let count = 0
  return {
    async host() {
      const identity = await newIdentity()
      count += 1
      const mesh = await startRealHost({ identity, listen: `127.0.0.${count}:0` })
      known.set(mesh.self, { identity, listen: present(mesh.ownAddresses()[0], 'its address') })
      return mesh
    },
    again: (host) => startRealHost(present(known.get(host), 'a host that was there before')),
    clone: (host) => startRealHost({ identity: present(known.get(host), 'a host to clone').identity, listen: '127.0.0.9:0' }),
    until: (what, condition) => waitFor(what, condition, { limitMs: LIMIT_MS, everyMs: 5 }).then(() => {}),
    settle: (promise) => promise,
    close: async () => {},
  }
})

meshContract('the fake network', async (): Promise<MeshWorld> => {
  const world = manualClock()
  const random = seededRandom(4)
  const network = new FakeNetwork(world, random)
  const addresses = new Map<HostId, string>()
  let boots = 0
  const start = async (id: HostId, address: string): Promise<Mesh> => {
    boots += 1
    addresses.set(id, address)
    const host = network.machine({ id, addresses: [address], clock: world.machine() })
    return startFakeMesh({ host, random, bootId: `boot-${boots}`, version: '1.2.3', topics: ['load'] })
  }
  return {
    async host() {
      const { hostId } = await identityOf(random.bytes(32))
      return start(hostId, `198.18.0.${addresses.size + 1}:7400`)
    },
    async again(host) {
      const address = present(addresses.get(host), 'a host that was there before')
      present(network.at(address), 'its machine').powerOff()
      return start(host, address)
    },
    clone: (host) => start(host, '198.18.0.99:7400'),
    until: (what, condition) => world.runUntil(what, condition, LIMIT_MS),
    settle: (promise) => world.settle(promise, LIMIT_MS),
    close: async () => {},
  }
})
