// The simulation of the core is judged by the faults it finds: each planted one is found by it alone, by a check that is about that fault.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe as suite, expect, it } from 'vitest'
import { brokenCopy } from './broken-copy.ts'
import { describe, hunt, mutantNames, readMutant } from './hunt.ts'

/** Those that the design names; the others are hunted by ./dev run node test/mutants/run.ts. */
const NAMED = [
  'no-up-to-date-check',
  'quorum-off-by-one',
  'no-truncation',
  'acknowledged-before-persisted',
  'vote-not-persisted',
  'older-term-committed',
  'read-context-reused',
  'read-joins-begun-round',
  'learner-in-quorum',
]
const SEEDS = 1000
/** A few seconds on a quiet machine; tests of others may take most of it. */
const TIMEOUT_MS = 300_000

suite('the simulation of the core finds', { timeout: TIMEOUT_MS }, () => {
  it.each(NAMED.map((name) => ({ name, breaks: readMutant(name).breaks })))('$name: $breaks', async ({ name }) => {
    const hunted = await hunt(readMutant(name), SEEDS)
    console.info(describe(hunted))
    expect(hunted.mutant.checks).toContain(hunted.broken?.check)
  })

  it('nothing where nothing is broken', async () => {
    const unbroken = { name: 'unbroken', breaks: 'nothing', checks: [], patch: { head: new Map(), files: [] } }
    expect((await hunt(unbroken, 20)).broken).toBeUndefined()
  })
})

suite('the program that hunts mutants', { timeout: TIMEOUT_MS }, () => {
  it('says how each one was found, and what the check said', () => {
    const args = [join(import.meta.dirname, 'run.ts'), 'quorum-off-by-one', '--verbose']
    const text = execFileSync(process.execPath, args, { encoding: 'utf8' })
    expect(text).toMatch(
      /^quorum-off-by-one +\d+ seeds +\d+\.\d s {2}commit quorum\n.*\n {2}seed \d+: Violation: commit quorum: \d commits/,
    )
    expect(text).toMatch(/1 of 1 found as said\n$/)
  })
})

suite('every mutant', () => {
  it.each(mutantNames())('%s fits the present code, and says what it breaks and which check finds it', async (name) => {
    const { breaks, checks, patch } = readMutant(name)
    expect(breaks).toMatch(/^\S.{10,}/)
    expect(checks.length).toBeGreaterThan(0)
    expect(patch.files.length).toBeGreaterThan(0)
    const copy = await brokenCopy(patch, ['src/consensus'])
    await copy.remove()
  })
})
