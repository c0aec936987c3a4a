// The life of jobs inside apply: begun by a command, moved on by reports, ended once; ended ones are kept for people, up to a limit.
import { type Reason } from '../base/errors.ts'
import { type Draft } from './draft.ts'
import { type Job } from './model.ts'
import { compareText } from './view.ts'

/** How many ended jobs stay to be looked up: a day of a busy mesh, and a table that is cheap to copy. */
export const ENDED_JOBS_KEPT = 1_000

export type NewJob = Pick<Job, 'id' | 'kind' | 'object' | 'name' | 'step'> & { readonly force?: boolean }

export function beginJob(draft: Draft, job: NewJob): void {
  draft.put('jobs', {
    ...job,
    force: job.force ?? false,
    phase: 'waiting',
    percent: 0,
    startedAt: draft.at,
    endedAt: null,
    error: null,
  })
}

/** Tells people what an open job does now; `percent` never goes back. */
export function moveJob(draft: Draft, job: Job, step: string, percent = job.percent): void {
  draft.put('jobs', { ...job, phase: 'working', step, percent: Math.max(job.percent, percent) })
}

/** As `moveJob`, for a job that waits for others to act. */
export function holdJob(draft: Draft, job: Job, step: string): void {
  draft.put('jobs', { ...job, phase: 'waiting', step })
}

export function finishJob(draft: Draft, job: Job, step = 'done'): void {
  endJob(draft, { ...job, phase: 'done', step, percent: 100 })
}

/** `reasons` say why, with what mends it; the message is theirs. */
export function failJob(draft: Draft, job: Job, reasons: readonly Reason[]): void {
  const message = `${job.kind} of ${job.name} failed: ${reasons.map((reason) => reason.message).join('; ') || 'no reason was given'}`
  endJob(draft, { ...job, phase: 'failed', step: 'failed', error: { code: 'failed', message, reasons } })
  draft.event('job.failed', `${job.object.kind} ${job.name}`, { job: job.id, kind: job.kind, reasons })
}

export function cancelJob(draft: Draft, job: Job, why: string): void {
  endJob(draft, { ...job, phase: 'cancelled', step: why })
  draft.event('job.cancelled', `${job.object.kind} ${job.name}`, { job: job.id, kind: job.kind, why })
}

function endJob(draft: Draft, job: Job): void {
  draft.put('jobs', { ...job, endedAt: draft.at })
  const ended = [...draft.state.jobs.values()].filter(({ endedAt }) => endedAt !== null)
  if (ended.length <= ENDED_JOBS_KEPT) return
  ended.sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0) || compareText(a.id, b.id))
  for (const { id } of ended.slice(0, ended.length - ENDED_JOBS_KEPT)) draft.remove('jobs', id)
}
