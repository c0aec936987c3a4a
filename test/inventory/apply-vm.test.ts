// VMs as things: created with their disks, changed, deleted.
import { describe, expect, it } from 'vitest'
import { type DiskWish } from '../../src/inventory/command.ts'
import { aMesh, aMeshWithRunningVm, datastoreId, diskId, hostId, jobId, someVm, type TestLog, vmId } from '../fixture/inventory.ts'

const MIB = 1_048_576
const data = datastoreId('data')
const h1 = hostId('h1')
const web = vmId('web')

const newDisk = (name: string, changes: Partial<Extract<DiskWish, { kind: 'new' }>> = {}): DiskWish => ({
  kind: 'new',
  id: diskId(name),
  name,
  datastore: data,
  format: 'qcow2',
  sizeBytes: MIB,
  ...changes,
})
const diskDone = (log: TestLog, disk: string, sizeBytes = MIB) => log.do({ kind: 'disk-done', host: h1, disk: diskId(disk), sizeBytes })
const jobOf = (log: TestLog, job: string) => log.now.jobs.get(jobId(job))
const codesOf = (result: ReturnType<TestLog['try']>) => (result.kind === 'refused' ? result.reasons.map(({ code }) => code) : result.kind)

describe('vm-create', () => {
  it('makes a VM that is off', () => {
    const log = aMesh()
    expect(log.try(someVm('web'))).toEqual({ kind: 'done', value: { id: 'web' } })
    expect(log.vm('web')).toMatchObject({
      desired: { power: 'off' },
      owner: null,
      lastEpoch: { generation: 1, counter: 0 },
      lastHost: null,
      crashes: 0,
      fault: null,
    })
    expect(log.now.jobs.size).toBe(0)
  })

  it('with --start is wanted on, and its job waits for its new disks and then for a place', () => {
    const log = aMesh({ datastores: ['data'] })
    const create = someVm('web', { disks: [newDisk('root'), newDisk('swap')], startJob: jobId('start') })
    expect(log.try(create)).toEqual({ kind: 'done', value: { id: 'web', job: 'start' } })
    expect(log.vm('web').desired).toEqual({ power: 'on', paused: false })
    expect(log.now.disks.get(diskId('root'))).toMatchObject({ vm: 'web', state: { kind: 'creating', host: 'h1' } })
    expect(jobOf(log, 'start')).toMatchObject({ phase: 'waiting', step: 'waiting for disks: root (creating), swap (creating)' })
    diskDone(log, 'swap')
    expect(jobOf(log, 'start')?.step).toContain('waiting for disks')
    diskDone(log, 'root')
    expect(jobOf(log, 'start')).toMatchObject({ phase: 'waiting', step: 'placing' })
  })

  it('whose disk cannot be made does not wait for ever: it is off again, with the reason', () => {
    const log = aMesh({ datastores: ['data'] })
    log.do(someVm('web', { disks: [newDisk('root')], startJob: jobId('start') }))
    log.do({ kind: 'disk-failed', host: h1, disk: diskId('root'), reason: 'no space left' })
    expect(log.vm('web')).toMatchObject({ desired: { power: 'off' }, fault: { kind: 'start-failed', reasons: [{ code: 'disk-failed' }] } })
    expect(jobOf(log, 'start')).toMatchObject({ phase: 'failed' })
    expect(log.lastEvents()).toContain('vm.start-failed')
    expect(codesOf(log.try({ kind: 'vm-start', vm: web, job: jobId('again') }))).toEqual(['disk-failed'])
  })

  it('takes an existing disk for its own, once', () => {
    const log = aMesh({ datastores: ['data'] })
    log.do({
      kind: 'disk-create',
      id: diskId('old'),
      name: 'old',
      datastore: data,
      format: 'raw',
      sizeBytes: MIB,
      host: h1,
      job: jobId('j'),
    })
    log.do(someVm('web', { disks: [{ kind: 'existing', disk: diskId('old') }] }))
    expect(log.now.disks.get(diskId('old'))?.vm).toBe('web')
    const twice = someVm('db', { disks: [{ kind: 'existing', disk: diskId('old') }] })
    expect(codesOf(log.try(twice))).toEqual(['disk-attached'])
  })

  it.each([
    ['a name that is taken', { name: 'web' }, ['name-taken']],
    ['an id that is taken', { id: web }, ['id-taken']],
    ['a host that is none', { host: hostId('none') }, ['not-found']],
    ['a start job that exists', { startJob: jobId('start') }, ['id-taken']],
    ['a datastore that is none', { disks: [newDisk('a', { datastore: datastoreId('none') })] }, ['not-found']],
    ['a disk name that is taken', { disks: [newDisk('other', { name: 'root' })] }, ['name-taken']],
    ['a disk that is none', { disks: [{ kind: 'existing', disk: diskId('none') }] }, ['not-found']],
    ['a disk named twice', { disks: [newDisk('a'), newDisk('b', { name: 'a' })] }, ['disk-twice']],
    ['a disk id twice', { disks: [newDisk('a'), newDisk('b', { id: diskId('a') })] }, ['disk-twice']],
    ['a file on no datastore', { cdrom: 'none/x.iso' }, ['not-found']],
    ['fields that are wrong', { vcpus: 0, memoryMiB: 1 }, ['range', 'range']],
  ] as const)('is refused with %s, and leaves nothing behind', (_what, changes, codes) => {
    const log = aMesh({ datastores: ['data'] })
    log.do(someVm('web', { disks: [newDisk('root')], startJob: jobId('start') }))
    const { vms, disks, jobs } = log.now
    expect(codesOf(log.try(someVm('db', changes)))).toEqual(codes)
    expect(log.now).toMatchObject({ vms, disks, jobs })
  })

  it('a failed disk is nothing to start from', () => {
    const log = aMesh({ datastores: ['data'] })
    log.do({
      kind: 'disk-create',
      id: diskId('old'),
      name: 'old',
      datastore: data,
      format: 'raw',
      sizeBytes: MIB,
      host: h1,
      job: jobId('j'),
    })
    log.do({ kind: 'disk-failed', host: h1, disk: diskId('old'), reason: 'no space left' })
    expect(codesOf(log.try(someVm('web', { disks: [{ kind: 'existing', disk: diskId('old') }] })))).toEqual(['disk-state'])
  })
})

describe('vm-set', () => {
  it('changes name and policies while the VM runs', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-set', vm: web, name: 'shop', ha: 'restart', priority: 1, drs: 'off' })
    expect(log.vm('web')).toMatchObject({ name: 'shop', ha: 'restart', priority: 1, drs: 'off', owner: { host: 'h1' } })
  })

  it('changes the specification only while it is off', () => {
    const log = aMeshWithRunningVm()
    expect(codesOf(log.try({ kind: 'vm-set', vm: web, memoryMiB: 512, priority: 1 }))).toEqual(['vm-state'])
    expect(log.vm('web')).toMatchObject({ spec: { memoryMiB: 256 }, priority: 2 })
    log.do({ kind: 'vm-stop', vm: web, job: jobId('stop') })
    log.stop('web', 'off')
    log.do({ kind: 'vm-set', vm: web, memoryMiB: 512, vcpus: 2, cpu: 'max', cdrom: null, boot: null })
    expect(log.vm('web').spec).toMatchObject({ memoryMiB: 512, vcpus: 2, cpu: 'max', machineType: 'pc-q35-10.0' })
  })

  it('a specification set to what it is already, is no change of it', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-set', vm: web, memoryMiB: 256, vcpus: 1 })
    expect(log.lastEvents()).toEqual([])
  })

  it('refuses a name that another has, a file on no datastore, and no change at all', () => {
    const log = aMesh()
    log.do(someVm('web'))
    log.do(someVm('db'))
    expect(codesOf(log.try({ kind: 'vm-set', vm: web, name: 'db' }))).toEqual(['name-taken'])
    expect(codesOf(log.try({ kind: 'vm-set', vm: web, cdrom: 'none/x.iso' }))).toEqual(['not-found'])
    expect(codesOf(log.try({ kind: 'vm-set', vm: web }))).toEqual(['nothing-to-change'])
    expect(log.try({ kind: 'vm-set', vm: vmId('none'), priority: 1 })).toMatchObject({ code: 'not-found' })
  })
})

describe('vm-delete', () => {
  const remove = { kind: 'vm-delete', vm: web, keepDisks: false, host: h1, job: jobId('gone') } as const

  it('takes the VM away at once and its disks when their files are gone; then its job is done', () => {
    const log = aMesh({ datastores: ['data'] })
    log.do(someVm('web', { disks: [newDisk('root'), newDisk('swap')] }))
    diskDone(log, 'root')
    diskDone(log, 'swap')
    expect(log.try(remove)).toEqual({ kind: 'done', value: { id: 'web', job: 'gone' } })
    expect(log.now.vms.size).toBe(0)
    expect(log.now.disks.get(diskId('root'))?.state).toEqual({ kind: 'deleting', host: 'h1' })
    diskDone(log, 'root', 0)
    expect(jobOf(log, 'gone')?.phase).toBe('waiting')
    expect(codesOf(log.try(someVm('web')))).toEqual(['id-taken'])
    diskDone(log, 'swap', 0)
    expect(jobOf(log, 'gone')?.phase).toBe('done')
    expect(log.now.disks.size).toBe(0)
  })

  it('of a VM without disks is done at once', () => {
    const log = aMesh()
    log.do(someVm('web'))
    log.do(remove)
    expect(jobOf(log, 'gone')?.phase).toBe('done')
  })

  it('can leave the disks, which belong to nobody then', () => {
    const log = aMesh({ datastores: ['data'] })
    log.do(someVm('web', { disks: [newDisk('root')] }))
    diskDone(log, 'root')
    log.do({ ...remove, keepDisks: true })
    expect(log.now.disks.get(diskId('root'))).toMatchObject({ vm: null, state: { kind: 'ready' } })
    expect(jobOf(log, 'gone')?.phase).toBe('done')
  })

  it('whose disk cannot be deleted fails, and leaves that disk to a person; the others go', () => {
    const log = aMesh({ datastores: ['data'] })
    log.do(someVm('web', { disks: [newDisk('root'), newDisk('swap')] }))
    diskDone(log, 'root')
    diskDone(log, 'swap')
    log.do(remove)
    log.do({ kind: 'disk-failed', host: h1, disk: diskId('root'), reason: 'read-only file system' })
    expect(jobOf(log, 'gone')?.phase).toBe('failed')
    expect(log.now.disks.get(diskId('root'))).toMatchObject({ vm: null, state: { kind: 'failed' } })
    diskDone(log, 'swap', 0)
    expect([...log.now.disks.keys()]).toEqual(['root'])
  })

  it('is refused while the VM runs, is wanted on, or its disks are being worked on', () => {
    const log = aMeshWithRunningVm()
    expect(log.try(remove)).toMatchObject({ kind: 'refused', reasons: [{ code: 'vm-state', fix: 'hostmesh vm stop web' }] })
    log.do({ kind: 'vm-stop', vm: web, job: jobId('stop') })
    expect(codesOf(log.try(remove))).toEqual(['vm-state', 'job-open'])
    log.stop('web', 'off')
    expect(log.try(remove).kind).toBe('done')

    const busy = aMesh({ datastores: ['data'] })
    busy.do(someVm('web', { disks: [newDisk('root')] }))
    expect(codesOf(busy.try(remove))).toEqual(['disk-state'])
  })

  it('frees the name: a VM made again under it is another one', () => {
    const log = aMesh()
    log.do(someVm('web'))
    log.do(remove)
    log.do(someVm('web', { id: vmId('web-2') }))
    expect([...log.now.vms.keys()]).toEqual(['web-2'])
    expect(log.try({ ...remove, job: jobId('j') })).toMatchObject({ code: 'not-found' })
  })
})
