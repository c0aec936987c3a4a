// A leader short of space hands over to whoever has the most room, as far as anybody said so; never to one that would be short itself.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { type HostId } from '../../src/base/ids.ts'
import { type HandOver } from '../../src/inventory/cluster.ts'
import { type HostLoad, type Load, RESERVE_MIB, type StoresLoad } from '../../src/inventory/load.ts'
import { type Controllers, startControllers } from '../../src/leader/controllers.ts'
import { roomiest, spaceController } from '../../src/leader/space-controller.ts'
import { type FakeMesh, fakeMesh } from '../fixture/fake-cluster.ts'
import { aMesh, hostId } from '../fixture/inventory.ts'
import { type ManualClock, manualClock } from '../fixture/manual-clock.ts'
import { aMember } from '../fixture/members.ts'

const [h1, h2, h3] = [hostId('h1'), hostId('h2'), hostId('h3')]
const ENOUGH = 2 * RESERVE_MIB

function loadOf(stores: Readonly<Record<string, number | null | StoresLoad>>): Load {
  const hosts = Object.entries(stores).map(([name, one]): [HostId, HostLoad] => {
    const own = one === null || typeof one === 'number' ? { freeMiB: one, trouble: null } : one
    return [hostId(name), { receivedAtMs: 0, cpuPercent: 0, memoryUsedMiB: 0, datastoreFaults: new Map(), stores: own }]
  })
  return { hosts: new Map(hosts), vms: new Map() }
}

describe('the roomiest', () => {
  const answers = { active: true } as const
  const voters = [aMember('h1', 'leader', answers), aMember('h2', 'voter', answers), aMember('h3', 'voter', answers)]

  it('is the other voter with the most room; of two alike always the same one', () => {
    expect(roomiest(voters, loadOf({ h1: 9_000, h2: 600, h3: 700 }), h1)).toBe('h3')
    expect(roomiest(voters, loadOf({ h2: 700, h3: 700 }), h1)).toBe('h2')
    expect(roomiest(voters.toReversed(), loadOf({ h2: 700, h3: 700 }), h1)).toBe('h2')
  })

  it('has twice the reserve, or leadership would soon move again', () => {
    expect(roomiest(voters, loadOf({ h2: ENOUGH - 1, h3: null }), h1)).toBeUndefined()
    expect(roomiest(voters, loadOf({ h2: ENOUGH }), h1)).toBe('h2')
  })

  it('is nobody of whom nothing is known', () => {
    expect(roomiest(voters, loadOf({}), h1)).toBeUndefined()
  })

  it.each(['reopening', 'damaged'] as const)('is nobody whose stores are %s', (kind) => {
    expect(roomiest(voters, loadOf({ h2: { freeMiB: 9_000, trouble: { kind, why: 'EIO' } }, h3: 600 }), h1)).toBe('h3')
  })

  it('neither learns, nor is a witness, nor is silent', () => {
    const measured = loadOf({ h2: 9_000 })
    expect(roomiest([aMember('h2', 'learner', answers)], measured, h1)).toBeUndefined()
    expect(roomiest([aMember('h2', 'witness', answers)], measured, h1)).toBeUndefined()
    for (const active of [false, null]) expect(roomiest([aMember('h2', 'voter', { active })], measured, h1)).toBeUndefined()
  })
})

describe('the leader', () => {
  let clock: ManualClock
  let mesh: FakeMesh
  let measured: Load
  let asked: HandOver[]
  let failing: boolean
  let controllers: Controllers

  beforeEach(() => {
    clock = manualClock()
    mesh = fakeMesh(aMesh({ hosts: 3 }).now, { wall: () => clock.wall() })
    asked = []
    failing = false
    const cluster = mesh.of(h1)
    controllers = startControllers({
      self: h1,
      clock,
      log: silentLog,
      cluster: {
        ...cluster,
        handOver: (order, signal) => {
          asked.push(order)
          return failing ? Promise.reject(new Error('it did not take over')) : cluster.handOver(order, signal)
        },
      },
      liveness: () => new Map(),
      load: () => measured,
      contacts: () => new Map(),
      controllers: [spaceController],
    })
  })
  afterEach(() => clock.settle(controllers.stop(), 1_000))

  it('with room stays, and so does one of whose room nothing is known', async () => {
    for (const free of [RESERVE_MIB, null]) {
      measured = loadOf({ h1: free, h2: 9_000, h3: 9_000 })
      mesh.lead(h1)
      await clock.run(5_000)
    }
    expect(asked).toEqual([])
  })

  it('short of it hands over once, and says why', async () => {
    measured = loadOf({ h1: RESERVE_MIB - 1, h2: 600, h3: 9_000 })
    mesh.lead(h1)
    await clock.run(5_000)
    expect(asked).toMatchObject([
      { to: h3, actor: 'leader h1', why: `${RESERVE_MIB - 1} MiB free on its data disk, ${RESERVE_MIB} MiB are needed` },
    ])
    expect(mesh.of(h2).status().leader).toBe(h3)
  })

  it('tries again after 10 s where the other did not take over', async () => {
    failing = true
    measured = loadOf({ h1: 1, h3: 9_000 })
    mesh.lead(h1)
    await clock.run(9_900)
    expect(asked).toHaveLength(1)
    await clock.run(1_200)
    expect(asked).toHaveLength(2)
  })

  it('stays where nobody has room, until somebody has', async () => {
    measured = loadOf({ h1: 1, h2: 300, h3: null })
    mesh.lead(h1)
    await clock.run(3_000)
    expect(asked).toEqual([])
    measured = loadOf({ h1: 1, h2: 300, h3: 5_000 })
    await clock.run(1_100)
    expect(asked.map(({ to }) => to)).toEqual([h3])
  })
})
