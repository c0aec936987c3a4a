// The simulated world on a fixed set of seeds: no violation in any of them, and enough happening in all of them together.
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runProgram } from '../lab/run-program.ts'
import { KEPT_SEEDS } from './kept-seeds.ts'
import { runSeed } from './seed-run.ts'
import { below, replayCommand, SwarmTally } from './swarm-tally.ts'
import { type Counted, noCounts } from './trace.ts'

const DRAWN = { hosts: null, seconds: 40 }
const SEEDS = Array.from({ length: 16 }, (_, at) => at + 1)
/** What these seeds have to bring about, all together: about a third of what they did when this was written. */
const FLOORS: Partial<Record<Counted, number>> = {
  elections: 40,
  'leader changes': 25,
  truncations: 4,
  'snapshots sent': 40,
  'snapshots installed': 40,
  compactions: 300,
  'config changes': 60,
  'power cuts that lost writes': 40,
  'agent kills': 35,
  freezes: 150,
  'frames lost': 2_000,
  'hosts joined late': 8,
  'hosts removed': 2,
  'disks wiped': 4,
  'stores unreadable': 3,
  'logs torn': 3,
  'logs shortened': 2,
  'members replaced': 8,
  'leaders handed over': 1,
  'fresh leaders felled': 8,
  'VM starts': 30,
  'VM ends': 30,
  adoptions: 20,
  'writes done': 200,
  'writes without quorum': 40,
  'writes of unknown outcome': 8,
  'repeated keys': 5,
  reads: 70,
  entries: 600,
}
/** Some twenty seconds of a quiet machine; tests of others may take most of it. */
const TIMEOUT_MS = 300_000

describe('the simulated world', { timeout: TIMEOUT_MS }, () => {
  it('holds in bad weather, and gets everywhere once it is over', async () => {
    const tally = new SwarmTally()
    for (const seed of SEEDS) tally.add(await runSeed({ seed, ...DRAWN }))
    const failures = tally.failures.map(({ seed, failure, weather }) => `${failure}\n${weather}\n${replayCommand(seed, DRAWN)}`)
    expect(failures).toEqual([])
    const asleep = below(tally.counts, (name) => FLOORS[name] ?? 1)
    expect(asleep, JSON.stringify(tally.counts)).toEqual([])
  })

  it('fails where nothing happened for long, and says what is missing', () => {
    const tally = new SwarmTally()
    const idle = { seed: 1, failure: null, counts: noCounts(), hash: '', virtualMs: 3_600_000, weather: '' }
    tally.add({ ...idle, counts: { ...noCounts(), elections: 1_000 } })
    expect(tally.asleep()).toContain('truncations: 0, floor 10')
    expect(tally.asleep()).toContain('power cut: 0, floor 10')
    expect(tally.asleep().some((line) => line.startsWith('elections'))).toBe(false)
  })

  it('goes the same way again from the same seed, to the last step', async () => {
    const options = { seed: 7, ...DRAWN }
    const first = await runSeed(options)
    const again = await runSeed(options)
    expect(again.hash).toBe(first.hash)
    expect(again.counts).toEqual(first.counts)
  })

  it('goes another way from another seed', async () => {
    const [one, other] = [await runSeed({ seed: 8, hosts: 1, seconds: 5 }), await runSeed({ seed: 9, hosts: 1, seconds: 5 })]
    expect(one.hash).not.toBe(other.hash)
  })

  it('is run as a command by many processes at once, which says what happened', async () => {
    const program = join(import.meta.dirname, 'swarm.ts')
    const given = ['--seeds', '3', '--from', '5', '--hosts', '3', '--seconds', '2', '--workers', '2']
    const { code, stdout } = await runProgram([process.execPath, program, ...given])
    expect({ code, last: stdout.trim().split('\n').at(-1) }, stdout).toEqual({ code: 0, last: 'no violation' })
    expect(stdout).toMatch(/: 3 seeds, 0\.\d\d virtual hours/)
  })

  it.each([...KEPT_SEEDS])('does not find again what seed $seed of $hosts hosts found: $found', async ({ seed, hosts, seconds }) => {
    const { failure } = await runSeed({ seed, hosts, seconds })
    expect(failure, replayCommand(seed, { hosts, seconds })).toBeNull()
  })
})
