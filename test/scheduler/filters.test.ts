// Each filter: what passes, what does not, by how little, and what mends it.
import { describe, expect, it } from 'vitest'
import { whyNot } from '../../src/scheduler/explain.ts'
import { FILTERS } from '../../src/scheduler/filters.ts'
import { placeableOf } from '../../src/scheduler/world.ts'
import { datastoreId, diskId, someVm } from '../fixture/inventory.ts'
import { aWorld, hostOf, noData, withSettings, type HostWish } from './worlds.ts'

const codes = (wish: HostWish, vm: Parameters<typeof aWorld>[1] = {}) => {
  const { world, web } = aWorld([wish], vm)
  return whyNot(world, web, hostOf(world, 'h1')).map(({ code }) => code)
}

it('a plain host that is up takes a plain VM', () => expect(codes({})).toEqual([]))

it('every filter has a name of its own, and its reasons bear it', () => {
  expect(new Set(FILTERS.map(({ name }) => name)).size).toBe(FILTERS.length)
  const { world, web } = aWorld([{ role: 'witness', status: 'maintenance', liveness: 'suspect', facts: { qemuVersion: null } }])
  for (const filter of FILTERS) {
    for (const reason of filter.check(world, web, hostOf(world, 'h1'))) expect(reason.code).toBe(filter.name)
  }
})

it('all reasons are told at once, each with a mend', () => {
  const wish = {
    role: 'witness',
    status: 'maintenance',
    liveness: 'unheard',
    facts: { qemuVersion: null, machineTypes: [], memoryMiB: 64 },
  } as const
  const { world, web } = aWorld([{ ...wish, load: { datastoreFaults: noData } }], { vcpus: 5, cpu: 'host', cdrom: 'data/x.iso' })
  const reasons = whyNot(world, web, hostOf(world, 'h1'))
  expect(reasons.map(({ code }) => code)).toEqual(['role', 'status', 'liveness', 'qemu', 'cpu-model', 'vcpus', 'memory', 'datastore'])
  for (const reason of reasons) {
    expect(reason.message).toContain('h1')
    expect(reason.fix).toBeTruthy()
  }
})

describe('the state of a host', () => {
  it.each([
    [{ role: 'witness' }, ['role']],
    [{ status: 'joining' }, ['status']],
    [{ status: 'maintenance' }, ['status']],
    [{ liveness: 'suspect' }, ['liveness']],
    [{ liveness: 'unheard' }, ['liveness']],
  ] as const)('%j', (wish, expected) => expect(codes(wish)).toEqual(expected))
})

describe('QEMU', () => {
  it('must be there; then its machine types count', () => {
    expect(codes({ facts: { qemuVersion: null, machineTypes: [] } })).toEqual(['qemu'])
    expect(codes({ facts: { machineTypes: ['pc-q35-9.2'] } })).toEqual(['machine-type'])
    expect(codes({ facts: { machineTypes: ['pc-q35-9.2'] } }, { machineType: 'pc-q35-9.2' })).toEqual([])
    expect(codes({ facts: { machineTypes: [] } })).toEqual(['machine-type'])
  })

  it('emulated cannot pass the CPU of the host through', () => {
    expect(codes({ facts: { accelerator: 'tcg' } }, { cpu: 'host' })).toEqual(['cpu-model'])
    expect(codes({ facts: { accelerator: 'kvm' } }, { cpu: 'host' })).toEqual([])
    expect(codes({ facts: { accelerator: 'tcg' } }, { cpu: 'max' })).toEqual([])
  })
})

it('vCPUs go up to the cores, not beyond', () => {
  expect(codes({}, { vcpus: 4 })).toEqual([])
  expect(codes({}, { vcpus: 5 })).toEqual(['vcpus'])
})

describe('memory', () => {
  it('is promised up to the last MiB after the reserve', () => {
    expect(codes({ facts: { memoryMiB: 1_024 }, runs: [128, 128] }, { memoryMiB: 256 })).toEqual([])
    expect(codes({ facts: { memoryMiB: 1_024 }, runs: [128, 128] }, { memoryMiB: 257 })).toEqual(['memory'])
  })

  it('says how much is needed, left and promised, and which of host and VM is too small', () => {
    const { world, web } = aWorld([{ facts: { memoryMiB: 1_024 }, runs: [300] }], { memoryMiB: 256 })
    expect(whyNot(world, web, hostOf(world, 'h1'))).toEqual([
      { code: 'memory', message: 'web needs 256 MiB, h1 has 212 MiB left (300 of 512 MiB promised)', fix: 'stop a VM on h1' },
    ])
    const big = aWorld([{ facts: { memoryMiB: 1_024 } }], { memoryMiB: 513 })
    expect(whyNot(big.world, big.web, hostOf(big.world, 'h1'))[0]?.fix).toBe('give web at most 512 MiB')
  })

  it('follows the settings', () => {
    const { world, web } = aWorld([{ facts: { memoryMiB: 1_024 } }], { memoryMiB: 1_024 })
    const refused = (settings: Parameters<typeof withSettings>[1]) => whyNot(withSettings(world, settings), web, hostOf(world, 'h1')).length
    expect(refused({})).toBe(1)
    expect(refused({ 'placement.memory-reserve-mib': 0 })).toBe(0)
    expect(refused({ 'placement.memory-overcommit': 1.5 })).toBe(0)
    expect(refused({ 'placement.memory-overcommit': 1.499 })).toBe(1)
  })

  it('of a host smaller than the reserve is none, not less than none', () => {
    const { world, web } = aWorld([{ facts: { memoryMiB: 100 } }], { memoryMiB: 16 })
    expect(whyNot(world, web, hostOf(world, 'h1'))[0]?.message).toContain('h1 has 0 MiB left (0 of 0 MiB promised)')
  })

  it('does not count the VM itself where it runs already', () => {
    const { world, web } = aWorld([{ facts: { memoryMiB: 768 }, runs: [256] }], { memoryMiB: 256 })
    const self = [...world.inventory.vms.values()].find(({ owner }) => owner !== null)
    expect(self && whyNot(world, self, hostOf(world, 'h1'))).toEqual([])
    expect(whyNot(world, web, hostOf(world, 'h1'))).toHaveLength(1)
  })

  it('counts VMs that are about to end, and none that others own', () => {
    const { world, web } = aWorld([{ facts: { memoryMiB: 768 }, runs: [200] }, { runs: [4_000] }], { memoryMiB: 57 })
    const vms = new Map(
      [...world.inventory.vms].map(([id, vm]) => [id, vm.owner === null ? vm : { ...vm, owner: { ...vm.owner, ending: 'stop' as const } }]),
    )
    expect(whyNot({ ...world, inventory: { ...world.inventory, vms } }, web, hostOf(world, 'h1'))).toHaveLength(1)
  })
})

describe('datastores', () => {
  const broken: HostWish = { load: { datastoreFaults: noData } }

  it('count where a disk, a CD-ROM, a kernel or an initrd of the VM is on them', () => {
    expect(codes(broken)).toEqual([])
    expect(codes(broken, { cdrom: 'data/x.iso' })).toEqual(['datastore'])
    expect(codes(broken, { boot: { kernel: 'data/k', initrd: null, append: '' } })).toEqual(['datastore'])
    expect(codes(broken, { boot: { kernel: 'data/k', initrd: 'data/i', append: '' }, cdrom: 'data/x.iso' })).toEqual(['datastore'])
    const disk = { kind: 'new', id: diskId('d'), name: 'd', datastore: datastoreId('data'), format: 'raw', sizeBytes: 1_048_576 } as const
    expect(codes(broken, { disks: [disk] })).toEqual(['datastore'])
  })

  it('are named with what is wrong', () => {
    const { world, web } = aWorld([broken], { cdrom: 'data/x.iso' })
    expect(whyNot(world, web, hostOf(world, 'h1'))[0]?.message).toBe('h1 cannot use datastore data: not mounted')
  })

  it('of a host that has not reported yet are not held against it', () => {
    expect(codes({ load: null }, { cdrom: 'data/x.iso' })).toEqual([])
  })
})

it('a VM that is to be created is judged with the disks that it would get', () => {
  const { world } = aWorld([{ load: { datastoreFaults: noData } }])
  const wish = { kind: 'new', id: diskId('n'), name: 'n', datastore: datastoreId('data'), format: 'raw', sizeBytes: 1_048_576 } as const
  const judged = (disks: readonly (typeof wish)[]) => whyNot(world, placeableOf(someVm('new', { disks })), hostOf(world, 'h1')).length
  expect(judged([])).toBe(0)
  expect(judged([wish])).toBe(1)
  expect(placeableOf(someVm('new', { disks: [{ kind: 'existing', disk: diskId('old') }, wish] }))).toMatchObject({
    spec: { disks: ['old'] },
    newDisks: [{ datastore: 'data' }],
    lastHost: null,
  })
})
