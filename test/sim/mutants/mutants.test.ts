// The simulated world is judged by the faults it finds: agents that break a promise are found by a check that is about that promise.
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runProgram } from '../../lab/run-program.ts'
import { brokenCopy } from '../../mutants/broken-copy.ts'
import { describeHunt, foundBy, huntInWorld, readWorldMutant, worldMutants } from './hunt.ts'

/** Those that show at once; the others are hunted by ./dev run node test/sim/mutants/run.ts. */
const QUICK = ['repeated-key-carried-out', 'placed-while-owned', 'read-without-leader']
/** The first one found each when this was written; the code moves on. */
const SEEDS = 15
/** A few seconds each on a quiet machine; tests of others may take most of it. */
const TIMEOUT_MS = 300_000

describe('the simulated world finds', { timeout: TIMEOUT_MS }, () => {
  it.each(QUICK.map((name) => ({ name, breaks: readWorldMutant(name).breaks })))('$name: $breaks', async ({ name }) => {
    const mutant = readWorldMutant(name)
    const hunt = await huntInWorld(mutant, SEEDS)
    console.info(describeHunt(hunt))
    expect(foundBy(hunt), hunt.broken?.failure).toBeDefined()
  })
})

describe('the program that hunts mutants of the agent', { timeout: TIMEOUT_MS }, () => {
  it('says which seed found each one, and by which check', async () => {
    const { code, stdout } = await runProgram([process.execPath, join(import.meta.dirname, 'run.ts'), 'comes-in-as-voter'])
    expect(stdout).toMatch(/^comes-in-as-voter +\d+ seeds +\d+\.\d s {2}seed \d+: makes a voter\n1 of 1 found as said\n$/)
    expect(code).toBe(0)
  })
})

describe('every mutant of the agent', () => {
  it.each([...worldMutants()])('%s fits the present code, and says what it breaks and what finds it', async (name) => {
    const { breaks, checks, patch } = readWorldMutant(name)
    expect(breaks).toMatch(/^\S.{10,}/)
    expect(checks.every((check) => check.length > 5)).toBe(true)
    const copy = await brokenCopy(patch, ['src'])
    await copy.remove()
  })
})
