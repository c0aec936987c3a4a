// One seed from its beginning to its end, and what it showed.
import { BugError } from '../../src/base/assert.ts'
import { type Coverage } from './simulated-coverage.ts'
import { SimulatedGroup } from './simulated-group.ts'
import { type Check, Violation } from './simulated-promises.ts'
import { describeWeather } from './simulated-weather.ts'

/** Of trouble; an election takes some dozens of them. */
export const STEPS = 3000
/** Rounds of one tick each for everyone; elections take 16 of them at most, explicit joint changes and snapshots some more. */
const HEALING_ROUNDS = 400

export interface SeedReport {
  readonly seed: number
  readonly weather: string
  readonly coverage: Coverage
  /** Undefined: every promise was kept. */
  readonly violation: Broken | undefined
}

export interface Broken {
  /** `core`: the core itself stopped at an assertion, or at a log that had lost what was acknowledged. */
  readonly check: Check | 'core'
  readonly text: string
}

export function runSeed(seed: number): SeedReport {
  const group = new SimulatedGroup(seed)
  const violation = brokenPromise(group)
  return { seed, weather: describeWeather(group.weather), coverage: group.coverage, violation }
}

/** What to type to see it again. */
export function replayCommand(seed: number): string {
  return `./dev run node test/consensus/swarm.ts --seed ${seed}`
}

function brokenPromise(group: SimulatedGroup): Broken | undefined {
  try {
    group.trouble(STEPS)
    group.heal(HEALING_ROUNDS)
    return undefined
  } catch (error) {
    if (error instanceof Violation) return { check: error.check, text: error.stack ?? error.message }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { check: 'core', text: error instanceof BugError ? text : `not an assertion: ${text}` }
  }
}
