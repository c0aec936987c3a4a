// Leaders and agents die: the others go on within seconds, no guest is touched, no write is done twice.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DISK_BOOT_LINE } from '../fixture/guest/boot-sector.ts'
import { comesBack, type Death, leaderDies } from '../lab/failover.ts'
import { createDiskGuest } from '../lab/guests.ts'
import { type Lab, labUnavailable } from '../lab/lab.ts'
import { consoleSays, consoleSaysNext, guestPids, vmOf, wholeMesh } from '../lab/look.ts'
import { writesWhileLeaderDies } from '../lab/lost-leader-writes.ts'
import { formMesh, type MeshHost, type MeshLab, startMeshLab, votersAre } from '../lab/mesh-lab.ts'
import { AgentGroup } from '../linear/agent-lab.ts'
import { type Episode } from '../linear/nemesis.ts'
import { explain, runHistory } from '../linear/run-history.ts'

const unavailable = labUnavailable()
const GUESTS = ['alpha', 'beta', 'gamma']

describe.skipIf(unavailable !== undefined)(`when agents die${unavailable === undefined ? '' : ` (${unavailable})`}`, () => {
  let lab: MeshLab & { readonly lab: Lab }
  let hosts: readonly MeshHost[]

  beforeAll(async () => {
    lab = await startMeshLab(3)
    hosts = lab.hosts
    await formMesh(lab, 1)
    const [first] = hosts
    if (first === undefined) return
    for (const name of GUESTS) {
      await createDiskGuest(first, lab, name)
      await first.ok('vm', 'start', name)
      await consoleSays(first, name, new RegExp(DISK_BOOT_LINE))
    }
    await votersAre(first, 3)
  })
  afterAll(() => lab?.stop())

  it('guests keep their QEMU, and the next agent adopts them', async () => {
    const before = await pidsOf(hosts)
    expect([...before.keys()].toSorted()).toEqual(GUESTS)
    await Promise.all(hosts.map((host) => host.killAgent()))
    expect(await pidsOf(hosts)).toEqual(before)
    await Promise.all(hosts.map((host) => host.startAgent({ boot: false })))
    for (const host of hosts) await wholeMesh(host)
    for (const host of hosts) {
      for (const name of GUESTS) expect(await vmOf(host, name)).toMatchObject({ state: 'running', owner: { epoch: '1.1' } })
    }
    expect(await pidsOf(hosts)).toEqual(before)
    for (const [index, name] of GUESTS.entries()) await consoleSaysNext(hosts[(index + 1) % 3] ?? fail(), name, new RegExp(DISK_BOOT_LINE))
  })

  it.each<[Death, number]>([
    ['killed', 3_000],
    ['power cut', 5_000],
    ['stopped', 5_000],
  ])('a write works again soon after the leader is gone: %s', async (death, limitMs) => {
    const times: number[] = []
    for (let round = 0; round < 2; round += 1) {
      const failover = await leaderDies(hosts, death)
      times.push(failover.writtenAfterMs)
      await comesBack(failover, hosts, death)
    }
    // Elections take 0.5 s after a kill and 1.2 s in silence; what is more is the load of the machine that runs this.
    expect(Math.min(...times), `${times.map(Math.round).join(' ms, ')} ms`).toBeLessThan(limitMs)
  })

  it('writes through a follower while the leader is killed are done once, or fail clearly; none is done twice', async () => {
    for (let round = 1; round <= 2; round += 1) {
      const { died, writes } = await writesWhileLeaderDies(hosts, round, [40, 20, 10, 0, -10])
      for (const { reason, heard, outcomeKnown, done } of writes) {
        const allowed = heard === 'done' ? [1] : outcomeKnown ? [0] : [0, 1]
        expect(allowed, `${reason}: heard ${heard}, was done ${done} times`).toContain(done)
      }
      await died.startAgent({ boot: false })
      for (const host of hosts) await wholeMesh(host)
    }
  })

  it('what clients of every agent read and write has one order, while agents are cut off, killed and frozen', async () => {
    const group = new AgentGroup(lab, 'linear')
    const { verdict, counts, elections } = await runHistory({ group, seed: 1, seconds: 6, episodes: SHORT })
    expect(explain(verdict)).toBe('accepted')
    expect(counts.ok).toBeGreaterThan(50)
    expect(elections).toBeGreaterThan(0)
  })
})

/** Only the leader is hit: what it says that has been replaced is what nobody may believe. */
const SHORT: readonly Episode[] = [
  { network: { kind: 'isolate', target: 'leader' }, process: undefined, lastsMs: 1_500, hitAfterMs: 0, calmMs: 200 },
  { network: undefined, process: { kind: 'kill', targets: ['leader'], downMs: 100 }, lastsMs: 0, hitAfterMs: 0, calmMs: 200 },
  { network: undefined, process: { kind: 'freeze', targets: ['leader'], forMs: 1_500 }, lastsMs: 0, hitAfterMs: 0, calmMs: 200 },
]

interface Place {
  readonly on: string
  readonly pid: number
}

async function pidsOf(hosts: readonly MeshHost[]): Promise<ReadonlyMap<string, Place>> {
  const places = await Promise.all(
    hosts.map(async (host) => [...(await guestPids(host))].map(([name, pid]): [string, Place] => [name, { on: host.name, pid }])),
  )
  return new Map(places.flat())
}

function fail(): never {
  throw new Error('three hosts wanted')
}
