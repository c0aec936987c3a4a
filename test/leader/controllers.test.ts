// The leader's controllers on a cluster in memory: they act in the term that they were started for, and rest when it is over.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { type HostId } from '../../src/base/ids.ts'
import { NO_LOAD } from '../../src/inventory/load.ts'
import { type Controllers, startControllers } from '../../src/leader/controllers.ts'
import { diskController } from '../../src/leader/disk-controller.ts'
import { placementController } from '../../src/leader/placement-controller.ts'
import { type FakeMesh, fakeMesh } from '../fixture/fake-cluster.ts'
import { aMesh, datastoreId, diskId, hostId, jobId, someVm, vmId } from '../fixture/inventory.ts'
import { type ManualClock, manualClock } from '../fixture/manual-clock.ts'

const h1 = hostId('h1')
const web = vmId('web')

let clock: ManualClock
let mesh: FakeMesh
let up: Map<HostId, 'up' | 'suspect'>
let controllers: Controllers

beforeEach(() => {
  clock = manualClock()
  mesh = fakeMesh(aMesh({ hosts: 3, datastores: ['shared'], facts: { memoryMiB: 4_096 } }).now, { wall: () => clock.wall() })
  up = new Map([...mesh.inventory().hosts.keys()].map((host) => [host, 'up' as const]))
  controllers = startControllers({
    self: h1,
    clock,
    log: silentLog,
    cluster: mesh.of(h1),
    liveness: () => up,
    load: () => NO_LOAD,
    contacts: () => new Map(),
    controllers: [placementController, diskController],
  })
})

afterEach(async () => {
  await clock.settle(controllers.stop(), 1_000)
})

function want(name: string, memoryMiB = 256): void {
  mesh.commit(someVm(name, { memoryMiB }))
  mesh.commit({ kind: 'vm-start', vm: vmId(name), job: jobId(`start-${name}`) })
}

const assignments = (): readonly string[] =>
  mesh.log
    .map(({ command }) => command)
    .flatMap((command) => (command.kind === 'vm-assign' ? [`${command.vm} ${command.epoch.counter}`] : []))

describe('placement', () => {
  it('gives a wanted VM one host and one epoch', async () => {
    mesh.lead(h1)
    want('web')
    await clock.run(5_000)
    expect(assignments()).toEqual(['web 1'])
    expect(mesh.inventory().vms.get(web)?.owner?.epoch).toEqual({ generation: 1, counter: 1 })
  })

  it('does nothing while another host leads, and at once when it leads itself', async () => {
    mesh.lead(hostId('h2'))
    want('web')
    await clock.run(5_000)
    expect(assignments()).toEqual([])
    mesh.lead(h1)
    await clock.run(100)
    expect(assignments()).toEqual(['web 1'])
  })

  it('stops when the leadership is lost', async () => {
    mesh.lead(h1)
    await clock.run(100)
    mesh.lead(hostId('h2'))
    want('web')
    await clock.run(5_000)
    expect(assignments()).toEqual([])
  })

  it('never promises the same memory to two VMs', async () => {
    mesh.lead(h1)
    for (const name of ['a', 'b', 'c', 'd']) want(name, 3_000)
    await clock.run(5_000)
    const owners = [...mesh.inventory().vms.values()].flatMap(({ owner }) => (owner === null ? [] : [owner.host]))
    expect(owners).toHaveLength(3)
    expect(new Set(owners).size).toBe(3)
  })

  it('says once why a VM has no place, and places it as soon as there is one', async () => {
    up.set(hostId('h2'), 'suspect').set(hostId('h3'), 'suspect')
    mesh.lead(h1)
    want('a', 3_000)
    want('b', 3_000)
    await clock.run(10_000)
    expect(mesh.log.filter(({ command }) => command.kind === 'vm-unplaceable')).toHaveLength(1)
    expect(
      mesh
        .inventory()
        .vms.get(vmId('b'))
        ?.fault?.reasons.map(({ code }) => code),
    ).toContain('memory')
    up.set(hostId('h2'), 'up')
    await clock.run(2_000)
    expect(mesh.inventory().vms.get(vmId('b'))?.owner?.host).toBe('h2')
  })
})

describe('disks', () => {
  const disk = diskId('d')

  beforeEach(() => {
    const where = { datastore: datastoreId('shared'), format: 'raw', sizeBytes: 1024 ** 2, host: hostId('h3') } as const
    mesh.commit({ kind: 'disk-create', id: disk, name: 'd', ...where, job: jobId('disk') })
    mesh.lead(h1)
  })

  const worker = (): HostId | null => {
    const state = mesh.inventory().disks.get(disk)?.state
    return state?.kind === 'creating' ? state.host : null
  }

  it('stay with the host that has the work while it is up, or away for a moment', async () => {
    await clock.run(30_000)
    up.set(hostId('h3'), 'suspect')
    await clock.run(9_000)
    up.set(hostId('h3'), 'up')
    await clock.run(5_000)
    up.set(hostId('h3'), 'suspect')
    await clock.run(9_000)
    expect(worker()).toBe('h3')
  })

  it('go to another host when it stays away', async () => {
    await clock.run(1_000)
    up.set(hostId('h3'), 'suspect')
    await clock.run(12_000)
    expect(worker()).not.toBe('h3')
    expect(up.get(worker() ?? h1)).toBe('up')
  })
})
