// Lets the simulation hunt one mutant: a copy of the core and of its simulation, broken by the patch, run seed by seed until a check reports it.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { present } from '../../src/base/assert.ts'
import { type HuntReport } from '../consensus/simulated-hunt.ts'
import { brokenCopy } from './broken-copy.ts'
import { type Patch, parsePatch } from './patch.ts'

const FOLDER = import.meta.dirname

/** What the simulation of the core is made of. */
const PARTS = ['src/base', 'src/consensus', 'test/consensus']

/** Of one hunt: no mutant needs a tenth of it on a quiet machine. */
const HUNT_MS = 300_000

export interface Mutant {
  readonly name: string
  readonly breaks: string
  /** The checks that may report it: which one comes first is up to the seed. */
  readonly checks: readonly string[]
  readonly patch: Patch
}

export interface Hunted {
  readonly mutant: Mutant
  readonly tried: number
  readonly seconds: number
  /** Undefined: it survived. */
  readonly broken: HuntReport['broken']
}

/** Of a folder of patches; those of the core, where none is named. */
export function mutantNames(folder = FOLDER): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.patch'))
    .map((file) => file.replace('.patch', ''))
}

export function readMutant(name: string, folder = FOLDER): Mutant {
  const patch = parsePatch(readFileSync(join(folder, `${name}.patch`), 'utf8'))
  const checks = present(patch.head.get('Found by'), `line "# Found by" in ${name}.patch`).split(', ')
  return { name, breaks: present(patch.head.get('Breaks'), `line "# Breaks" in ${name}.patch`), checks, patch }
}

/** Tries `seeds` seeds at most. Throws where the patch does not fit the present code. */
export async function hunt(mutant: Mutant, seeds: number): Promise<Hunted> {
  const copy = await brokenCopy(mutant.patch, PARTS)
  try {
    const program = join(copy.root, 'test/consensus/simulated-hunt.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [program, '1', String(seeds)], { timeout: HUNT_MS })
    const { tried, ms, broken }: HuntReport = JSON.parse(stdout)
    return { mutant, tried, seconds: ms / 1000, broken }
  } finally {
    await copy.remove()
  }
}

/** One line on how it went. */
export function describe({ mutant, tried, seconds, broken }: Hunted): string {
  const outcome = broken === undefined ? 'SURVIVED' : mutant.checks.includes(broken.check) ? broken.check : `${broken.check} (UNEXPECTED)`
  return `${mutant.name.padEnd(32)} ${String(tried).padStart(5)} seeds ${seconds.toFixed(1).padStart(6)} s  ${outcome}`
}
