// Runs seeds of the simulated world until a check fails, and says so on one line of JSON: node test/sim/mutants/seed-hunt.ts COUNT
import { runSeed } from '../seed-run.ts'

/** What is printed. `broken` undefined: nothing was found. */
export interface SeedHuntReport {
  readonly tried: number
  readonly ms: number
  readonly broken: { readonly seed: number; readonly failure: string } | undefined
}

/** Of faults: most mutants show early, and another seed brings other weather. */
const HUNT_SECONDS = 40

async function hunt(count: number): Promise<SeedHuntReport> {
  const startedAt = performance.now()
  for (let seed = 1; seed <= count; seed += 1) {
    const { failure } = await runSeed({ seed, hosts: null, seconds: HUNT_SECONDS })
    if (failure !== null) return { tried: seed, ms: performance.now() - startedAt, broken: { seed, failure } }
  }
  return { tried: count, ms: performance.now() - startedAt, broken: undefined }
}

if (import.meta.main) {
  console.log(JSON.stringify(await hunt(Number(process.argv[2] ?? 20))))
  // What a mutant left running must not keep the process.
  process.exit(0)
}
