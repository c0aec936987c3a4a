// Writes: asks once, waits for the job where there is one, and says what became of it.
import type { ApiClient, Input } from '../api/client.ts'
import { callOnce, type RetryOptions } from '../api/client-retry.ts'
import type { WriteName } from '../api/contract.ts'
import type { JobAnswer, WriteAnswer } from '../api/types.ts'
import { deadline } from '../base/deadline.ts'
import type { CliContext } from './context.ts'
import type { WriteFlags } from './flags.ts'
import { type Progress, startProgress } from './progress.ts'
import { clientFor, printJson } from './show.ts'
import { jobNow, waitForJob } from './wait.ts'

/** A guest may take its time to shut down, an image to be made. */
const WRITE_TIMEOUT_S = 300

export interface Changed<N extends WriteName> {
  readonly route: N
  readonly input: Input<N>
  /** What is being done, for progress and errors: `start VM web`. */
  readonly title: string
  /** What is so afterwards, for people: `VM web is running`. */
  readonly done: (answer: WriteAnswer) => string
  /** Work that has no job of its own, waited for before `done` is said. */
  readonly settle?: (client: ApiClient, answer: WriteAnswer, options: RetryOptions) => Promise<void>
}

/** The query that these flags ask for; every write takes it. */
export function writeQuery({ dryRun, reason }: WriteFlags): { readonly dryRun?: '1'; readonly reason?: string } {
  return { ...(dryRun ? { dryRun: '1' } : {}), ...(reason === undefined ? {} : { reason }) }
}

export async function change<N extends WriteName>(context: CliContext, flags: WriteFlags, changed: Changed<N>): Promise<void> {
  const { io } = context
  const client = clientFor(context, flags)
  const limit = deadline(io.clock, (flags.timeout ?? WRITE_TIMEOUT_S) * 1000, `to ${changed.title}`)
  const options = { clock: io.clock, random: io.random, signal: limit.signal }
  const progress = startProgress(io.stderr, io.clock, changed.title)
  let outcome: Outcome
  try {
    progress.show('', null)
    const { answer } = await callOnce(client, changed.route, changed.input, options)
    outcome = { answer, job: await jobOf(client, answer, flags, { progress, options }) }
    if (flags.wait && !answer.dryRun) await changed.settle?.(client, answer, options)
  } finally {
    progress.end()
    limit.done()
  }
  print(context, flags, outcome, changed.done)
}

interface Outcome {
  readonly answer: WriteAnswer
  readonly job: JobAnswer | null
}

async function jobOf(
  client: ApiClient,
  { job }: WriteAnswer,
  { wait }: WriteFlags,
  { progress, options }: { readonly progress: Progress; readonly options: RetryOptions },
): Promise<JobAnswer | null> {
  if (job === null) return null
  return wait ? waitForJob(client, job, progress, options) : jobNow(client, job, options.signal)
}

function print(context: CliContext, flags: WriteFlags, { answer, job }: Outcome, done: (answer: WriteAnswer) => string): void {
  const { stdout } = context.io
  if (flags.output === 'json') printJson(context, { ...answer, job })
  else if (answer.dryRun)
    stdout.write(`${['plan:', ...answer.plan.map((step) => `  - ${step}`), 'nothing was changed (--dry-run)'].join('\n')}\n`)
  else if (job !== null && job.endedAt === null) stdout.write(`accepted as job ${job.id}; follow it with hostmesh job wait ${job.id}\n`)
  else stdout.write(`${done(answer)}\n`)
}
