// The table of what is allowed when: one row a state of a VM, every action in it, and a mend for every no.
import { describe, expect, it } from 'vitest'
import { allowed, filesOf, type VmAction } from '../../src/inventory/allowed.ts'
import { type Command } from '../../src/inventory/command.ts'
import { aMesh, aMeshWithRunningVm, hostId, jobId, someVm, type TestLog, vmId } from '../fixture/inventory.ts'

const web = vmId('web')
const ACTIONS: readonly VmAction[] = ['vm-start', 'vm-shutdown', 'vm-stop', 'vm-reboot', 'vm-pause', 'vm-resume', 'vm-respec', 'vm-delete']
const ask = (kind: 'vm-start' | 'vm-shutdown' | 'vm-stop' | 'vm-pause'): Command => ({ kind, vm: web, job: jobId(kind) })

function off(): TestLog {
  const log = aMesh()
  log.do(someVm('web'))
  return log
}

/** Wanted on without a job: given up after crashes, as far as actions go the same as waiting. */
function givenUp(): TestLog {
  const log = aMeshWithRunningVm()
  log.stop('web', 'crash')
  for (let crash = 0; crash < 2; crash += 1) {
    log.assign('web', 'h1')
    log.stop('web', 'crash')
  }
  return log
}

/** A restart after a crash: starting, with no job of a person. */
function starting(): TestLog {
  const log = aMeshWithRunningVm()
  log.stop('web', 'crash')
  log.assign('web', 'h1')
  return log
}

function seen(status: 'paused' | 'io-error' | 'shutting-down' | 'powered-off'): TestLog {
  const log = aMeshWithRunningVm()
  log.observe('web', status)
  return log
}

/** Asked to end, and the job that asked has failed: nothing else is in the way. */
function ending(): TestLog {
  const log = aMeshWithRunningVm()
  log.do(ask('vm-stop'))
  log.do({ kind: 'job-failed', host: hostId('h1'), job: jobId('vm-stop'), reasons: [] })
  return log
}

const TABLE: readonly (readonly [string, () => TestLog, readonly VmAction[]])[] = [
  ['off', off, ['vm-start', 'vm-shutdown', 'vm-stop', 'vm-respec', 'vm-delete']],
  ['waiting', givenUp, ['vm-start', 'vm-shutdown', 'vm-stop']],
  ['starting', starting, ['vm-start', 'vm-stop']],
  ['running', aMeshWithRunningVm, ['vm-start', 'vm-shutdown', 'vm-stop', 'vm-reboot', 'vm-pause', 'vm-resume']],
  ['paused', () => seen('paused'), ['vm-stop', 'vm-pause', 'vm-resume']],
  ['io-error', () => seen('io-error'), ['vm-stop', 'vm-resume']],
  ['rebooting', () => seen('shutting-down'), ['vm-shutdown', 'vm-stop']],
  ['powered off', () => seen('powered-off'), ['vm-start', 'vm-shutdown', 'vm-stop']],
  ['ending', ending, ['vm-start', 'vm-shutdown', 'vm-stop']],
]

describe.each(TABLE)('a VM that is %s', (_state, make, yes) => {
  it(`allows ${yes.join(', ')}`, () => {
    const log = make()
    expect(ACTIONS.filter((action) => allowed(log.now, action, log.vm('web')).length === 0)).toEqual(yes)
  })

  it('says of everything else what it is, what it must be, and what brings it there', () => {
    const log = make()
    for (const action of ACTIONS.filter((one) => !yes.includes(one))) {
      const [reason] = allowed(log.now, action, log.vm('web'))
      expect(reason, action).toMatchObject({ code: 'vm-state' })
      expect(reason?.message).toMatch(new RegExp(`^VM web is [a-z-]+, ${action.replace('-', ' ')} needs it [a-z]`))
      expect(reason?.fix, action).toMatch(/^(hostmesh vm (start|stop|resume) web|wait until it (is running|has rebooted))$/)
    }
  })
})

describe('the mend of a refusal', () => {
  it.each([
    ['paused', 'vm-delete', 'hostmesh vm stop web'],
    ['paused', 'vm-reboot', 'hostmesh vm resume web'],
    ['io-error', 'vm-pause', 'hostmesh vm resume web'],
    ['io-error', 'vm-respec', 'hostmesh vm stop web'],
    ['shutting-down', 'vm-start', 'wait until it has rebooted'],
    ['shutting-down', 'vm-pause', 'wait until it is running'],
    ['powered-off', 'vm-reboot', 'hostmesh vm start web'],
  ] as const)('%s, %s: %s', (status, action, fix) => {
    const log = seen(status)
    expect(allowed(log.now, action, log.vm('web'))[0]?.fix).toBe(fix)
  })

  it('for an action on a VM that is off is to start it, for one that needs it off to stop it', () => {
    const log = off()
    expect(allowed(log.now, 'vm-pause', log.vm('web'))[0]?.fix).toBe('hostmesh vm start web')
    const running = aMeshWithRunningVm()
    expect(allowed(running.now, 'vm-delete', running.vm('web'))[0]?.fix).toBe('hostmesh vm stop web')
  })
})

describe('an open job', () => {
  it('is in the way of every action that does not push it aside', () => {
    const log = aMeshWithRunningVm()
    log.do(ask('vm-pause'))
    const blocked = ACTIONS.filter((action) => allowed(log.now, action, log.vm('web')).some(({ code }) => code === 'job-open'))
    expect(blocked).toEqual(ACTIONS.filter((action) => action !== 'vm-stop'))
    const [reason] = allowed(log.now, 'vm-reboot', log.vm('web'))
    expect(reason).toEqual({
      code: 'job-open',
      message: 'job vm-pause (vm-pause of web: pausing) is at work on it',
      fix: 'hostmesh job wait vm-pause, or hostmesh job cancel vm-pause',
    })
  })

  it.each([
    ['vm-shutdown', ['vm-start', 'vm-stop']],
    ['vm-stop', ['vm-start']],
  ] as const)('of a %s gives way to %j', (kind, yields) => {
    const log = aMeshWithRunningVm()
    log.do(ask(kind))
    expect(ACTIONS.filter((action) => allowed(log.now, action, log.vm('web')).every(({ code }) => code !== 'job-open'))).toEqual(yields)
  })

  it('of a start that waits gives way to shutdown and stop', () => {
    const log = off()
    log.do(ask('vm-start'))
    expect(ACTIONS.filter((action) => allowed(log.now, action, log.vm('web')).every(({ code }) => code !== 'job-open'))).toEqual([
      'vm-shutdown',
      'vm-stop',
    ])
  })
})

it('the files of a VM are its CD-ROM, kernel and initrd, where it has them', () => {
  const spec = { cdrom: 'a/1.iso', boot: { kernel: 'a/2', initrd: 'b/3', append: '' } }
  expect(filesOf({ spec })).toEqual(['a/1.iso', 'a/2', 'b/3'])
  expect(filesOf({ spec: { cdrom: null, boot: { kernel: 'a/2', initrd: null, append: '' } } })).toEqual(['a/2'])
  expect(filesOf({ spec: { cdrom: null, boot: null } })).toEqual([])
})
