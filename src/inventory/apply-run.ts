// Runs: a VM is given to a host under a new epoch, its host reports what it sees, and only that host's `vm-stopped` ends the ownership.
import { type Reason } from '../base/errors.ts'
import { canonicalJson } from './canonical-json.ts'
import { type Command } from './command.ts'
import { type Draft } from './draft.ts'
import { failJob, finishJob, holdJob, moveJob } from './jobs.ts'
import { type CommandResult, type Job, type Owner, type StopIntent, type Vm, type VmStatus } from './model.ts'
import { openJob } from './open-jobs.ts'
import { done, stale } from './results.ts'
import { type HeldCause, heldReason, heldWhy } from './held-vms.ts'
import { formatEpoch, hostName, needsHost, nextEpoch, sameEpoch, unreadyDisks } from './view.ts'

/** A VM that crashes is started again this often without a person; then it stays down until `vm start`. A guest that cannot live must not loop. */
export const CRASH_RESTARTS = 2

type RunCommand = Extract<Command, { kind: 'vm-assign' | 'vm-unplaceable' | 'vm-observed' | 'vm-stopped' }>

export function applyRun(draft: Draft, command: RunCommand): CommandResult {
  const vm = draft.state.vms.get(command.vm)
  if (vm === undefined) return stale(`VM ${command.vm} is gone`)
  switch (command.kind) {
    case 'vm-assign':
      return assign(draft, vm, command)
    case 'vm-unplaceable':
      return unplaceable(draft, vm, command.reasons)
    case 'vm-observed':
      return observed(draft, vm, command)
    case 'vm-stopped':
      return stopped(draft, vm, command)
  }
}

/** The only way to an ownership. A decision whose ground has changed since is a no-op that says so. */
function assign(draft: Draft, vm: Vm, command: Extract<Command, { kind: 'vm-assign' }>): CommandResult {
  const { to, epoch } = command
  if (vm.owner !== null) return stale(`VM ${vm.name} is owned by ${hostName(draft.state, vm.owner.host)}`)
  if (!needsHost(vm)) return stale(`VM ${vm.name} is not wanted on, or given up`)
  const next = nextEpoch(draft.state, vm)
  if (!sameEpoch(epoch, next)) return stale(`VM ${vm.name} can only start as epoch ${formatEpoch(next)}, not ${formatEpoch(epoch)}`)
  const host = draft.state.hosts.get(to)
  if (host === undefined || host.role !== 'host' || host.status !== 'up') return stale(`host ${hostName(draft.state, to)} takes no VMs`)
  const unready = unreadyDisks(draft.state, vm)
  if (unready.length > 0) return stale(`VM ${vm.name} waits for disk ${unready[0]?.name}`)
  draft.put('vms', { ...vm, owner: { host: to, epoch, ending: null }, lastEpoch: epoch, observed: null, fault: null })
  draft.event('vm.assigned', `vm ${vm.name}`, { id: vm.id, host: to, epoch: formatEpoch(epoch), reasons: command.reasons })
  const job = openJob(draft.state, vm.id)
  if (job !== null) moveJob(draft, job, `booting on ${host.name}`, 30)
  return done({ id: vm.id })
}

/** Told once for the same reasons: a leader that looks every second must not fill the log. */
function unplaceable(draft: Draft, vm: Vm, reasons: readonly Reason[]): CommandResult {
  if (!needsHost(vm)) return stale(`VM ${vm.name} needs no host`)
  const told = vm.fault?.kind === 'unplaceable' && canonicalJson(vm.fault.reasons) === canonicalJson(reasons)
  if (told) return done({ id: vm.id })
  draft.put('vms', { ...vm, fault: { kind: 'unplaceable', reasons, at: draft.at } })
  draft.event('vm.unplaceable', `vm ${vm.name}`, { id: vm.id, reasons })
  const job = openJob(draft.state, vm.id, 'vm-start')
  if (job !== null) holdJob(draft, job, `no host has a place: ${reasons[0]?.message ?? 'there is no host'}`)
  return done({ id: vm.id })
}

function isOwner(vm: Vm, report: Pick<Owner, 'host' | 'epoch'>): vm is Vm & { readonly owner: Owner } {
  return vm.owner !== null && vm.owner.host === report.host && sameEpoch(vm.owner.epoch, report.epoch)
}

function observed(draft: Draft, vm: Vm, command: Extract<Command, { kind: 'vm-observed' }>): CommandResult {
  if (!isOwner(vm, command)) return stale(`VM ${vm.name} is not owned by this host as epoch ${formatEpoch(command.epoch)}`)
  const { epoch, status, host } = command
  const before = vm.observed?.status ?? 'starting'
  if (vm.observed !== null && before === status) return done({ id: vm.id })
  draft.put('vms', { ...vm, observed: { epoch, status, since: draft.at } })
  const type = eventOf(before, status)
  if (type !== null) draft.event(type, `vm ${vm.name}`, { id: vm.id, host, epoch: formatEpoch(epoch) })
  const job = openJob(draft.state, vm.id)
  if (job !== null) moveByStatus(draft, vm.owner, job, { before, status })
  return done({ id: vm.id })
}

function eventOf(before: VmStatus, status: VmStatus): string | null {
  if (before === 'starting')
    return status === 'running' || status === 'paused' ? 'vm.started' : status === 'io-error' ? 'vm.io-error' : null
  switch (status) {
    case 'running':
      // Out of a shutdown or a power-off it is a reboot, done or given up: its job tells of that.
      return before === 'paused' || before === 'io-error' ? 'vm.resumed' : null
    case 'paused':
      return 'vm.paused'
    case 'io-error':
      return 'vm.io-error'
    default:
      return null
  }
}

interface StatusStep {
  readonly before: VmStatus
  readonly status: VmStatus
}

/** A status ends the job that waited for it. What a run does that was asked to end, tells nothing about the run that a start waits for. */
function moveByStatus(draft: Draft, owner: Owner, job: Job, { before, status }: StatusStep): void {
  const first = before === 'starting' && (status === 'running' || status === 'paused')
  switch (job.kind) {
    case 'vm-start':
      if (owner.ending !== null) return
      if (first || status === 'running') return finishJob(draft, job, `${status} on ${hostName(draft.state, owner.host)}`)
      if (status === 'io-error') return failJob(draft, job, [ioError(job.name)])
      return
    case 'vm-reboot':
      // Only where the reboot took a new run: within one, the host reports the job itself.
      return first ? finishJob(draft, job, 'rebooted') : status === 'io-error' ? failJob(draft, job, [ioError(job.name)]) : undefined
    case 'vm-pause':
      // QEMU was first: it holds the guest for a person to mend its disk, and takes no pause.
      if (status === 'io-error') return failJob(draft, job, [ioError(job.name)])
      return status === 'paused' ? finishJob(draft, job, 'paused') : undefined
    case 'vm-resume':
      if (status === 'io-error') return failJob(draft, job, [ioError(job.name)])
      return status === 'running' ? finishJob(draft, job, 'running') : undefined
    case 'vm-shutdown':
      if (status === 'shutting-down') return moveJob(draft, job, 'the guest is shutting down', 50)
      if (status === 'powered-off') return moveJob(draft, job, 'the guest has powered off', 90)
      return
    default:
      return
  }
}

function ioError(name: string): Reason {
  return {
    code: 'io-error',
    message: `VM ${name} was paused by QEMU because a disk gave an error`,
    fix: `mend the datastore, then: hostmesh vm resume ${name}`,
  }
}

/** The end of an ownership, for exactly this host and epoch; repeated or late reports change nothing. */
function stopped(draft: Draft, vm: Vm, command: Extract<Command, { kind: 'vm-stopped' }>): CommandResult {
  if (!isOwner(vm, command)) return stale(`VM ${vm.name} is not owned by this host as epoch ${formatEpoch(command.epoch)}`)
  const { intent, reasons } = command
  const job = openJob(draft.state, vm.id)
  const ended = afterRun(vm, { intent, reasons, rebooting: job?.kind === 'vm-reboot', at: draft.at })
  const held = needsHost(ended) ? heldCause(draft, vm, reasons) : null
  const after: Vm = held !== null ? { ...ended, desired: { power: 'off', how: 'stop' } } : ended
  draft.put('vms', after)
  const data = { id: vm.id, host: command.host, epoch: formatEpoch(command.epoch), reasons }
  draft.event(endingEvent(vm.owner, intent), `vm ${vm.name}`, data)
  if (after.fault?.kind === 'crash') draft.event('vm.failed', `vm ${vm.name}`, { id: vm.id, crashes: after.crashes, reasons })
  if (held !== null) draft.event('vm.held', `vm ${vm.name}`, { id: vm.id, why: heldWhy(held) })
  if (job !== null) settleJob(draft, after, job, { intent, reasons: held !== null ? [heldReason(held, vm.name)] : reasons })
  return done({ id: vm.id })
}

/** Null: it may be started elsewhere. An ownership that nobody has seen since a restore: the host may have handed the VM on after the backup was made. */
function heldCause({ state }: Draft, { owner, observed }: Vm & { readonly owner: Owner }, reasons: readonly Reason[]): HeldCause | null {
  if (reasons.some(({ code }) => code === 'ended-unseen')) return 'ended-unseen'
  return observed === null && owner.epoch.generation < (state.mesh?.restored ?? 0) ? 'restored' : null
}

function endingEvent(owner: Owner, intent: StopIntent): string {
  if (owner.ending !== null) return 'vm.stopped'
  switch (intent) {
    case 'off':
      return 'vm.powered-off'
    case 'crash':
      return 'vm.crashed'
    case 'start-failed':
      return 'vm.start-failed'
    case 'host-down':
      return 'vm.interrupted'
  }
}

interface RunEnd {
  readonly intent: StopIntent
  readonly reasons: readonly Reason[]
  readonly rebooting: boolean
  readonly at: number
}

/**
 * What is wanted of a VM once a run has ended. A run that a person asked to end changes nothing: it is off by that wish, or on by a later one.
 * Any other end is the guest's or the world's doing:
 *   off           the guest powered itself off: so it is wanted off (unless that was half of a reboot)
 *   crash         started again, CRASH_RESTARTS times in a row; then it stays down, wanted on, with a fault
 *   start-failed  off again with the reasons: a person asked, and sees why not; nothing loops
 *   host-down     still wanted on: the leader finds a host
 */
function afterRun(vm: Vm & { readonly owner: Owner }, end: RunEnd): Vm {
  const { intent, reasons, at } = end
  const ended: Vm = { ...vm, owner: null, observed: null, lastHost: vm.owner.host }
  if (vm.owner.ending !== null) return ended
  switch (intent) {
    case 'off':
      return end.rebooting ? ended : { ...ended, desired: { power: 'off', how: 'shutdown' } }
    case 'crash': {
      const crashes = vm.crashes + 1
      return { ...ended, crashes, fault: crashes > CRASH_RESTARTS ? { kind: 'crash', reasons, at } : null }
    }
    case 'start-failed':
      return { ...ended, desired: { power: 'off', how: 'stop' }, fault: { kind: 'start-failed', reasons, at } }
    case 'host-down':
      return ended
  }
}

/** What the end of a run means for the job that was at work on the VM. */
function settleJob(draft: Draft, after: Vm, job: Job, end: Pick<RunEnd, 'intent' | 'reasons'>): void {
  switch (job.kind) {
    case 'vm-shutdown':
    case 'vm-stop':
      return finishJob(draft, job, 'off')
    case 'vm-start':
    case 'vm-reboot':
      if (needsHost(after)) return holdJob(draft, job, 'placing')
      // Short, but it ran: the start itself did not fail.
      if (end.intent === 'off' && job.kind === 'vm-start') return finishJob(draft, job, 'the guest powered itself off')
      return failJob(draft, job, end.reasons)
    default:
      return failJob(draft, job, [
        { code: 'run-ended', message: `the run of VM ${after.name} ended before (${end.intent})`, fix: `hostmesh vm start ${after.name}` },
      ])
  }
}
