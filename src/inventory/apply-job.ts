// Jobs as such: cancelled by people, moved on and ended by the host that works on them.
import { type Reason } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { allowed } from './allowed.ts'
import { type Command } from './command.ts'
import { type Draft } from './draft.ts'
import { cancelJob, failJob, finishJob, moveJob } from './jobs.ts'
import { type CommandResult, type Job, type Vm } from './model.ts'
import { done, notFound, refused, stale } from './results.ts'

type JobCommand = Extract<Command, { kind: 'job-cancel' | 'job-progress' | 'job-done' | 'job-failed' }>

export function applyJob(draft: Draft, command: JobCommand): CommandResult {
  const job = draft.state.jobs.get(command.job)
  if (job === undefined) return command.kind === 'job-cancel' ? notFound('job', command.job) : stale(`job ${command.job} is gone`)
  if (command.kind === 'job-cancel') return cancel(draft, job)
  const why = reportStale(draft, job, command.host)
  if (why !== null) return stale(why)
  switch (command.kind) {
    case 'job-progress':
      moveJob(draft, job, command.step, command.percent)
      return done({ id: job.id })
    case 'job-done':
      return hostDone(draft, job)
    case 'job-failed':
      return hostFailed(draft, job, command.reasons)
  }
}

/** A job's host is the owner of its VM, or the one that has its disk's file work. */
function reportStale(draft: Draft, job: Job, host: HostId): string | null {
  if (job.endedAt !== null) return `job ${job.id} has ended: ${job.phase}`
  const worker = workerOf(draft, job)
  return worker === host ? null : `job ${job.id} is not in the hands of this host`
}

function workerOf(draft: Draft, job: Job): HostId | null {
  if (job.object.kind === 'vm') return draft.state.vms.get(job.object.id)?.owner?.host ?? null
  const state = draft.state.disks.get(job.object.id)?.state
  return state !== undefined && 'host' in state ? state.host : null
}

/** Only what no other report ends: starts and stops end by what is observed of the run, file work by the disk's own reports. */
function hostDone(draft: Draft, job: Job): CommandResult {
  if (job.kind !== 'vm-reboot') return stale(`job ${job.id} (${job.kind}) ends by what it brings about`)
  finishJob(draft, job, 'rebooted')
  draft.event('vm.rebooted', `vm ${job.name}`, { id: job.object.id, job: job.id })
  return done({ id: job.id })
}

/** A wish that failed is taken back: the VM is wanted as it is. */
function hostFailed(draft: Draft, job: Job, reasons: readonly Reason[]): CommandResult {
  if (job.object.kind === 'disk') return stale(`job ${job.id} (${job.kind}) fails by its disk's report`)
  failJob(draft, job, reasons)
  const vm = draft.state.vms.get(job.object.id)
  if (vm !== undefined) draft.put('vms', withoutWish(vm, job))
  return done({ id: job.id })
}

function cancel(draft: Draft, job: Job): CommandResult {
  const reasons = allowed(draft.state, 'job-cancel', job)
  if (reasons.length > 0) return refused(`job ${job.id} is not cancelled`, reasons)
  cancelJob(draft, job, 'cancelled by a person')
  const vm = job.object.kind === 'vm' ? draft.state.vms.get(job.object.id) : undefined
  if (vm !== undefined) draft.put('vms', cancelled(vm, job))
  return done({ id: job.id })
}

/** A start that never came to run leaves the VM off; a shutdown taken back lets it run on, should its guest still want to. */
function cancelled(vm: Vm, job: Job): Vm {
  if (job.kind !== 'vm-start') return withoutWish(vm, job)
  return { ...vm, desired: { power: 'off', how: vm.owner?.ending ?? 'stop' }, fault: null }
}

/**
 * A shutdown that came to nothing (also one that a later start waits for) lets the run go on. A hard stop is never taken back: its host goes
 * on trying. A pause or resume that failed leaves the CPUs as they were seen last.
 */
function withoutWish(vm: Vm, job: Job): Vm {
  switch (job.kind) {
    case 'vm-start':
    case 'vm-shutdown':
      if (vm.owner?.ending !== 'shutdown') return vm
      return { ...vm, owner: { ...vm.owner, ending: null }, desired: { power: 'on', paused: false } }
    case 'vm-pause':
    case 'vm-resume':
      return { ...vm, desired: { power: 'on', paused: vm.observed?.status === 'paused' } }
    default:
      return vm
  }
}
