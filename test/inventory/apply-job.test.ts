// Jobs as such: cancelling, progress, the host's own reports, and how many are kept.
import { describe, expect, it } from 'vitest'
import { type Command } from '../../src/inventory/command.ts'
import { ENDED_JOBS_KEPT } from '../../src/inventory/jobs.ts'
import { type Job } from '../../src/inventory/model.ts'
import { openJob } from '../../src/inventory/open-jobs.ts'
import { aMesh, aMeshWithRunningVm, datastoreId, diskId, hostId, jobId, someVm, START_AT, TestLog, vmId } from '../fixture/inventory.ts'

const web = vmId('web')
const h1 = hostId('h1')
const j = jobId('j')
const cancel: Command = { kind: 'job-cancel', job: j }
const failed: Command = { kind: 'job-failed', host: h1, job: j, reasons: [{ code: 'guest-ignored-shutdown', message: 'it did not react' }] }
const jobOf = (log: TestLog, job = 'j') => log.now.jobs.get(jobId(job))

function aRunningVmWith(kind: 'vm-shutdown' | 'vm-stop' | 'vm-pause' | 'vm-reboot' | 'vm-resume'): TestLog {
  const log = aMeshWithRunningVm()
  if (kind === 'vm-resume') log.observe('web', 'io-error')
  log.do(kind === 'vm-reboot' ? { kind, vm: web, force: false, job: j } : { kind, vm: web, job: j })
  return log
}

describe('job-cancel', () => {
  it('of a start that waits makes the VM off again', () => {
    const log = aMesh()
    log.do(someVm('web', { startJob: j }))
    log.do(cancel)
    expect(jobOf(log)).toMatchObject({ phase: 'cancelled', error: null })
    expect(log.vm('web').desired.power).toBe('off')
    expect(log.lastEvents()).toEqual(['job.cancelled'])
  })

  it('of a start that waits for the last run to end lets that end, and no other begin', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-shutdown', vm: web, job: jobId('s') })
    log.do({ kind: 'vm-start', vm: web, job: j })
    log.do(cancel)
    expect(log.vm('web')).toMatchObject({ desired: { power: 'off', how: 'shutdown' }, owner: { ending: 'shutdown' } })
    log.stop('web', 'off')
    expect(log.vm('web').desired.power).toBe('off')
  })

  it('of a start that is placed comes too late', () => {
    const log = aMesh()
    log.do(someVm('web', { startJob: j }))
    log.assign('web', 'h1')
    expect(log.try(cancel)).toMatchObject({ kind: 'refused', reasons: [{ code: 'job-not-cancellable', fix: 'hostmesh vm stop web' }] })
    expect(jobOf(log)?.endedAt).toBeNull()
  })

  it('of a shutdown lets the guest run on; should it end all the same, that is its own doing', () => {
    const log = aRunningVmWith('vm-shutdown')
    log.do(cancel)
    expect(log.vm('web')).toMatchObject({ desired: { power: 'on', paused: false }, owner: { ending: null } })
    log.stop('web', 'off')
    expect(log.vm('web').desired.power).toBe('off')
    expect(log.now.events.at(-1)?.type).toBe('vm.powered-off')
  })

  it('of a reboot takes the wish away', () => {
    const log = aRunningVmWith('vm-reboot')
    log.do(cancel)
    expect(jobOf(log)?.phase).toBe('cancelled')
    log.stop('web', 'off')
    expect(log.vm('web').desired.power).toBe('off')
  })

  it.each(['vm-stop', 'vm-pause', 'vm-resume'] as const)('of a %s is refused', (kind) => {
    const log = aRunningVmWith(kind)
    const { vms } = log.now
    expect(log.try(cancel)).toMatchObject({ reasons: [{ code: 'job-not-cancellable' }] })
    expect(log.now.vms).toBe(vms)
  })

  it('of file work is refused, of an ended job too, of none not found', () => {
    const log = aMesh({ datastores: ['data'] })
    expect(log.try(cancel)).toMatchObject({ code: 'not-found' })
    log.do({
      kind: 'disk-create',
      id: diskId('d'),
      name: 'd',
      datastore: datastoreId('data'),
      format: 'raw',
      sizeBytes: 1_048_576,
      host: h1,
      job: j,
    })
    expect(log.try(cancel)).toMatchObject({ reasons: [{ code: 'job-not-cancellable' }] })
    log.do({ kind: 'disk-done', host: h1, disk: diskId('d'), sizeBytes: 1_048_576 })
    expect(log.try(cancel)).toMatchObject({ reasons: [{ code: 'job-ended' }] })
  })
})

describe('a host reports of a job', () => {
  it('how far it is, never backwards', () => {
    const log = aRunningVmWith('vm-shutdown')
    log.do({ kind: 'job-progress', host: h1, job: j, step: 'asked the guest', percent: 60 })
    log.do({ kind: 'job-progress', host: h1, job: j, step: 'asked again', percent: 20 })
    expect(jobOf(log)).toMatchObject({ phase: 'working', step: 'asked again', percent: 60 })
    const same: Command = { kind: 'job-progress', host: h1, job: j, step: 'asked again', percent: 60 }
    log.do(same)
    expect(log.steps.at(-1)?.changes).toEqual([])
  })

  it('only as the owner of its VM, and only while it is open', () => {
    const log = aRunningVmWith('vm-reboot')
    for (const kind of ['job-done', 'job-failed', 'job-progress'] as const) {
      const report = { kind, host: hostId('h2'), job: j, reasons: [], step: '', percent: 1 }
      expect(log.try(report).kind).toBe('stale')
    }
    log.do({ kind: 'job-done', host: h1, job: j })
    expect(log.lastEvents()).toEqual(['vm.rebooted'])
    expect(log.try({ kind: 'job-done', host: h1, job: j }).kind).toBe('stale')
    expect(log.try({ kind: 'job-done', host: h1, job: jobId('none') }).kind).toBe('stale')
  })

  it.each(['vm-shutdown', 'vm-stop', 'vm-pause', 'vm-resume'] as const)('cannot declare a %s done: that is for what is seen', (kind) => {
    const log = aRunningVmWith(kind)
    expect(log.try({ kind: 'job-done', host: h1, job: j }).kind).toBe('stale')
  })

  it('of file work only through its disk', () => {
    const log = aMesh({ datastores: ['data'] })
    log.do({
      kind: 'disk-create',
      id: diskId('d'),
      name: 'd',
      datastore: datastoreId('data'),
      format: 'raw',
      sizeBytes: 1_048_576,
      host: h1,
      job: j,
    })
    expect(log.try(failed).kind).toBe('stale')
    expect(log.try({ kind: 'job-progress', host: h1, job: j, step: 'writing', percent: 5 }).kind).toBe('done')
    log.do({ kind: 'disk-done', host: h1, disk: diskId('d'), sizeBytes: 1_048_576 })
  })
})

describe('a wish that its host could not fulfil is taken back:', () => {
  it('a guest that ignores its power button runs on, and is wanted on', () => {
    const log = aRunningVmWith('vm-shutdown')
    log.do(failed)
    expect(jobOf(log)).toMatchObject({ phase: 'failed', error: { code: 'failed', message: 'vm-shutdown of web failed: it did not react' } })
    expect(log.vm('web')).toMatchObject({ desired: { power: 'on', paused: false }, owner: { ending: null } })
    expect(log.lastEvents()).toEqual(['job.failed'])
  })

  it('so it is where a start waits for that shutdown: the run is kept', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-shutdown', vm: web, job: jobId('s') })
    log.do({ kind: 'vm-start', vm: web, job: j })
    log.do(failed)
    expect(log.vm('web')).toMatchObject({ desired: { power: 'on', paused: false }, owner: { ending: null } })
  })

  it('a hard stop is not: the host goes on trying', () => {
    const log = aRunningVmWith('vm-stop')
    log.do(failed)
    expect(log.vm('web')).toMatchObject({ desired: { power: 'off' }, owner: { ending: 'stop' } })
  })

  it('a pause leaves the guest wanted as it is', () => {
    const log = aRunningVmWith('vm-pause')
    log.do(failed)
    expect(log.vm('web').desired).toEqual({ power: 'on', paused: false })
  })

  it('a resume of a paused guest leaves it paused, one of a broken disk does not', () => {
    const log = aRunningVmWith('vm-pause')
    log.observe('web', 'paused')
    log.do({ kind: 'vm-resume', vm: web, job: jobId('r') })
    log.do({ ...failed, job: jobId('r') })
    expect(log.vm('web').desired).toEqual({ power: 'on', paused: true })
    const broken = aRunningVmWith('vm-resume')
    broken.do(failed)
    expect(broken.vm('web').desired).toEqual({ power: 'on', paused: false })
  })

  it('a reboot changes nothing that is wanted', () => {
    const log = aRunningVmWith('vm-reboot')
    const { vms } = log.now
    log.do(failed)
    expect(log.now.vms).toBe(vms)
  })
})

it(`the newest ${ENDED_JOBS_KEPT} ended jobs are kept, and every open one`, () => {
  const { now } = aMesh()
  const ended = (at: number): Job => ({
    id: jobId(`ended-${String(at).padStart(4, '0')}`),
    kind: 'vm-start',
    object: { kind: 'vm', id: vmId('gone') },
    name: 'gone',
    phase: 'done',
    step: 'done',
    percent: 100,
    startedAt: START_AT,
    // The oldest by time is not the first by id.
    endedAt: START_AT + ((at + 500) % ENDED_JOBS_KEPT),
    error: null,
    force: false,
  })
  const jobs = new Map(Array.from({ length: ENDED_JOBS_KEPT }, (_, at) => [ended(at).id, ended(at)]))
  const log = new TestLog({ ...now, jobs })
  log.do(someVm('web', { id: vmId('web') }))
  log.do({ kind: 'vm-start', vm: web, job: jobId('a-start') }, { at: START_AT + 9_999 })
  expect(log.now.jobs.size).toBe(ENDED_JOBS_KEPT + 1)
  log.do({ kind: 'vm-stop', vm: web, job: jobId('stop') }, { at: START_AT + 10_000 })
  expect(log.now.jobs.size).toBe(ENDED_JOBS_KEPT)
  expect(log.now.jobs.has(ended(500).id)).toBe(false)
  expect(log.now.jobs.has(ended(499).id)).toBe(true)
  expect(log.now.jobs.has(jobId('a-start'))).toBe(true)
})

describe('the open job of an object', () => {
  it('is found by object, and by kind where one is asked for; ended ones are not', () => {
    const log = aRunningVmWith('vm-pause')
    expect(openJob(log.now, web)?.id).toBe('j')
    expect(openJob(log.now, web, 'vm-pause')?.id).toBe('j')
    expect(openJob(log.now, web, 'vm-start')).toBeNull()
    expect(openJob(log.now, 'db')).toBeNull()
    log.observe('web', 'paused')
    expect(openJob(log.now, web)).toBeNull()
  })
})
