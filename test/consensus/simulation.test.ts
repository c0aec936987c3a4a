// Random worlds, each from its seed. A failing one is replayed with `new SimulatedGroup(seed)` and the same numbers of steps.
import { afterAll, describe, expect, test } from 'vitest'
import { type Coverage, SimulatedGroup } from './simulated-group.ts'

const SEEDS = 300
/** Worlds a test: a busy machine must not run into a test's time limit. */
const BATCH = 30
const STEPS = 3000
/** Rounds of one tick each for everyone; elections take 10 of them at most, explicit joint changes and snapshots some more. */
const HEALING_ROUNDS = 300

/** What a batch has gone through at least: worlds in which nothing happens prove nothing. */
const ENOUGH: Coverage = { elections: 100, crashes: 80, truncations: 40, snapshots: 8, confChanges: 30, commits: 500, reads: 250 }

describe('a group of members through losses, delays, crashes, cuts and changes of members', () => {
  const total = new Map<string, number>()

  afterAll(() => {
    console.info(`raft worlds: ${SEEDS} seeds of ${STEPS} steps: ${[...total].map(([what, count]) => `${count} ${what}`).join(', ')}`)
  })

  test.each(Array.from({ length: SEEDS / BATCH }, (_, batch) => batch * BATCH + 1))(
    'keeps every promise of Raft at every step, and agrees again once trouble ends (30 seeds from %i on)',
    (first) => {
      const seen = new Map<string, number>()
      for (let seed = first; seed < first + BATCH; seed++) {
        const group = new SimulatedGroup(seed)
        expect(brokenPromise(group), `seed ${seed}`).toBeUndefined()
        for (const [what, count] of Object.entries(group.coverage)) {
          seen.set(what, (seen.get(what) ?? 0) + count)
          total.set(what, (total.get(what) ?? 0) + count)
        }
      }
      for (const [what, count] of Object.entries(ENOUGH)) expect(seen.get(what), what).toBeGreaterThan(count)
    },
  )

  test('does the same again from the same seed', () => {
    const run = (): Coverage => {
      const group = new SimulatedGroup(7)
      group.trouble(STEPS)
      return group.coverage
    }
    expect(run()).toEqual(run())
  })
})

/** Undefined, or the first promise that the group broke. */
function brokenPromise(group: SimulatedGroup): string | undefined {
  try {
    group.trouble(STEPS)
    group.heal(HEALING_ROUNDS)
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
}
