// A mesh whose majority is lost for good: the plan, the confirmation, and what becomes of everybody who comes back.
import { afterEach, describe, expect, it } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { formatEpoch } from '../../src/inventory/view.ts'
import { type OperationError } from '../../src/base/errors.ts'
import { jobId, someVm, vmId } from '../fixture/inventory.ts'
import { Agents } from './agents.ts'

let agents: Agents | undefined
afterEach(() => agents?.end())

async function mesh(count: number): Promise<Agents> {
  agents = await Agents.mesh(count)
  return agents
}

/** Three hosts, of which only h3 is left. */
async function lostMajority(): Promise<Agents> {
  const world = await mesh(3)
  await world.write('h1', someVm('web', { host: world.id('h1') }))
  await world.until('h3 has applied it', () => world.view('h3').vms.has(vmId('web')))
  await world.run(200)
  world.powerCut('h1', 'h2')
  await world.until('h3 knows no leader', () => world.api('h3').cluster.status().leader === null)
  return world
}

async function recovered(): Promise<Agents> {
  const world = await lostMajority()
  await world.confirm('h3', (await world.plan('h3')).digest)
  return world
}

const errorOf = (promise: Promise<unknown>): Promise<OperationError> =>
  promise.then(
    () => Promise.reject(new Error('it was done')),
    (error: OperationError) => error,
  )

describe('the plan', () => {
  it('tells of every host, who goes on, what is kept, and that what the others agreed on may be lost', async () => {
    const world = await lostMajority()
    const { plan } = await world.plan('h3')
    expect(plan.reasons).toEqual([])
    expect(plan.hosts.map(({ name, part, voted }) => [name, part, voted])).toEqual([
      ['h1', 'away', true],
      ['h2', 'away', true],
      ['h3', 'goes-on', true],
    ])
    expect(plan).toMatchObject({ from: 1, to: 2, chosen: world.id('h3'), mayLoseMore: true })
    const { commitIndex } = world.api('h3').cluster.status()
    expect(plan.kept).toMatchObject({ lastIndex: world.api('h3').raft().lastIndex, commitIndex })
  })

  it('is the same when it is asked for again, and another one when a host has come back', async () => {
    const world = await mesh(5)
    world.powerCut('h1', 'h2', 'h3', 'h4')
    await world.until('h5 knows no leader', () => world.api('h5').cluster.status().leader === null)
    const { digest } = await world.plan('h5')
    await world.run(3_000)
    expect((await world.plan('h5')).digest).toBe(digest)
    await world.powerOn('h4')
    await world.until('h4 is linked', () => world.api('h5').liveness().get(world.id('h4')) === 'up')
    expect((await world.plan('h5')).digest).not.toBe(digest)
    const error = await errorOf(world.confirm('h5', digest))
    expect(['refused', 'conflict']).toContain(error.code)
    expect(world.generation('h5')).toBe(1)
  })

  it('is refused while the mesh has a quorum, and says who leads', async () => {
    const world = await mesh(3)
    world.powerCut('h3')
    const leader = present(world.api('h1').cluster.status().leader, 'leader')
    const { plan, digest } = await world.plan('h2')
    expect(plan.reasons).toMatchObject([
      { code: 'quorum-alive', message: expect.stringContaining(world.view('h2').hosts.get(leader)?.name ?? '?') },
    ])
    expect(plan.chosen).toBeNull()
    expect(plan.hosts.map(({ part }) => part)).toEqual(['stays', 'stays', 'away'])
    expect(await errorOf(world.confirm('h2', digest))).toMatchObject({ code: 'refused', reasons: [{ code: 'quorum-alive' }] })
  })

  it('names the host with the most advanced log, and is refused on any other', async () => {
    const world = await mesh(5)
    const leader = [...world.hosts.values()].find(({ id }) => id === world.api('h1').cluster.status().leader)?.name ?? '?'
    const [behind = '', ahead = '', ...others] = ['h1', 'h2', 'h3', 'h4', 'h5'].filter((name) => name !== leader)
    world.apart(behind)
    await world.write(leader, someVm('web', { host: world.id(leader) }))
    await world.run(500)
    world.powerCut(leader, ...others)
    world.together()
    await world.until('the survivors are linked', () => world.api(behind).liveness().get(world.id(ahead)) === 'up')
    await world.until('nobody leads', () => [ahead, behind].every((name) => world.api(name).cluster.status().leader === null))
    const { plan, digest } = await world.plan(behind)
    expect(plan.chosen).toBe(world.id(ahead))
    expect(plan.reasons).toMatchObject([{ code: 'other-host', fix: `on ${ahead}: hostmesh mesh recover --plan` }])
    expect(await errorOf(world.confirm(behind, digest))).toMatchObject({ code: 'refused', reasons: [{ code: 'other-host' }] })
    // Both see the same plan: whoever reads it anywhere confirms it where it belongs.
    expect((await world.plan(ahead)).digest).toBe(digest)
    await world.confirm(ahead, digest)
    expect(world.view(ahead).vms.has(vmId('web'))).toBe(true)
    await world.until('the other survivor follows', () => world.generation(behind) === 2)
    expect(world.view(behind).vms.has(vmId('web'))).toBe(true)
  })
})

describe('the recovery', () => {
  it('goes on in a new generation with one voter, keeps everything, and takes writes', async () => {
    const world = await lostMajority()
    const before = world.view('h3')
    const { digest } = await world.plan('h3')
    expect(await world.confirm('h3', digest)).toEqual({ mesh: 'lab', generation: 2, already: false })
    expect(world.view('h3')).toMatchObject({ vms: before.vms, datastores: before.datastores })
    expect(world.votersOf('h3')).toEqual(['h3'])
    expect(await world.write('h3', someVm('db', { host: world.id('h3') }))).toMatchObject({ kind: 'done' })
    expect(world.view('h3').events.some(({ type, data }) => type === 'mesh.recovered' && data['plan'] === digest)).toBe(true)
  })

  it('is done already when it is confirmed again', async () => {
    const world = await lostMajority()
    const { digest } = await world.plan('h3')
    await world.confirm('h3', digest)
    expect(await world.confirm('h3', digest)).toEqual({ mesh: 'lab', generation: 2, already: true })
    expect(world.generation('h3')).toBe(2)
  })

  it('outlasts a power cut', async () => {
    const world = await recovered()
    await world.write('h3', someVm('db', { host: world.id('h3') }))
    world.powerCut('h3')
    await world.powerOn('h3')
    await world.until('it has applied what it knew', () => world.view('h3').vms.has(vmId('db')))
    expect(world.generation('h3')).toBe(2)
  })

  it('leaves VMs alone: those of the one that goes on run on, those of the others stay theirs', async () => {
    const world = await mesh(3)
    for (const name of ['a', 'b', 'c', 'd']) {
      await world.write('h1', someVm(name, { host: world.id('h1'), startJob: jobId(`job-${name}`) }))
    }
    const running = (): number => [...world.hosts.values()].reduce((sum, { hypervisor }) => sum + hypervisor.running().length, 0)
    await world.until('all run', () => running() === 4)
    await world.until('h3 knows', () => [...world.view('h3').vms.values()].every(({ observed }) => observed?.status === 'running'))
    const own = world.host('h3').hypervisor.running()
    const owners = [...world.view('h3').vms.values()].map(({ owner }) => owner)
    world.powerCut('h1', 'h2')
    await world.until('h3 knows no leader', () => world.api('h3').cluster.status().leader === null)
    const { plan, digest } = await world.plan('h3')
    expect(plan.running.flatMap(({ vms }) => vms)).toHaveLength(4 - own.length)
    await world.confirm('h3', digest)
    await world.run(20_000)
    expect(world.host('h3').hypervisor.running()).toEqual(own)
    expect([...world.view('h3').vms.values()].map(({ owner }) => owner)).toEqual(owners)
  })

  it('cut off by a power cut at any moment is either whole or not begun, and can be asked for again', async () => {
    const found = new Set<number | undefined>()
    for (let ms = 0; !found.has(2); ms += 7) {
      const world = await lostMajority()
      const { digest } = await world.plan('h3')
      world.host('h3').disk.mood.syncMs = [10, 10]
      world
        .api('h3')
        .recovery.confirm(digest, new AbortController().signal)
        .catch(() => undefined)
      await world.run(ms)
      world.powerCut('h3')
      await world.powerOn('h3')
      await world.until('it knows what it is', () => world.generation('h3') !== undefined)
      found.add(world.generation('h3'))
      if (world.generation('h3') === 1) await world.run(2_000)
      const again = await world.plan('h3')
      await world.confirm('h3', again.plan.from === 1 ? again.digest : digest)
      expect(world.generation('h3')).toBe(2)
      expect(world.view('h3').vms.has(vmId('web'))).toBe(true)
      expect(await world.write('h3', someVm('db', { host: world.id('h3') }))).toMatchObject({ kind: 'done' })
      await world.end()
    }
    expect([...found]).toEqual([1, 2])
  })
})

describe('who comes back', () => {
  it('alone, is refused in its generation, comes in again as a learner by itself, and votes in the end', async () => {
    const world = await recovered()
    await world.write('h3', someVm('db', { host: world.id('h3') }))
    await world.powerOn('h1')
    await world.until('h1 has heard', () => world.api('h1').cluster.status().superseded !== null, 10_000)
    expect(world.generation('h1')).toBe(1)
    await world.until('h1 went over', () => world.generation('h1') === 2, 30_000)
    expect(world.view('h1').vms.has(vmId('db'))).toBe(true)
    expect(world.votersOf('h3')).toEqual(['h3'])
    await world.powerOn('h2')
    await world.voters('h3', 3)
    expect(await world.write('h2', someVm('third', { host: world.id('h2') }))).toMatchObject({ kind: 'done' })
  })

  it('as the old majority, is refused, changes nothing any more, and says why; a person lets it go over', async () => {
    const world = await recovered()
    world.host('h1').powerOn()
    world.host('h2').powerOn()
    const superseded = (name: string): boolean => world.host(name).agent?.api.cluster.status().superseded?.generation === 2
    await world.until('both have heard', () => superseded('h1') && superseded('h2'))
    await world.until('the old quorum stands', () => world.api('h1').cluster.status().leader !== null)
    await world.run(30_000)
    expect([world.generation('h1'), world.generation('h2')]).toEqual([1, 1])
    expect(await errorOf(world.write('h1', someVm('lost', { host: world.id('h1') })))).toMatchObject({
      code: 'refused',
      reasons: [{ code: 'superseded', fix: 'hostmesh mesh recover --rejoin h3' }],
    })
    expect(world.view('h3').events.some(({ type }) => type === 'peer.refused')).toBe(true)
    await world.rejoin('h1', 'h3')
    expect(world.generation('h1')).toBe(2)
    // Without h1 its quorum is gone: nobody's word stands against the other generation any more.
    await world.until('h2 follows', () => world.generation('h2') === 2)
    await world.voters('h3', 3)
    expect(world.api('h1').cluster.status().superseded).toBeNull()
  })

  it('while the mesh went on twice, is asked to choose: both sides stand still until one is given up', async () => {
    const world = await mesh(5)
    world.powerCut('h1', 'h2', 'h3')
    world.apart('h4')
    const leaderless = (name: string): boolean => world.api(name).cluster.status().leader === null
    await world.until('both are alone', () => leaderless('h4') && leaderless('h5'))
    await world.run(5_000)
    for (const name of ['h4', 'h5']) await world.confirm(name, (await world.plan(name)).digest)
    expect([world.generation('h4'), world.generation('h5')]).toEqual([2, 2])
    world.together()
    const apart = (name: string): boolean => world.api(name).cluster.status().superseded?.apart === true
    await world.until('both know', () => apart('h4') && apart('h5'))
    expect(await errorOf(world.write('h4', someVm('x', { host: world.id('h4') })))).toMatchObject({ code: 'refused' })
    await world.run(30_000)
    await world.rejoin('h4', 'h5')
    expect(world.view('h4').mesh).toEqual(world.view('h5').mesh)
    await world.until('h5 is free again', () => world.api('h5').cluster.status().superseded === null)
    expect(await world.write('h4', someVm('x', { host: world.id('h4') }))).toMatchObject({ kind: 'done' })
  })

  it('with a VM that only its own generation has started anew, ends that run before the VM starts again, wherever', async () => {
    const world = await mesh(3)
    await world.write('h1', someVm('web', { host: world.id('h1'), startJob: jobId('job-web') }))
    await world.until('it runs on h1', () => world.view('h3').vms.get(vmId('web'))?.observed?.status === 'running')
    await world.run(1_000)
    world.powerCut('h1', 'h2')
    await world.until('h3 knows no leader', () => world.api('h3').cluster.status().leader === null)
    await world.confirm('h3', (await world.plan('h3')).digest)
    world.apart('h3')
    world.host('h1').powerOn()
    world.host('h2').powerOn()
    const epochs = (): readonly string[] =>
      [...world.hosts.values()].flatMap(({ hypervisor }) => hypervisor.running().map(({ epoch }) => formatEpoch(epoch)))
    await world.until('the old majority has started it anew', () => epochs().join() === '1.2')
    world.together()
    await world.until('h1 has heard', () => world.api('h1').cluster.status().superseded !== null)
    await world.rejoin('h1', 'h3')
    await world.until('it runs again', () => {
      expect(epochs().length).toBeLessThanOrEqual(1)
      return epochs().join() === '2.2'
    })
    expect(world.view('h3').vms.get(vmId('web'))?.fault).toBeNull()
  })

  it('with a VM that its own generation has seen end, leaves it off until a person starts it: it may have gone to another host', async () => {
    const world = await mesh(3)
    await world.write('h1', someVm('web', { host: world.id('h1'), startJob: jobId('job-web') }))
    await world.until('it runs on h1', () => world.view('h3').vms.get(vmId('web'))?.observed?.status === 'running')
    await world.run(1_000)
    world.apart('h3')
    await world.until('h3 knows no leader', () => world.api('h3').cluster.status().leader === null)
    await world.write('h1', { kind: 'vm-stop', vm: vmId('web'), job: jobId('job-stop') })
    await world.until('it is off', () => world.view('h1').vms.get(vmId('web'))?.owner === null)
    await world.run(5_000)
    world.powerCut('h1', 'h2')
    await world.confirm('h3', (await world.plan('h3')).digest)
    world.together()
    world.host('h1').powerOn()
    world.host('h2').powerOn()
    await world.run(2_000)
    await world.until('h1 has heard', () => world.api('h1').cluster.status().superseded !== null)
    await world.rejoin('h1', 'h3')
    await world.until('h3 knows that it is off', () => world.view('h3').vms.get(vmId('web'))?.owner === null)
    await world.run(10_000)
    expect(world.view('h3').vms.get(vmId('web'))).toMatchObject({ owner: null, desired: { power: 'off' } })
    expect(world.view('h3').events.map(({ type }) => type)).toContain('vm.held')
    expect([...world.hosts.values()].flatMap(({ hypervisor }) => hypervisor.running())).toEqual([])
    expect(await world.write('h1', { kind: 'vm-start', vm: vmId('web'), job: jobId('job-again') })).toMatchObject({ kind: 'done' })
    await world.until('it runs again', () => world.view('h3').vms.get(vmId('web'))?.observed?.status === 'running')
  })

  it('cannot be sent over to where nobody went on', async () => {
    const world = await mesh(3)
    world.powerCut('h2')
    await world.until('h1 misses h2', () => world.api('h1').liveness().get(world.id('h2')) !== 'up')
    await world.run(2_000)
    expect(await errorOf(world.rejoin('h1', 'h2'))).toMatchObject({ code: 'refused', reasons: [{ code: 'no-later-generation' }] })
  })

  it('is there already where it sees the host it is sent to, and is done', async () => {
    const world = await mesh(3)
    expect(await world.rejoin('h1', 'h2')).toEqual({ mesh: 'lab', generation: 1, already: true })
    expect(await world.rejoin('h1', 'h1')).toEqual({ mesh: 'lab', generation: 1, already: true })
  })
})
