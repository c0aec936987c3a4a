// What people want a VM to do, and how their wishes meet each other and what the VM does meanwhile.
import { describe, expect, it } from 'vitest'
import { type Command } from '../../src/inventory/command.ts'
import { wantedRun } from '../../src/inventory/view.ts'
import { aMesh, aMeshWithRunningVm, hostId, jobId, someVm, type TestLog, vmId } from '../fixture/inventory.ts'

const web = vmId('web')
type Verb = 'vm-start' | 'vm-shutdown' | 'vm-stop' | 'vm-pause' | 'vm-resume'

const verb = (kind: Verb, job: string = kind): Command => ({ kind, vm: web, job: jobId(job) })
const reboot = (force = false, job = 'vm-reboot'): Command => ({ kind: 'vm-reboot', vm: web, force, job: jobId(job) })
const jobOf = (log: TestLog, job: string) => log.now.jobs.get(jobId(job))
const phaseOf = (log: TestLog, job: string) => jobOf(log, job)?.phase

function aMeshWithVm(): TestLog {
  const log = aMesh()
  log.do(someVm('web'))
  return log
}

describe('vm-start', () => {
  it('wants the VM on; its job is done when the run of the new epoch runs', () => {
    const log = aMeshWithVm()
    expect(log.try(verb('vm-start'))).toEqual({ kind: 'done', value: { id: 'web', job: 'vm-start' } })
    expect(jobOf(log, 'vm-start')).toMatchObject({ phase: 'waiting', step: 'placing', kind: 'vm-start', force: false, percent: 0 })
    log.assign('web', 'h1')
    expect(jobOf(log, 'vm-start')).toMatchObject({ phase: 'working', step: 'booting on h1' })
    log.observe('web', 'starting')
    expect(phaseOf(log, 'vm-start')).toBe('working')
    log.observe('web', 'running')
    expect(jobOf(log, 'vm-start')).toMatchObject({ phase: 'done', percent: 100, step: 'running on h1' })
  })

  it('of a VM that runs is done without a job', () => {
    const log = aMeshWithRunningVm()
    expect(log.try(verb('vm-start'))).toEqual({ kind: 'done', value: { id: 'web' } })
    expect(log.steps.at(-1)?.changes).toEqual([])
  })

  it('of a VM that is being started is a conflict that names the job', () => {
    const log = aMeshWithVm()
    log.do(verb('vm-start'))
    const again = log.try(verb('vm-start', 'again'))
    expect(again).toMatchObject({ kind: 'refused', code: 'conflict', reasons: [{ code: 'job-open' }] })
    expect(again.kind === 'refused' && again.reasons[0]?.fix).toContain('vm-start')
  })

  it('of a paused VM is refused: resume is what mends it', () => {
    const log = aMeshWithRunningVm()
    log.do(verb('vm-pause'))
    log.observe('web', 'paused')
    expect(log.try(verb('vm-start'))).toMatchObject({ reasons: [{ code: 'vm-state', fix: 'hostmesh vm resume web' }] })
  })

  it('of nothing is not found, and under a job id that exists refused', () => {
    const log = aMeshWithVm()
    expect(log.try({ kind: 'vm-start', vm: vmId('db'), job: jobId('j') })).toMatchObject({ kind: 'refused', code: 'not-found' })
    log.do(verb('vm-start'))
    log.do(verb('vm-stop'))
    expect(log.try(verb('vm-start'))).toMatchObject({ reasons: [{ code: 'id-taken' }] })
  })

  it('clears what went wrong before', () => {
    const log = aMeshWithVm()
    log.do(verb('vm-start'))
    log.assign('web', 'h1')
    log.stop('web', 'start-failed')
    expect(log.vm('web').fault?.kind).toBe('start-failed')
    log.do(verb('vm-start', 'again'))
    expect(log.vm('web')).toMatchObject({ fault: null, crashes: 0, desired: { power: 'on' } })
  })
})

describe('vm-shutdown and vm-stop', () => {
  it.each(['vm-shutdown', 'vm-stop'] as const)('%s asks the run to end, and is done when it has ended', (kind) => {
    const log = aMeshWithRunningVm()
    expect(log.try(verb(kind))).toEqual({ kind: 'done', value: { id: 'web', job: kind } })
    const how = kind === 'vm-stop' ? 'stop' : 'shutdown'
    expect(log.vm('web')).toMatchObject({ desired: { power: 'off', how }, owner: { host: 'h1', ending: how } })
    expect(wantedRun(log.vm('web'))).toEqual({ kind: 'end', how })
    log.stop('web', 'off')
    expect(log.vm('web')).toMatchObject({ owner: null, desired: { power: 'off' }, fault: null })
    expect(phaseOf(log, kind)).toBe('done')
    expect(log.lastEvents()).toEqual(['vm.stopped'])
  })

  it.each(['vm-shutdown', 'vm-stop'] as const)('%s of a VM that is off is done without a job', (kind) => {
    const log = aMeshWithVm()
    expect(log.try(verb(kind))).toEqual({ kind: 'done', value: { id: 'web' } })
    expect(log.now.jobs.size).toBe(0)
    expect(log.lastEvents()).toEqual([])
  })

  it.each(['vm-shutdown', 'vm-stop'] as const)('%s of a VM that waits for a place makes it off at once and cancels the start', (kind) => {
    const log = aMeshWithVm()
    log.do(verb('vm-start'))
    expect(log.try(verb(kind))).toEqual({ kind: 'done', value: { id: 'web' } })
    expect(log.vm('web').desired.power).toBe('off')
    expect(jobOf(log, 'vm-start')).toMatchObject({ phase: 'cancelled', step: `superseded by ${kind}` })
  })

  it('a stop overtakes a shutdown that the guest ignores, and a later shutdown does not soften it', () => {
    const log = aMeshWithRunningVm()
    log.do(verb('vm-shutdown'))
    log.do(verb('vm-stop'))
    expect(phaseOf(log, 'vm-shutdown')).toBe('cancelled')
    expect(log.vm('web').owner?.ending).toBe('stop')
    expect(log.try(verb('vm-shutdown', 'again'))).toMatchObject({ code: 'conflict' })
    log.do(verb('vm-start'))
    log.do(verb('vm-shutdown', 'again'))
    expect(log.vm('web')).toMatchObject({ desired: { power: 'off', how: 'stop' }, owner: { ending: 'stop' } })
  })

  it('a second shutdown is a conflict with the first', () => {
    const log = aMeshWithRunningVm()
    log.do(verb('vm-shutdown'))
    expect(log.try(verb('vm-shutdown', 'again'))).toMatchObject({ kind: 'refused', code: 'conflict' })
  })

  it('a stop pushes aside whatever else is wanted of the run', () => {
    for (const other of [reboot(), verb('vm-pause')]) {
      const log = aMeshWithRunningVm()
      log.do(other)
      log.do(verb('vm-stop'))
      expect(phaseOf(log, other.kind)).toBe('cancelled')
      expect(phaseOf(log, 'vm-stop')).toBe('waiting')
    }
  })

  it('a shutdown of a guest that cannot hear its power button is refused', () => {
    const log = aMeshWithVm()
    log.do(verb('vm-start'))
    log.assign('web', 'h1')
    expect(log.try(verb('vm-shutdown'))).toMatchObject({ reasons: [{ code: 'vm-state', fix: 'hostmesh vm stop web' }] })
    log.observe('web', 'running')
    log.do(verb('vm-pause'))
    log.observe('web', 'paused')
    expect(log.try(verb('vm-shutdown', 's2'))).toMatchObject({ reasons: [{ code: 'vm-state', fix: 'hostmesh vm resume web' }] })
    expect(log.try(verb('vm-stop')).kind).toBe('done')
  })

  it('shows how far the guest is', () => {
    const log = aMeshWithRunningVm()
    log.do(verb('vm-shutdown'))
    log.observe('web', 'shutting-down')
    expect(jobOf(log, 'vm-shutdown')).toMatchObject({ phase: 'working', step: 'the guest is shutting down' })
    log.observe('web', 'powered-off')
    expect(jobOf(log, 'vm-shutdown')).toMatchObject({ phase: 'working', step: 'the guest has powered off' })
  })

  it('a stop takes note of a fault: afterwards the VM is simply off', () => {
    const log = aMeshWithVm()
    log.do(verb('vm-start'))
    log.assign('web', 'h1')
    log.stop('web', 'start-failed')
    log.do(verb('vm-stop'))
    expect(log.vm('web').fault).toBeNull()
  })
})

describe('a start that comes while the run is asked to end', () => {
  it('is for the next run: the old one ends, the VM stays wanted on, and the job is done by the new run only', () => {
    const log = aMeshWithRunningVm()
    log.do(verb('vm-shutdown'))
    log.do(verb('vm-start'))
    expect(phaseOf(log, 'vm-shutdown')).toBe('cancelled')
    expect(jobOf(log, 'vm-start')).toMatchObject({ phase: 'waiting', step: 'waiting for the last run to end' })
    expect(wantedRun(log.vm('web'))).toEqual({ kind: 'end', how: 'shutdown' })
    log.observe('web', 'shutting-down')
    log.observe('web', 'running')
    expect(phaseOf(log, 'vm-start')).toBe('waiting')
    log.stop('web', 'off')
    expect(log.vm('web')).toMatchObject({ owner: null, desired: { power: 'on' } })
    expect(jobOf(log, 'vm-start')).toMatchObject({ phase: 'waiting', step: 'placing' })
    log.assign('web', 'h2')
    log.observe('web', 'running')
    expect(phaseOf(log, 'vm-start')).toBe('done')
    expect(log.vm('web').owner).toMatchObject({ host: 'h2', epoch: { generation: 1, counter: 2 } })
  })

  it.each(['crash', 'start-failed', 'host-down'] as const)('is honoured however the old run ends: %s', (intent) => {
    const log = aMeshWithRunningVm()
    log.do(verb('vm-stop'))
    log.do(verb('vm-start'))
    log.stop('web', intent)
    expect(log.vm('web')).toMatchObject({ owner: null, desired: { power: 'on' }, crashes: 0, fault: null })
    expect(phaseOf(log, 'vm-start')).toBe('waiting')
  })

  it('also counts where the guest has powered itself off, but its host has not reported the end yet', () => {
    const log = aMeshWithRunningVm()
    log.observe('web', 'powered-off')
    log.do(verb('vm-start'))
    log.stop('web', 'off')
    expect(log.vm('web').desired.power).toBe('on')
  })

  it('can be taken back by a further stop', () => {
    const log = aMeshWithRunningVm()
    log.do(verb('vm-stop'))
    log.do(verb('vm-start'))
    log.do(verb('vm-stop', 'again'))
    log.stop('web', 'off')
    expect(log.vm('web').desired.power).toBe('off')
    expect(phaseOf(log, 'again')).toBe('done')
  })
})

describe('vm-pause and vm-resume', () => {
  it('are done when the guest is seen so', () => {
    const log = aMeshWithRunningVm()
    log.do(verb('vm-pause'))
    expect(log.vm('web').desired).toEqual({ power: 'on', paused: true })
    expect(phaseOf(log, 'vm-pause')).toBe('waiting')
    log.observe('web', 'paused')
    expect(phaseOf(log, 'vm-pause')).toBe('done')
    expect(log.lastEvents()).toEqual(['vm.paused'])
    log.do(verb('vm-resume'))
    expect(log.vm('web').desired).toEqual({ power: 'on', paused: false })
    log.observe('web', 'running')
    expect(phaseOf(log, 'vm-resume')).toBe('done')
    expect(log.lastEvents()).toEqual(['vm.resumed'])
  })

  it('are done without a job where it is so already', () => {
    const log = aMeshWithRunningVm()
    expect(log.try(verb('vm-resume'))).toEqual({ kind: 'done', value: { id: 'web' } })
    log.do(verb('vm-pause'))
    log.observe('web', 'paused')
    expect(log.try(verb('vm-pause', 'again'))).toEqual({ kind: 'done', value: { id: 'web' } })
  })

  it('a guest that QEMU holds for a disk error is resumed, and fails again with the reason', () => {
    const log = aMeshWithRunningVm()
    log.observe('web', 'io-error')
    expect(log.lastEvents()).toEqual(['vm.io-error'])
    expect(log.try(verb('vm-pause'))).toMatchObject({ reasons: [{ code: 'vm-state', fix: 'hostmesh vm resume web' }] })
    log.do(verb('vm-resume'))
    log.observe('web', 'running')
    expect(phaseOf(log, 'vm-resume')).toBe('done')
    log.observe('web', 'io-error')
    log.do(verb('vm-resume', 'again'))
    log.observe('web', 'shutting-down')
    log.observe('web', 'io-error')
    expect(jobOf(log, 'again')).toMatchObject({ phase: 'failed', error: { reasons: [{ code: 'io-error' }] } })
  })

  it.each(['vm-pause', 'vm-resume'] as const)('%s of a VM that is off is refused: start is what mends it', (kind) => {
    expect(aMeshWithVm().try(verb(kind))).toMatchObject({ reasons: [{ code: 'vm-state', fix: 'hostmesh vm start web' }] })
  })

  it('a start of a VM that is wanted paused before it runs, is done when it is seen paused', () => {
    const log = aMeshWithRunningVm()
    log.do(verb('vm-pause'))
    log.observe('web', 'paused')
    log.stop('web', 'host-down')
    expect(log.vm('web').desired).toEqual({ power: 'on', paused: true })
    log.assign('web', 'h2')
    log.observe('web', 'paused')
    expect(log.lastEvents()).toEqual(['vm.started'])
  })
})

describe('vm-reboot', () => {
  it('stays within the run, and its host says when it is done', () => {
    const log = aMeshWithRunningVm()
    log.do(reboot(true))
    expect(jobOf(log, 'vm-reboot')).toMatchObject({ force: true, step: 'resetting' })
    const owner = log.vm('web').owner
    log.observe('web', 'shutting-down')
    log.observe('web', 'powered-off')
    log.observe('web', 'running')
    expect(phaseOf(log, 'vm-reboot')).toBe('waiting')
    log.do({ kind: 'job-done', host: hostId('h1'), job: jobId('vm-reboot') })
    expect(phaseOf(log, 'vm-reboot')).toBe('done')
    expect(log.vm('web').owner).toEqual(owner)
  })

  it('that loses its run is completed by the next one', () => {
    const log = aMeshWithRunningVm()
    log.do(reboot())
    expect(jobOf(log, 'vm-reboot')).toMatchObject({ force: false, step: 'asking the guest to shut down' })
    log.stop('web', 'off')
    expect(log.vm('web').desired.power).toBe('on')
    expect(phaseOf(log, 'vm-reboot')).toBe('waiting')
    log.assign('web', 'h1')
    log.observe('web', 'running')
    expect(phaseOf(log, 'vm-reboot')).toBe('done')
  })

  it('fails where the next run cannot be', () => {
    const log = aMeshWithRunningVm()
    log.do(reboot())
    log.stop('web', 'start-failed')
    expect(jobOf(log, 'vm-reboot')).toMatchObject({ phase: 'failed', error: { reasons: [{ code: 'start-failed' }] } })
  })

  it.each(['vm-start', 'off'] as const)('is refused while the VM is %s', (state) => {
    const log = aMeshWithVm()
    if (state === 'vm-start') log.do(verb('vm-start'))
    expect(log.try(reboot())).toMatchObject({ kind: 'refused' })
  })

  it('is never done already: a second one is a conflict', () => {
    const log = aMeshWithRunningVm()
    log.do(reboot())
    expect(log.try(reboot(false, 'again'))).toMatchObject({ code: 'conflict' })
  })
})
