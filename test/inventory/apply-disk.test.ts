// Datastores and disks: file work is in the hands of one host, and only its report of that very work counts.
import { describe, expect, it } from 'vitest'
import { type Command } from '../../src/inventory/command.ts'
import { aMesh, aMeshWithRunningVm, datastoreId, diskId, hostId, jobId, someVm, type TestLog, vmId } from '../fixture/inventory.ts'

const MIB = 1_048_576
const data = datastoreId('data')
const d = diskId('d')
const h1 = hostId('h1')
const h2 = hostId('h2')
const create = {
  kind: 'disk-create',
  id: d,
  name: 'root',
  datastore: data,
  format: 'qcow2',
  sizeBytes: MIB,
  host: h1,
  job: jobId('make'),
} as const
const done = (sizeBytes: number, host = h1): Command => ({ kind: 'disk-done', host, disk: d, sizeBytes })
const stateOf = (log: TestLog) => log.now.disks.get(d)?.state.kind
const phaseOf = (log: TestLog, job: string) => log.now.jobs.get(jobId(job))?.phase

function aMeshWithDisk(): TestLog {
  const log = aMesh({ hosts: 2, datastores: ['data'] })
  log.do(create)
  log.do(done(MIB))
  return log
}

describe('datastores', () => {
  it('are added once under a name and a path, and removed when nothing needs them', () => {
    const log = aMesh({ datastores: ['data'] })
    expect(log.try({ kind: 'datastore-add', id: datastoreId('x'), name: 'data', path: '/srv/data' })).toMatchObject({
      kind: 'refused',
      reasons: [{ code: 'name-taken' }, { code: 'path-taken' }],
    })
    expect(log.try({ kind: 'datastore-add', id: data, name: 'other', path: '/srv/other' })).toMatchObject({
      reasons: [{ code: 'id-taken' }],
    })
    log.do({ kind: 'datastore-remove', id: data })
    expect(log.now.datastores.size).toBe(0)
    expect(log.try({ kind: 'datastore-remove', id: data })).toMatchObject({ code: 'not-found' })
  })

  it('stay while they hold a disk or a file of a VM, and each of them is named', () => {
    const log = aMesh({ datastores: ['data'] })
    log.do(create)
    log.do(someVm('web', { cdrom: 'data/debian.iso', boot: { kernel: 'data/vmlinuz', initrd: null, append: '' } }))
    const result = log.try({ kind: 'datastore-remove', id: data })
    expect(result.kind === 'refused' && result.reasons.map(({ message }) => message)).toEqual([
      'datastore data holds disk root',
      'VM web needs file data/debian.iso',
      'VM web needs file data/vmlinuz',
    ])
  })
})

describe('disk-create', () => {
  it('is done when its host says that the file is there', () => {
    const log = aMesh({ datastores: ['data'] })
    expect(log.try(create)).toEqual({ kind: 'done', value: { id: 'd', job: 'make' } })
    expect(log.now.disks.get(d)).toMatchObject({ state: { kind: 'creating', host: 'h1' }, vm: null })
    expect(log.now.jobs.get(jobId('make'))).toMatchObject({ kind: 'disk-create', phase: 'waiting', step: 'on h1', name: 'root' })
    log.do(done(MIB))
    expect(stateOf(log)).toBe('ready')
    expect(phaseOf(log, 'make')).toBe('done')
  })

  it('is refused for a datastore, host, name, size or job that does not do, all at once', () => {
    const log = aMeshWithDisk()
    const result = log.try({ ...create, id: diskId('e'), datastore: datastoreId('none'), host: hostId('none'), name: 'Root', sizeBytes: 5 })
    expect(result.kind === 'refused' && result.reasons.map(({ code }) => code)).toEqual([
      'name',
      'disk-size',
      'not-found',
      'not-found',
      'id-taken',
    ])
    expect(log.try({ ...create, id: diskId('e'), job: jobId('j2') })).toMatchObject({ reasons: [{ code: 'name-taken' }] })
    expect(log.try({ ...create, name: 'other', job: jobId('j2') })).toMatchObject({ reasons: [{ code: 'id-taken' }] })
    expect(log.try({ ...create, id: diskId('e'), name: 'other' })).toMatchObject({ reasons: [{ code: 'id-taken' }] })
  })

  it('that fails leaves a failed disk that says why, to be deleted', () => {
    const log = aMesh({ datastores: ['data'] })
    log.do(create)
    log.do({ kind: 'disk-failed', host: h1, disk: d, reason: 'no space left on device' })
    expect(log.now.disks.get(d)?.state).toEqual({ kind: 'failed', reason: 'no space left on device' })
    expect(log.now.jobs.get(jobId('make'))).toMatchObject({ phase: 'failed', error: { reasons: [{ code: 'disk-failed' }] } })
    log.do({ kind: 'disk-delete', id: d, host: h1, job: jobId('gone') })
    log.do(done(0))
    expect(log.now.disks.size).toBe(0)
    expect(phaseOf(log, 'gone')).toBe('done')
  })
})

describe('a report of file work', () => {
  it('counts only from the host that has it in hand', () => {
    const log = aMesh({ hosts: 2, datastores: ['data'] })
    log.do(create)
    expect(log.try(done(MIB, h2)).kind).toBe('stale')
    expect(log.try({ kind: 'disk-failed', host: h2, disk: d, reason: 'x' }).kind).toBe('stale')
    expect(stateOf(log)).toBe('creating')
  })

  it('goes with the work when the leader gives it to another host', () => {
    const log = aMesh({ hosts: 2, datastores: ['data'] })
    log.do(create)
    log.do({ kind: 'disk-reassign', leaderTerm: 1, disk: d, to: h2 })
    expect(log.now.jobs.get(jobId('make'))?.step).toBe('on h2')
    expect(log.lastEvents()).toEqual(['disk.reassigned'])
    log.do({ kind: 'disk-reassign', leaderTerm: 1, disk: d, to: h2 })
    expect(log.lastEvents()).toEqual([])
    expect(log.try(done(MIB, h1)).kind).toBe('stale')
    log.do(done(MIB, h2))
    expect(log.try({ kind: 'disk-reassign', leaderTerm: 1, disk: d, to: h1 }).kind).toBe('stale')
    expect(log.try({ kind: 'disk-reassign', leaderTerm: 1, disk: diskId('x'), to: h1 }).kind).toBe('stale')
  })

  it('is stale when it tells of older work: a creation reported late does not count as a deletion or a growth', () => {
    const log = aMeshWithDisk()
    expect(log.try(done(MIB)).kind).toBe('stale')
    log.do({ kind: 'disk-resize', id: d, sizeBytes: 3 * MIB, host: h1, job: jobId('grow') })
    expect(log.try(done(MIB)).kind).toBe('stale')
    log.do(done(3 * MIB))
    log.do({ kind: 'disk-delete', id: d, host: h1, job: jobId('gone') })
    expect(log.try(done(3 * MIB)).kind).toBe('stale')
    expect(stateOf(log)).toBe('deleting')
    log.do(done(0))
    expect(log.try(done(0)).kind).toBe('stale')
  })

  it('of nothing does not create a disk', () => {
    const log = aMesh({ datastores: ['data'] })
    log.do(create)
    expect(log.try(done(0)).kind).toBe('stale')
    expect(stateOf(log)).toBe('creating')
  })
})

describe('disk-resize', () => {
  const grow = { kind: 'disk-resize', id: d, sizeBytes: 2 * MIB, host: h1, job: jobId('grow') } as const

  it('makes a disk larger', () => {
    const log = aMeshWithDisk()
    log.do(grow)
    expect(log.now.disks.get(d)).toMatchObject({ sizeBytes: MIB, state: { kind: 'resizing', toBytes: 2 * MIB } })
    log.do(done(2 * MIB))
    expect(log.now.disks.get(d)).toMatchObject({ sizeBytes: 2 * MIB, state: { kind: 'ready' } })
    expect(phaseOf(log, 'grow')).toBe('done')
  })

  it('never smaller; to the size it has is done at once', () => {
    const log = aMeshWithDisk()
    log.do(grow)
    log.do(done(2 * MIB))
    expect(log.try({ ...grow, sizeBytes: MIB, job: jobId('j2') })).toMatchObject({ kind: 'refused', reasons: [{ code: 'disk-shrink' }] })
    expect(log.try({ ...grow, job: jobId('j3') })).toEqual({ kind: 'done', value: { id: 'd' } })
  })

  it('that fails leaves the disk as it was', () => {
    const log = aMeshWithDisk()
    log.do(grow)
    log.do({ kind: 'disk-failed', host: h1, disk: d, reason: 'no space left' })
    expect(log.now.disks.get(d)).toMatchObject({ sizeBytes: MIB, state: { kind: 'ready' } })
    expect(phaseOf(log, 'grow')).toBe('failed')
  })

  it('is refused while its VM runs or may be started, and while other work is at it', () => {
    const log = aMeshWithDisk()
    log.do(someVm('web', { disks: [{ kind: 'existing', disk: d }] }))
    log.do({ kind: 'vm-start', vm: vmId('web'), job: jobId('start') })
    expect(log.try(grow)).toMatchObject({ reasons: [{ code: 'vm-state', fix: 'hostmesh vm stop web' }] })
    log.do({ kind: 'vm-stop', vm: vmId('web'), job: jobId('stop') })
    log.do(grow)
    const again = log.try({ ...grow, sizeBytes: 4 * MIB, job: jobId('j2') })
    expect(again).toMatchObject({ kind: 'refused', code: 'conflict', reasons: [{ code: 'disk-state' }, { code: 'job-open' }] })
  })
})

describe('disk-delete', () => {
  it('is refused while the disk belongs to a VM', () => {
    const log = aMeshWithDisk()
    log.do(someVm('web', { disks: [{ kind: 'existing', disk: d }] }))
    const result = log.try({ kind: 'disk-delete', id: d, host: h1, job: jobId('gone') })
    expect(result).toMatchObject({ reasons: [{ code: 'disk-attached', fix: 'hostmesh vm delete web' }] })
  })

  it('that fails leaves a failed disk', () => {
    const log = aMeshWithDisk()
    log.do({ kind: 'disk-delete', id: d, host: h1, job: jobId('gone') })
    log.do({ kind: 'disk-failed', host: h1, disk: d, reason: 'read-only file system' })
    expect(stateOf(log)).toBe('failed')
    expect(phaseOf(log, 'gone')).toBe('failed')
  })

  it('is the same for disks that do not exist', () => {
    const log = aMesh()
    expect(log.try({ kind: 'disk-delete', id: d, host: h1, job: jobId('j') })).toMatchObject({ code: 'not-found' })
    expect(log.try({ kind: 'disk-resize', id: d, sizeBytes: MIB, host: h1, job: jobId('j') })).toMatchObject({ code: 'not-found' })
  })
})

it('a host with file work in hand is not removed', () => {
  const log = aMeshWithRunningVm({ hosts: 3, datastores: ['data'] })
  log.do({ ...create, host: h2 })
  expect(log.try({ kind: 'host-remove', host: h2 })).toMatchObject({ kind: 'refused', reasons: [{ code: 'host-busy' }] })
})
