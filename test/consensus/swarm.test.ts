// The swarm's program: as many seeds as fit the time, and one again.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { COUNTED, JUDGED_SEEDS, noCoverage } from './simulated-coverage.ts'
import { faultsOf } from './swarm.ts'

function swarm(...args: readonly string[]): string {
  return execFileSync(process.execPath, [join(import.meta.dirname, 'swarm.ts'), ...args], { encoding: 'utf8', stdio: 'pipe' })
}

describe('the swarm of raft worlds', { timeout: 120_000 }, () => {
  it('runs seeds on all its workers until the time is over, and prints what they went through', () => {
    const text = swarm('--minutes', '0.01', '--workers', '2', '--from', '1000')
    expect(text).toMatch(/^ +\d+ {2}elections$/m)
    expect(text).toMatch(/^\d+ seeds from 1000 on, in \d+ s with 2 workers\nno violation\n$/m)
  })

  it('runs one seed again and prints its weather', () => {
    expect(swarm('--seed', '7')).toMatch(/^seed 7 ok\nmood=.+ voters=\d learners=\d .*preVote=/)
  })

  it('says what it does not understand', () => {
    expect(() => swarm('--minutes', 'ten')).toThrow('--minutes, --from, --workers and --seed are numbers above 0')
  })

  it('fails with the seeds that broke a promise', () => {
    expect(faultsOf({ done: 10, failed: [3, 8], coverage: noCoverage() })).toEqual(['2 seeds failed: 3 8'])
  })

  it('fails when its worlds were asleep, once there are enough of them to tell', () => {
    const coverage = noCoverage()
    for (const what of COUNTED) coverage[what] = 1_000_000
    expect(faultsOf({ done: 1000, failed: [], coverage })).toEqual([])
    const drowsy = { ...coverage, elections: 7 }
    expect(faultsOf({ done: 1000, failed: [], coverage: drowsy })).toEqual([
      expect.stringMatching(/^asleep: only 7 elections \(at least \d+\)$/),
    ])
    expect(faultsOf({ done: JUDGED_SEEDS, failed: [], coverage: noCoverage() })).toHaveLength(COUNTED.length)
    expect(faultsOf({ done: JUDGED_SEEDS - 1, failed: [], coverage: noCoverage() })).toEqual([])
  })
})
