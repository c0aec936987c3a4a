// Runs seeds in processes of their own, one a core; a process that dies or hangs is the failure of the seed it had.
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { realClock } from '../../src/base/clock.ts'
import { type SeedOptions, type SeedReport } from './seed-run.ts'
import { noCounts } from './trace.ts'

/** A seed takes seconds; one that takes so long turns in a circle in which no virtual time passes. */
const SEED_LIMIT_MS = 300_000
const PROGRAM = join(import.meta.dirname, 'swarm-worker.ts')

/** `next` gives what to run next, undefined when there is nothing more. Resolves when all is done. */
export async function runInWorkers(count: number, next: () => SeedOptions | undefined, onRun: (report: SeedReport) => void): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async () => {
      let worker: ChildProcess | undefined
      for (let options = next(); options !== undefined; options = next()) {
        worker ??= fork(PROGRAM)
        const report = await runIn(worker, options)
        if (report === undefined) {
          worker.kill('SIGKILL')
          worker = undefined
        }
        onRun(report ?? lostRun(options))
      }
      worker?.disconnect()
    }),
  )
}

/** Undefined when the process gave none. */
function runIn(worker: ChildProcess, options: SeedOptions): Promise<SeedReport | undefined> {
  return new Promise((resolve) => {
    const finish = (report: SeedReport | undefined): void => {
      limit.cancel()
      worker.off('message', onMessage)
      worker.off('exit', onExit)
      resolve(report)
    }
    // What swarm-worker.ts sends is a SeedReport, cloned.
    const onMessage = (report: unknown): void => finish(report as SeedReport)
    const onExit = (): void => finish(undefined)
    const limit = realClock.after(SEED_LIMIT_MS, onExit)
    worker.on('message', onMessage)
    worker.on('exit', onExit)
    worker.send(options)
  })
}

function lostRun({ seed }: SeedOptions): SeedReport {
  const failure = `the process that ran it died, or gave no answer within ${SEED_LIMIT_MS / 1000} s`
  return { seed, failure, counts: noCounts(), hash: '', virtualMs: 0, weather: `seed ${seed}` }
}
