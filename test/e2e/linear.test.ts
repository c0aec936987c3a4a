// Real members as processes on real disks, under faults: what clients saw has an order, and what was acknowledged stays. Long runs: bench/.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { RaftProcesses } from '../fixture/raft-processes.ts'
import { labUnavailable } from '../lab/lab.ts'
import { brokenBuild } from '../linear/broken-builds.ts'
import { killRound } from '../linear/kill-rounds.ts'
import { type Episode } from '../linear/nemesis.ts'
import { RaftLab } from '../linear/raft-lab.ts'
import { explain, runHistory } from '../linear/run-history.ts'

const unavailable = labUnavailable()

describe.skipIf(unavailable !== undefined)(`a group of three${unavailable === undefined ? '' : ` (${unavailable})`}`, () => {
  let lab: RaftLab
  beforeAll(async () => {
    lab = await RaftLab.start()
  })
  afterAll(() => lab.stop())

  it('behaves like one register a key while its leader is cut off, muted, killed and frozen', async () => {
    const { verdict, counts, elections } = await runHistory({ group: await lab.newGroup(), seed: 1, seconds: 8, episodes: SHORT })
    expect(explain(verdict)).toBe('accepted')
    expect(counts.ok).toBeGreaterThan(100)
    expect(elections).toBeGreaterThan(0)
  })

  it('is found out when it serves reads without asking a majority', async () => {
    const build = await brokenBuild('reads-without-read-index')
    onTestFinished(() => build.remove())
    const verdicts: string[] = []
    while (verdicts.length < 3 && !verdicts.includes('not-linearizable')) {
      const { verdict } = await runHistory({ group: await lab.newGroup(build.program), seed: 2, seconds: 2, episodes: [] })
      verdicts.push(verdict.kind)
    }
    expect(verdicts).toContain('not-linearizable')
  })
})

it('three members, killed at random moments one, two or all at a time, still have all that they acknowledged', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hostmesh-kill-rounds-'))
  const group = await RaftProcesses.start({ directory, args: () => ['--compact-above', '200', '--keep-entries', '50'] })
  onTestFinished(async () => {
    await group.stop()
    rmSync(directory, { recursive: true, force: true })
  })
  // Its first three rounds kill two, one and all.
  const random = seededRandom(6)
  const killed = new Set<number>()
  for (let round = 1; round <= 3; round += 1) {
    const result = await killRound(group, round, random)
    expect(result.wrong).toEqual([])
    expect(result.writes.filter(({ heard }) => heard === 'acknowledged').length).toBeGreaterThan(5)
    killed.add(result.killed.length)
  }
  expect(killed).toEqual(new Set([1, 2, 3]))
})

const SHORT: readonly Episode[] = [
  { network: { kind: 'isolate', target: 'leader' }, process: undefined, lastsMs: 1_500, hitAfterMs: 0, calmMs: 200 },
  { network: { kind: 'mute', target: 'leader' }, process: undefined, lastsMs: 1_200, hitAfterMs: 0, calmMs: 200 },
  { network: undefined, process: { kind: 'kill', targets: ['leader'], downMs: 100 }, lastsMs: 0, hitAfterMs: 0, calmMs: 200 },
  { network: undefined, process: { kind: 'freeze', targets: ['leader'], forMs: 1_200 }, lastsMs: 0, hitAfterMs: 0, calmMs: 200 },
]
