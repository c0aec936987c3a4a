// Random worlds, each from its seed: no promise broken in any of them, and enough happening in all of them together.
import { afterAll, describe, expect, test } from 'vitest'
import { addCoverage, asleep, COUNTED, noCoverage } from './simulated-coverage.ts'
import { replayCommand, runSeed, type SeedReport } from './simulated-run.ts'

const SEEDS = 300
/** Worlds a test: a busy machine must not run into a test's time limit. */
const BATCH = 20

describe('a group of members through losses, delays, crashes, cuts and changes of members', () => {
  const total = noCoverage()

  afterAll(() => {
    console.info(`raft worlds: ${SEEDS} seeds: ${COUNTED.map((what) => `${total[what]} ${what}`).join(', ')}`)
  })

  test.each(Array.from({ length: SEEDS / BATCH }, (_, batch) => batch * BATCH + 1))(
    `keeps every promise of Raft at every step, and agrees again once trouble ends (${BATCH} seeds from %i on)`,
    (first) => {
      for (let seed = first; seed < first + BATCH; seed++) {
        const report = runSeed(seed)
        expect(failure(report)).toBeUndefined()
        addCoverage(total, report.coverage)
      }
    },
  )

  test('has been through everything that can happen, and often', () => {
    expect(asleep(total, SEEDS)).toEqual([])
  })

  test('does the same again from the same seed, and something else from another', () => {
    expect(runSeed(7)).toEqual(runSeed(7))
    expect(runSeed(7).coverage).not.toEqual(runSeed(8).coverage)
  })
})

function failure({ seed, weather, violation }: SeedReport): string | undefined {
  return violation && `${violation.text}\n${weather}\n${replayCommand(seed)}`
}
