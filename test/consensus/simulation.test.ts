// Random worlds, each from its seed. A failing one is replayed with `new SimulatedGroup(seed)` and the same numbers of steps.
import { afterAll, describe, expect, test } from 'vitest'
import { type Coverage, SimulatedGroup } from './simulated-group.ts'

const SEEDS = 300
const STEPS = 3000
/** Rounds of one tick each for everyone; elections take 10 of them at most, explicit joint changes and snapshots some more. */
const HEALING_ROUNDS = 300

describe('a group of members through losses, delays, crashes, cuts and changes of members', () => {
  const total = new Map<string, number>()

  afterAll(() => {
    console.info(`raft worlds: ${SEEDS} seeds of ${STEPS} steps: ${[...total].map(([what, count]) => `${count} ${what}`).join(', ')}`)
  })

  test('keeps every promise of Raft at every step, and agrees again once trouble ends', () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const group = new SimulatedGroup(seed)
      try {
        group.trouble(STEPS)
        group.heal(HEALING_ROUNDS)
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
      }
      for (const [what, count] of Object.entries(group.coverage)) total.set(what, (total.get(what) ?? 0) + count)
    }
    // Worlds in which nothing happens prove nothing.
    const atLeast: Coverage = {
      elections: 1000,
      crashes: 1000,
      truncations: 500,
      snapshots: 100,
      confChanges: 300,
      commits: 5000,
      reads: 3000,
    }
    for (const [what, count] of Object.entries(atLeast)) expect(total.get(what), what).toBeGreaterThan(count)
  })

  test('does the same again from the same seed', () => {
    const run = (): Coverage => {
      const group = new SimulatedGroup(7)
      group.trouble(STEPS)
      return group.coverage
    }
    expect(run()).toEqual(run())
  })
})
