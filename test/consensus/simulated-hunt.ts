// Runs seeds until one breaks a promise, and says so on one line of JSON: node test/consensus/simulated-hunt.ts FROM COUNT
import { type SeedReport, runSeed } from './simulated-run.ts'

/** What is printed. `broken` undefined: nothing was found. */
export interface HuntReport {
  readonly tried: number
  readonly ms: number
  readonly broken: (SeedReport['violation'] & { readonly seed: number }) | undefined
}

function hunt(from: number, count: number): HuntReport {
  const startedAt = performance.now()
  for (let tried = 1; tried <= count; tried++) {
    const { seed, violation } = runSeed(from + tried - 1)
    if (violation !== undefined) return { tried, ms: performance.now() - startedAt, broken: { ...violation, seed } }
  }
  return { tried: count, ms: performance.now() - startedAt, broken: undefined }
}

if (import.meta.main) {
  const [from, count] = process.argv.slice(2).map(Number)
  console.log(JSON.stringify(hunt(from ?? 1, count ?? 100)))
}
