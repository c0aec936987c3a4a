// What a host does about each difference between what is wanted and what it observes.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { type Action, reconcile, type HostView } from '../../src/host/reconcile.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { type Epoch, type VmStatus } from '../../src/inventory/model.ts'
import { sameEpoch, wantedRun } from '../../src/inventory/view.ts'
import { type ObservedRun } from '../../src/vm/driver.ts'
import { aMesh, aMeshWithRunningVm, hostId, jobId, someVm, TestLog, TERM, vmId } from '../fixture/inventory.ts'

const web = vmId('web')
const FIRST: Epoch = { generation: 1, counter: 1 }
const SECOND: Epoch = { generation: 1, counter: 2 }

function live(status: VmStatus, epoch: Epoch = FIRST): ObservedRun {
  return { kind: 'live', vm: web, epoch, status, pid: 42 }
}

function ended(intent: 'off' | 'crash', epoch: Epoch = FIRST): ObservedRun {
  return { kind: 'ended', vm: web, epoch, intent, reasons: [] }
}

function view(inventory: Inventory, runs: readonly ObservedRun[], rest: Partial<HostView> = {}): HostView {
  return { self: hostId('h1'), inventory, runs, asked: new Map(), nowMs: 0, shutdownTimeoutMs: 90_000, ...rest }
}

function running(...more: ((log: TestLog) => void)[]): Inventory {
  const log = aMeshWithRunningVm()
  for (const step of more) step(log)
  return log.now
}

function assigned(...more: ((log: TestLog) => void)[]): Inventory {
  const log = aMesh({ hosts: 3 })
  log.do(someVm('web'))
  log.do({ kind: 'vm-start', vm: web, job: jobId('start') })
  log.assign('web', 'h1')
  for (const step of more) step(log)
  return log.now
}

const ask = (kind: 'vm-shutdown' | 'vm-stop' | 'vm-pause' | 'vm-resume') => (log: TestLog) => log.do({ kind, vm: web, job: jobId(kind) })
const reboot = (force: boolean) => (log: TestLog) => log.do({ kind: 'vm-reboot', vm: web, force, job: jobId('reboot') })

describe('a VM that this host owns', () => {
  it('is left alone while it runs as wanted and as reported', () => {
    expect(reconcile(view(running(), [live('running')]))).toEqual([])
  })

  it('is started when its epoch never ran here', () => {
    expect(reconcile(view(assigned(), []))).toEqual([{ kind: 'start', vm: web, epoch: FIRST }])
  })

  it('is started under its own epoch although an older run ended here', () => {
    const inventory = running(
      (log) => log.stop('web', 'crash'),
      (log) => log.assign('web', 'h1'),
    )
    expect(reconcile(view(inventory, [ended('crash')]))).toEqual([
      { kind: 'forget', vm: web, epoch: FIRST },
      { kind: 'start', vm: web, epoch: SECOND },
    ])
  })

  it('gives an epoch back that was assigned and is wanted no longer, so that it can never start', () => {
    expect(reconcile(view(assigned(ask('vm-stop')), []))).toEqual([{ kind: 'end', vm: web, epoch: FIRST, intent: 'off', fresh: true }])
  })

  it('is not started by a host that does not own it', () => {
    expect(reconcile(view(assigned(), [], { self: hostId('h2') }))).toEqual([])
  })

  it('is reported when its status is another than the mesh knows', () => {
    expect(reconcile(view(running(), [live('io-error')]))).toEqual([{ kind: 'report-status', vm: web, epoch: FIRST, status: 'io-error' }])
    expect(reconcile(view(assigned(), [live('running')]))).toEqual([{ kind: 'report-status', vm: web, epoch: FIRST, status: 'running' }])
  })

  it('is reported stopped when its run has ended, with the reason', () => {
    const run: ObservedRun = { kind: 'ended', vm: web, epoch: FIRST, intent: 'crash', reasons: [{ code: 'killed', message: 'signal 9' }] }
    expect(reconcile(view(running(), [run]))).toEqual([
      { kind: 'report-stopped', vm: web, epoch: FIRST, intent: 'crash', reasons: [{ code: 'killed', message: 'signal 9' }] },
    ])
  })

  it('is ended as off when its guest switched itself off', () => {
    expect(reconcile(view(running(), [live('powered-off')]))).toEqual([{ kind: 'end', vm: web, epoch: FIRST, intent: 'off', fresh: false }])
  })

  it('is paused and resumed as wanted', () => {
    expect(reconcile(view(running(ask('vm-pause')), [live('running')]))).toEqual([{ kind: 'pause', vm: web, epoch: FIRST }])
    const resumed = running(ask('vm-pause'), (log) => log.observe('web', 'paused'), ask('vm-resume'))
    expect(reconcile(view(resumed, [live('paused')]))).toEqual([{ kind: 'resume', vm: web, epoch: FIRST }])
  })

  it('runs on, and does what is wanted, after a press of its power button that came to nothing', () => {
    const givenUp = running(
      reboot(false),
      (log) => log.observe('web', 'shutting-down'),
      (log) => log.do({ kind: 'job-failed', host: hostId('h1'), job: jobId('reboot'), reasons: [] }),
    )
    expect(reconcile(view(givenUp, [live('shutting-down')]))).toEqual([{ kind: 'report-status', vm: web, epoch: FIRST, status: 'running' }])
    expect(reconcile(view(running(ask('vm-pause')), [live('shutting-down')]))).toEqual([{ kind: 'pause', vm: web, epoch: FIRST }])
  })

  it('is resumed after an error of its disk only when a person asks for it', () => {
    const broken = running((log) => log.observe('web', 'io-error'))
    expect(reconcile(view(broken, [live('io-error')]))).toEqual([])
    const mended = running((log) => log.observe('web', 'io-error'), ask('vm-resume'))
    expect(reconcile(view(mended, [live('io-error')]))).toEqual([{ kind: 'resume', vm: web, epoch: FIRST }])
  })

  it('is ended at once when a hard stop is wanted', () => {
    expect(reconcile(view(running(ask('vm-stop')), [live('running')]))).toEqual([
      { kind: 'end', vm: web, epoch: FIRST, intent: 'off', fresh: false },
    ])
  })
})

describe('a shutdown', () => {
  const inventory = running(ask('vm-shutdown'))
  const job = jobId('vm-shutdown')
  const asked = new Map([[web, { epoch: FIRST, job, askedAtMs: 1_000 }]])

  it('presses the power button once', () => {
    expect(reconcile(view(inventory, [live('running')]))).toEqual([{ kind: 'shutdown', vm: web, epoch: FIRST, job }])
    expect(reconcile(view(inventory, [live('running')], { asked, nowMs: 90_999 }))).toEqual([])
  })

  it('is pressed again for another run or another job', () => {
    const other = new Map([[web, { epoch: FIRST, job: jobId('earlier'), askedAtMs: 1_000 }]])
    expect(reconcile(view(inventory, [live('running')], { asked: other, nowMs: 2_000 }))).toEqual([
      { kind: 'shutdown', vm: web, epoch: FIRST, job },
    ])
  })

  it('fails exactly when its time is over', () => {
    expect(reconcile(view(inventory, [live('running')], { asked, nowMs: 91_000 }))).toEqual([
      { kind: 'shutdown-expired', vm: web, epoch: FIRST, job },
    ])
  })

  it('fails the start that waits for its end just so, or that would wait for ever', () => {
    const log = new TestLog(inventory)
    log.do({ kind: 'vm-start', vm: web, job: jobId('again') })
    const waiting = new Map([[web, { epoch: FIRST, job: jobId('again'), askedAtMs: 1_000 }]])
    expect(reconcile(view(log.now, [live('running')], { asked: waiting, nowMs: 91_000 }))).toEqual([
      { kind: 'shutdown-expired', vm: web, epoch: FIRST, job: 'again' },
    ])
  })

  it('first wakes a paused guest, which could not hear it', () => {
    expect(reconcile(view(inventory, [live('paused')]))).toEqual([{ kind: 'resume', vm: web, epoch: FIRST }])
  })

  it('ends the run once the guest is off', () => {
    expect(reconcile(view(inventory, [live('powered-off')], { asked }))).toEqual([
      { kind: 'end', vm: web, epoch: FIRST, intent: 'off', fresh: false },
    ])
  })
})

describe('a reboot', () => {
  const job = jobId('reboot')

  it('asks the guest, then resets it when it is off, and keeps the run', () => {
    const inventory = running(reboot(false))
    expect(reconcile(view(inventory, [live('running')]))).toEqual([{ kind: 'shutdown', vm: web, epoch: FIRST, job }])
    expect(reconcile(view(inventory, [live('powered-off')]))).toEqual([{ kind: 'reset', vm: web, epoch: FIRST, job }])
  })

  it('resets at once when forced', () => {
    expect(reconcile(view(running(reboot(true)), [live('running')]))).toEqual([{ kind: 'reset', vm: web, epoch: FIRST, job }])
  })
})

describe('a run that this host does not own', () => {
  it('is ended after a fresh look when the mesh has moved on', () => {
    const inventory = running(
      (log) => log.stop('web', 'host-down'),
      (log) => log.assign('web', 'h2'),
    )
    expect(reconcile(view(inventory, [live('running')]))).toEqual([{ kind: 'end', vm: web, epoch: FIRST, intent: 'off', fresh: true }])
  })

  it('is left alone while its epoch is newer than what this host has applied', () => {
    expect(
      reconcile(view(assigned(), [live('running', SECOND)])).filter((action) => 'epoch' in action && sameEpoch(action.epoch, SECOND)),
    ).toEqual([])
  })

  describe('of a generation that was given up, newer than what the next one began with', () => {
    const before = running()
    const inventory: Inventory = { ...before, mesh: { ...present(before.mesh, 'mesh'), generation: 2 } }
    const reported = { kind: 'report-stopped', vm: web, epoch: FIRST, intent: 'host-down', reasons: [{ code: 'given-up' }] }

    it('is ended first, then the ownership that is known here; nothing is started beside it', () => {
      expect(reconcile(view(inventory, [live('running', SECOND)]))).toEqual([
        { kind: 'end', vm: web, epoch: SECOND, intent: 'host-down', fresh: true },
      ])
      expect(reconcile(view(inventory, [ended('crash', SECOND)]))).toMatchObject([reported])
    })

    it('is ended and forgotten where another host owns the VM', () => {
      const elsewhere = { self: hostId('h2') }
      expect(reconcile(view(inventory, [live('running', SECOND)], elsewhere))).toMatchObject([{ kind: 'end', epoch: SECOND }])
      expect(reconcile(view(inventory, [ended('crash', SECOND)], elsewhere))).toEqual([{ kind: 'forget', vm: web, epoch: SECOND }])
    })

    it('does not concern the run that the next one knows', () => {
      expect(reconcile(view(inventory, [live('running')]))).toEqual([])
    })
  })

  it('is forgotten once its end is known to the mesh', () => {
    expect(
      reconcile(
        view(
          running((log) => log.stop('web', 'crash')),
          [ended('crash')],
        ),
      ),
    ).toEqual([{ kind: 'forget', vm: web, epoch: FIRST }])
  })
})

describe('any mixture of wishes and runs', () => {
  const statuses = ['starting', 'running', 'paused', 'io-error', 'shutting-down', 'powered-off'] as const
  const epochs = fc.record({ generation: fc.constant(1), counter: fc.integer({ min: 1, max: 3 }) })
  const run = fc.oneof(
    fc.record({ status: fc.constantFrom(...statuses), epoch: epochs }).map(({ status, epoch }) => live(status, epoch)),
    fc
      .record({ intent: fc.constantFrom('off' as const, 'crash' as const), epoch: epochs })
      .map(({ intent, epoch }) => ended(intent, epoch)),
  )
  const histories = fc.array(
    fc.constantFrom('vm-start', 'assign-h1', 'assign-h2', 'running', 'vm-stop', 'vm-shutdown', 'vm-pause', 'crash', 'reboot'),
    {
      maxLength: 12,
    },
  )

  it('never starts what the ledger knows, never ends what should run here, and reports every end that it owns', () => {
    fc.assert(
      fc.property(histories, fc.uniqueArray(run, { selector: ({ epoch }) => epoch.counter, maxLength: 3 }), (history, runs) => {
        const inventory = play(history)
        const actions = reconcile(view(inventory, runs))
        const vm = inventory.vms.get(web)
        const mine = vm?.owner?.host === hostId('h1') ? vm.owner.epoch : null
        for (const action of actions) {
          if (!('epoch' in action)) continue
          const known = runs.find(({ epoch }) => sameEpoch(epoch, action.epoch))
          const owned = mine !== null && sameEpoch(mine, action.epoch)
          if (action.kind === 'start') expect({ known, owned }).toEqual({ known: undefined, owned: true })
          if (action.kind === 'end' && owned && known?.kind === 'live' && known.status !== 'powered-off') {
            expect(vm === undefined ? null : wantedRun(vm).kind).toBe('end')
          }
          if (action.kind === 'forget') expect({ kind: known?.kind, owned }).toEqual({ kind: 'ended', owned: false })
        }
        for (const { kind, epoch } of runs) {
          const owned = mine !== null && sameEpoch(mine, epoch)
          if (kind === 'ended' && owned) expect(kindsFor(actions, epoch)).toEqual(['report-stopped'])
          expect(kindsFor(actions, epoch).length).toBeLessThanOrEqual(1)
        }
      }),
    )
  })
})

function kindsFor(actions: readonly Action[], epoch: Epoch): readonly string[] {
  return actions.filter((action) => 'epoch' in action && sameEpoch(action.epoch, epoch)).map(({ kind }) => kind)
}

/** Steps that the rules refuse in the state of the moment change nothing, which is as good a history as any. */
function play(history: readonly string[]): Inventory {
  const log = aMesh({ hosts: 3 })
  log.do(someVm('web'))
  history.forEach((step, at) => {
    const job = jobId(`job-${at}`)
    const owner = log.vm('web').owner
    if (step === 'assign-h1' || step === 'assign-h2') {
      const epoch = { generation: 1, counter: log.vm('web').lastEpoch.counter + 1 }
      log.try({ kind: 'vm-assign', leaderTerm: TERM, vm: web, to: hostId(step.slice(-2)), epoch, reasons: [] })
    } else if (step === 'running' && owner !== null) log.observe('web', 'running')
    else if (step === 'crash' && owner !== null) log.stop('web', 'crash')
    else if (step === 'reboot') log.try({ kind: 'vm-reboot', vm: web, force: at % 2 === 0, job })
    else if (step === 'vm-start' || step === 'vm-stop' || step === 'vm-shutdown' || step === 'vm-pause')
      log.try({ kind: step, vm: web, job })
  })
  return log.now
}
