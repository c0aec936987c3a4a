// Lets the simulated world hunt one mutant of the agent: a broken copy of it runs seed by seed until a check reports what the patch breaks.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brokenCopy } from '../../mutants/broken-copy.ts'
import { type Mutant, mutantNames, readMutant } from '../../mutants/hunt.ts'
import { type SeedHuntReport } from './seed-hunt.ts'

const FOLDER = import.meta.dirname
/** What a simulated mesh is made of. */
const PARTS = ['src', 'test/sim', 'test/fixture']
/** Of one hunt. */
const HUNT_MS = 540_000

export interface WorldHunt extends SeedHuntReport {
  readonly mutant: Mutant
}

export function worldMutants(): readonly string[] {
  return mutantNames(FOLDER)
}

export function readWorldMutant(name: string): Mutant {
  return readMutant(name, FOLDER)
}

/** Tries `count` seeds at most, from the first. Throws where the patch does not fit the present code. */
export async function huntInWorld(mutant: Mutant, count: number): Promise<WorldHunt> {
  const copy = await brokenCopy(mutant.patch, PARTS)
  try {
    const program = join(copy.root, 'test/sim/mutants/seed-hunt.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [program, String(count)], { timeout: HUNT_MS })
    // What the program prints is its SeedHuntReport.
    return { mutant, ...(JSON.parse(stdout) as SeedHuntReport) }
  } finally {
    await copy.remove()
  }
}

/** The check that found it, where it is one that is about what the patch breaks. */
export function foundBy({ mutant, broken }: WorldHunt): string | undefined {
  return broken === undefined ? undefined : mutant.checks.find((check) => broken.failure.includes(check))
}

/** One line on how it went. */
export function describeHunt(hunt: WorldHunt): string {
  const { mutant, tried, ms, broken } = hunt
  const outcome = broken === undefined ? 'SURVIVED' : `seed ${broken.seed}: ${foundBy(hunt) ?? `UNEXPECTED: ${broken.failure}`}`
  return `${mutant.name.padEnd(26)} ${String(tried).padStart(3)} seeds ${(ms / 1000).toFixed(1).padStart(6)} s  ${outcome}`
}
