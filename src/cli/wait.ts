// Waiting for what takes time: follows the change feed of the agent, and looks again at what it is about.
import type { ApiClient } from '../api/client.ts'
import type { RetryOptions } from '../api/client-retry.ts'
import type { JobAnswer } from '../api/types.ts'
import { backoffMs, type BackoffLimits } from '../base/backoff.ts'
import { sleep } from '../base/clock.ts'
import { hasCode, isErrorCode, OperationError } from '../base/errors.ts'
import type { Progress } from './progress.ts'

/** An agent that restarts is back within a second. */
const RECONNECT: BackoffLimits = { firstMs: 100, maxMs: 1_000 }

/**
 * What `look` finds once it finds something: asked at first and after every change of one of the objects. A feed that breaks is opened again,
 * for as long as the signal lets it.
 */
export async function watch<T>(
  client: ApiClient,
  objects: ReadonlySet<string>,
  look: () => Promise<T | null>,
  { clock, random, signal }: RetryOptions,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    // The first message says that the feed is open: whoever looks after it misses no change.
    let opening = true
    try {
      for await (const { reset, rows } of client.follow('changes', {}, { signal })) {
        if (!opening && !reset && !rows.some(({ id }) => objects.has(id))) continue
        opening = false
        const found = await look()
        if (found !== null) return found
        attempt = 0
      }
    } catch (error) {
      signal.throwIfAborted()
      if (!hasCode(error, 'unreachable', 'no-quorum', 'timeout')) throw error
    }
    await sleep(clock, backoffMs(attempt, RECONNECT, random), signal)
  }
}

/** Resolves with the job once it is done; rejects with its own error, with `conflict` when it was cancelled, with `timeout` and its id. */
export async function waitForJob(client: ApiClient, id: string, progress: Progress, options: RetryOptions): Promise<JobAnswer> {
  let last: JobAnswer | null = null
  const look = async (): Promise<JobAnswer | null> => {
    last = await jobNow(client, id, options.signal)
    progress.show(last.step, last.percent)
    return last.endedAt === null ? null : last
  }
  try {
    return succeeded(await watch(client, new Set([id]), look, options))
  } catch (error) {
    if (!options.signal.aborted || !hasCode(error, 'timeout')) throw error
    throw stillRunning(id, last)
  }
}

export async function jobNow(client: ApiClient, id: string, signal: AbortSignal): Promise<JobAnswer> {
  return (await client.call('jobShow', { params: { job: id } }, { signal })).answer
}

function succeeded(job: JobAnswer): JobAnswer {
  if (job.phase === 'done') return job
  if (job.error === null)
    throw new OperationError('conflict', `job ${job.id} (${job.kind} of ${job.object.name}) was cancelled: ${job.step}`)
  const { code, message, reasons } = job.error
  const known = reasons.map(({ fix, ...reason }) => (fix === undefined ? reason : { ...reason, fix }))
  throw new OperationError(isErrorCode(code) ? code : 'failed', message, { reasons: known, data: { job: job.id } })
}

function stillRunning(id: string, job: JobAnswer | null): OperationError {
  const what = job === null ? `job ${id}` : `job ${id} (${job.kind} of ${job.object.name}: ${job.step})`
  const message = `${what} is still running`
  return new OperationError('timeout', message, {
    data: { job: id },
    reasons: [{ code: 'timeout', message, fix: `hostmesh job wait ${id}, or ask with a longer --timeout` }],
  })
}
