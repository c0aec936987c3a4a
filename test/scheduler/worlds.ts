// Worlds for the scheduler: meshes with hosts of any shape, and what they measured.
import fc from 'fast-check'
import { present } from '../../src/base/assert.ts'
import { type DatastoreId, type HostId } from '../../src/base/ids.ts'
import { type HostLoad } from '../../src/inventory/load.ts'
import { type Host, type HostFacts, type Vm } from '../../src/inventory/model.ts'
import { type World } from '../../src/scheduler/world.ts'
import { aJoiner, aMesh, datastoreId, hostId, someFacts, someVm, vmId } from '../fixture/inventory.ts'

export interface HostWish {
  readonly facts?: Partial<HostFacts>
  readonly role?: Host['role']
  readonly status?: Host['status']
  /** Default: up. */
  readonly liveness?: 'up' | 'suspect' | 'unheard'
  /** Memory of VMs that it owns already, one VM each. */
  readonly runs?: readonly number[]
  readonly load?: Partial<HostLoad> | null
}

/** Hosts h1, h2 … as wished for, one datastore `data`, and a VM `web` that is off. */
export function aWorld(wishes: readonly HostWish[], vm: Parameters<typeof someVm>[1] = {}): { readonly world: World; readonly web: Vm } {
  const log = aMesh({ datastores: ['data'] })
  log.do(someVm('web', vm))
  const web = log.vm('web')
  const hosts = new Map(wishes.map((wish, at) => [hostId(`h${at + 1}`), aHost(`h${at + 1}`, wish)]))
  const vms = new Map(log.now.vms)
  for (const [at, wish] of wishes.entries()) {
    for (const [number, memoryMiB] of (wish.runs ?? []).entries()) {
      const id = vmId(`on-h${at + 1}-${number}`)
      const epoch = { generation: 1, counter: 1 }
      const owner = { host: hostId(`h${at + 1}`), epoch, ending: null }
      vms.set(id, { ...web, id, name: id, spec: { ...web.spec, memoryMiB }, owner, lastEpoch: epoch })
    }
  }
  const liveness = new Map<HostId, 'up' | 'suspect'>()
  const loads = new Map<HostId, HostLoad>()
  for (const [at, wish] of wishes.entries()) {
    const id = hostId(`h${at + 1}`)
    const { liveness: heard = 'up', load = {} } = wish
    if (heard !== 'unheard') liveness.set(id, heard)
    if (load !== null)
      loads.set(id, {
        receivedAtMs: 0,
        cpuPercent: 0,
        memoryUsedMiB: 0,
        datastoreFaults: new Map(),
        stores: { freeMiB: 4096, trouble: null },
        ...load,
      })
  }
  return { world: { inventory: { ...log.now, hosts, vms }, load: { hosts: loads, vms: new Map() }, liveness }, web }
}

function aHost(name: string, wish: HostWish): Host {
  const { role = 'host', status = 'up', facts = {} } = wish
  return { ...aJoiner(name, { role, facts: someFacts(facts) }), status, labels: {}, incarnation: 1, joinedAt: 0 }
}

export function hostOf(world: World, name: string): Host {
  return present(world.inventory.hosts.get(hostId(name)), `host ${name}`)
}

export function withSettings(world: World, settings: World['inventory']['settings']): World {
  return { ...world, inventory: { ...world.inventory, settings } }
}

export const noData: ReadonlyMap<DatastoreId, string> = new Map([[datastoreId('data'), 'not mounted']])

/** Small numbers, so that hosts often are just too small, or just alike. */
export const randomHost: fc.Arbitrary<HostWish> = fc.record({
  facts: fc.record({
    memoryMiB: fc.integer({ min: 0, max: 4 }).map((steps) => 512 + steps * 128),
    cpu: fc.integer({ min: 1, max: 4 }).map((cores) => ({ cores, mhz: 3_000, model: 'Test CPU', flags: [] })),
    machineTypes: fc.constantFrom(['pc-q35-10.0'], ['pc-q35-10.0', 'pc-q35-9.2'], ['pc-q35-9.2']),
    qemuVersion: fc.constantFrom('10.0.2', '10.0.2', '9.2.0', null),
    accelerator: fc.constantFrom('kvm', 'tcg'),
  }),
  role: fc.constantFrom('host', 'host', 'host', 'witness'),
  status: fc.constantFrom('up', 'up', 'up', 'joining', 'maintenance'),
  liveness: fc.constantFrom('up', 'up', 'up', 'suspect', 'unheard'),
  runs: fc.array(fc.constantFrom(64, 128, 256), { maxLength: 3 }),
  load: fc.option(fc.record({ cpuPercent: fc.constantFrom(0, 50, 100), datastoreFaults: fc.constantFrom(noData, new Map(), new Map()) }), {
    nil: null,
  }),
})

export const randomVm = fc.record({
  memoryMiB: fc.constantFrom(64, 128, 256, 512),
  vcpus: fc.integer({ min: 1, max: 5 }),
  cpu: fc.constantFrom('host', 'mesh-baseline', 'max'),
  machineType: fc.constantFrom('pc-q35-10.0', 'pc-q35-9.2'),
  cdrom: fc.constantFrom(null, 'data/x.iso'),
})

export const randomWorld = fc.tuple(fc.array(randomHost, { maxLength: 6 }), randomVm, fc.nat(7)).map(([hosts, vm, last]) => {
  const { world, web } = aWorld(hosts, vm)
  return { world, web: { ...web, lastHost: last < hosts.length ? hostId(`h${last}`) : null } }
})
