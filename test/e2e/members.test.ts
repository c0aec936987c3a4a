// A mesh changes its members under writes: none of the writes fails, and the longest wait is not beyond one election.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { labUnavailable } from '../lab/lab.ts'
import { memberSteps, STEP_HOSTS, type StepReport } from '../lab/member-steps.ts'
import { type MeshLab, startMeshLab } from '../lab/mesh-lab.ts'
import { waitFor } from '../lab/wait-for.ts'

const unavailable = labUnavailable()

/** An election takes 0.5 s after a kill (bench/failover); what is more is the load of the machine that runs this. */
const GAP_LIMIT_MS = 4_000

describe.skipIf(unavailable !== undefined)(`members that come and go${unavailable === undefined ? '' : ` (${unavailable})`}`, () => {
  let lab: MeshLab

  beforeAll(async () => {
    lab = await startMeshLab(STEP_HOSTS)
  })
  afterAll(() => lab?.stop())

  it('fail no write: from one voter to five, a dead one replaced, the leader removed', async () => {
    const reports: StepReport[] = []
    const { leader } = await memberSteps(lab.hosts, (report) => reports.push(report))
    expect(reports.map(({ failed }) => failed)).toEqual([[], [], [], []])
    for (const { name, written, longestGapMs } of reports) {
      expect(written, name).toBeGreaterThan(10)
      expect(longestGapMs, name).toBeLessThan(GAP_LIMIT_MS)
    }
    const told = async (): Promise<boolean> => (await leader.cli('status')).stderr.includes('removed from mesh lab')
    await waitFor(`${leader.name} to know that it was removed`, told, { limitMs: 20_000, everyMs: 200 })
  })
})
