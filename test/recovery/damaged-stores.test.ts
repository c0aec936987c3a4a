// Hosts whose stores are damaged or went back in time: they take no part, say so, and come back as other members by themselves.
import { afterEach, describe, expect, it } from 'vitest'
import { alarmsOf } from '../../src/api/alarms.ts'
import { sightOf } from '../../src/api/sight.ts'
import { readOrStale } from '../../src/api/freshness.ts'
import { someVm, vmId } from '../fixture/inventory.ts'
import { Agents } from './agents.ts'

let agents: Agents | undefined
afterEach(() => agents?.end())
const { signal } = new AbortController()

async function mesh(count: number): Promise<Agents> {
  agents = await Agents.mesh(count)
  return agents
}

function memberOf(world: Agents, name: string, seenFrom: string): number | undefined {
  return world.view(seenFrom).hosts.get(world.id(name))?.member
}

function alarms(world: Agents, name: string): readonly string[] {
  const context = world.api(name)
  return alarmsOf(sightOf(context, context.cluster.view()), context.cluster.status()).map(({ code, message }) => `${code}: ${message}`)
}

async function repaired(world: Agents, name: string, former: number | undefined, seenFrom: string): Promise<void> {
  await world.until(`${name} is another member`, () => memberOf(world, name, seenFrom) !== former)
  await world.until(`${name} has the state`, () => world.api(name).lifecycle.initialised() && world.view(name).vms.has(vmId('web')))
}

describe('a voter that cannot load its stores', () => {
  it('comes back as a learner by itself, with all that was acknowledged, and votes again', async () => {
    const world = await mesh(3)
    world.powerCut('h3')
    world.host('h3').disk.damage()
    await world.write('h1', someVm('web', { host: world.id('h1') }))
    const former = memberOf(world, 'h3', 'h1')
    await world.powerOn('h3')
    await repaired(world, 'h3', former, 'h1')
    await world.voters('h1', 3)
    await world.until('h3 votes', () => world.votersOf('h3').join() === 'h1,h2,h3')
    expect(world.generation('h3')).toBe(1)
  })

  it('without a leader waits, says on every host that it needs repair, and shows no empty mesh', async () => {
    const world = await mesh(3)
    await world.write('h1', someVm('web', { host: world.id('h1') }))
    world.powerCut('h2', 'h3')
    world.host('h3').disk.damage()
    await world.powerOn('h3')
    await world.run(20_000)
    expect(alarms(world, 'h1')).toContain('needs-repair: host h3 needs repair: a checksum is wrong')
    const refused = { code: 'no-quorum', reasons: [{ code: 'needs-repair', message: 'a checksum is wrong' }] }
    await expect(world.settle(readOrStale(world.api('h3'), signal))).rejects.toMatchObject(refused)
    const { plan } = await world.plan('h3')
    expect(plan.reasons).toMatchObject([{ code: 'no-state', message: expect.stringContaining('a checksum is wrong') }])
    const former = memberOf(world, 'h3', 'h1')
    await world.powerOn('h2')
    await repaired(world, 'h3', former, 'h2')
    await world.voters('h2', 3)
    expect(alarms(world, 'h1').filter((alarm) => alarm.startsWith('needs-repair'))).toEqual([])
  })
})

describe('a voter with an old copy of its stores', () => {
  it('is found before it votes, and comes back as a learner', async () => {
    const world = await mesh(3)
    await world.run(1_000)
    const copy = world.host('h3').disk.copy()
    await world.write('h1', someVm('web', { host: world.id('h1') }))
    await world.until('h3 has it', () => world.view('h3').vms.has(vmId('web')))
    await world.run(1_000)
    const former = memberOf(world, 'h3', 'h1')
    world.powerCut('h3')
    world.host('h3').disk.putBack(copy)
    await world.powerOn('h3')
    await repaired(world, 'h3', former, 'h1')
    await world.voters('h1', 3)
    expect(world.votersOf('h1')).toEqual(['h1', 'h2', 'h3'])
    expect(memberOf(world, 'h3', 'h1')).not.toBe(former)
  })
})

describe('the only voter', () => {
  it('of several hosts: another goes on by a recovery, and the damaged one goes over to it', async () => {
    const world = await mesh(2)
    await world.write('h1', someVm('web', { host: world.id('h1') }))
    await world.until('h2 has it', () => world.view('h2').vms.has(vmId('web')))
    // Whom to ask is remembered beside the stores.
    await world.run(2_000)
    world.powerCut('h1')
    world.host('h1').disk.damage()
    await world.powerOn('h1')
    await world.run(20_000)
    expect(alarms(world, 'h2')).toContain('needs-repair: host h1 needs repair: a checksum is wrong')
    const { plan, digest } = await world.plan('h2')
    expect(plan.hosts.map(({ name, part, why }) => [name, part, why])).toEqual([
      ['h1', 'away', 'its stores need repair: a checksum is wrong'],
      ['h2', 'goes-on', null],
    ])
    await world.confirm('h2', digest)
    await world.until('h1 went over', () => world.generation('h1') === 2 && world.view('h1').vms.has(vmId('web')))
  })

  it('of a mesh of one host says that nobody else has the state, and keeps what it has', async () => {
    const world = await mesh(1)
    await world.run(2_000)
    world.powerCut('h1')
    world.host('h1').disk.damage()
    await world.powerOn('h1')
    await world.run(10_000)
    expect(world.api('h1').lifecycle.damaged()).toEqual({ why: 'a checksum is wrong', alone: true })
    await expect(world.settle(readOrStale(world.api('h1'), signal))).rejects.toMatchObject({
      reasons: [{ code: 'needs-repair', fix: expect.stringContaining('hostmesh mesh restore FILE') }],
    })
  })
})
