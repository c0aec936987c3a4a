// Many seeds of the core's simulation on all cores: ./dev run node test/consensus/swarm.ts --minutes 30 [--from 1], or one again: --seed 123
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { addCoverage, asleep, COUNTED, type Coverage, JUDGED_SEEDS, noCoverage } from './simulated-coverage.ts'
import { replayCommand, runSeed, type SeedReport } from './simulated-run.ts'
import { type Batch } from './swarm-worker.ts'

/** Seeds a worker takes at a time: some seconds of work. */
const BATCH_SEEDS = 100

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      from: { type: 'string', default: '1' },
      workers: { type: 'string', default: String(availableParallelism()) },
      seed: { type: 'string' },
    },
  })
  const numbers = [values.minutes, values.from, values.workers, values.seed ?? '1'].map(Number)
  if (!numbers.every((value) => value > 0)) throw new Error('--minutes, --from, --workers and --seed are numbers above 0')
  if (values.seed !== undefined) return replay(Number(values.seed))
  await swarm({ minutes: Number(values.minutes), from: Number(values.from), workers: Number(values.workers) })
}

function replay(seed: number): void {
  const report = runSeed(seed)
  tell(report)
  console.log(counts(report.coverage))
  process.exitCode = report.violation === undefined ? 0 : 1
}

async function swarm({ minutes, from, workers }: { minutes: number; from: number; workers: number }): Promise<void> {
  const startedAt = performance.now()
  const endsAt = startedAt + minutes * 60_000
  const coverage = noCoverage()
  const failed: number[] = []
  let next = from
  let done = 0
  const take = (): Batch | undefined => {
    if (performance.now() >= endsAt) return undefined
    const first = next
    next += BATCH_SEEDS
    return { first, count: BATCH_SEEDS }
  }
  const onReport = (report: SeedReport): void => {
    done++
    addCoverage(coverage, report.coverage)
    if (report.violation === undefined) return
    failed.push(report.seed)
    tell(report)
  }
  await Promise.all(Array.from({ length: workers }, () => work(take, onReport)))
  console.log(counts(coverage))
  console.log(`${done} seeds from ${from} on, in ${((performance.now() - startedAt) / 1000).toFixed(0)} s with ${workers} workers`)
  const faults = faultsOf({ done, failed, coverage })
  console.log(faults.length === 0 ? 'no violation' : faults.join('\n'))
  process.exitCode = faults.length === 0 ? 0 : 1
}

/** What is wrong with a finished swarm: seeds that failed, and, of enough seeds, worlds that were asleep. */
export function faultsOf(swarm: { readonly done: number; readonly failed: readonly number[]; readonly coverage: Coverage }): string[] {
  const { done, failed, coverage } = swarm
  const seldom = done < JUDGED_SEEDS ? [] : asleep(coverage, done)
  return [
    ...(failed.length === 0 ? [] : [`${failed.length} seeds failed: ${failed.slice(0, 100).join(' ')}`]),
    ...seldom.map((what) => `asleep: only ${what}`),
  ]
}

function counts(coverage: Coverage): string {
  return COUNTED.map((what) => `${String(coverage[what]).padStart(9)}  ${what}`).join('\n')
}

/** One worker, from its first batch to its last. */
async function work(take: () => Batch | undefined, onReport: (report: SeedReport) => void): Promise<void> {
  const worker = new Worker(join(import.meta.dirname, 'swarm-worker.ts'))
  const over = Promise.withResolvers<void>()
  const give = (): void => {
    const batch = take()
    if (batch === undefined) over.resolve()
    else worker.postMessage(batch)
  }
  worker.on('message', (reports: readonly SeedReport[]) => {
    for (const report of reports) onReport(report)
    give()
  })
  worker.on('error', over.reject)
  give()
  try {
    await over.promise
  } finally {
    await worker.terminate()
  }
}

function tell({ seed, weather, violation }: SeedReport): void {
  console.log(
    violation === undefined ? `seed ${seed} ok\n${weather}` : `seed ${seed} FAILED\n${violation.text}\n${weather}\n${replayCommand(seed)}`,
  )
}

if (import.meta.main) await main()
