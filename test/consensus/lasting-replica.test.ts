// A member whose disk fails comes back by itself with all that it acknowledged; one whose stores are damaged rests and says so.
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { silentLog } from '../../src/base/log.ts'
import { OperationError } from '../../src/base/errors.ts'
import { type LastingOptions, type ReplicaHealth, startLastingReplica } from '../../src/consensus/lasting-replica.ts'
import { type Replica } from '../../src/consensus/replica.ts'
import { type SnapshotStream } from '../../src/consensus/types.ts'
import { manualClock } from '../fixture/manual-clock.ts'
import { type Member, ReplicaGroup } from '../fixture/replica-group.ts'
import { command } from '../fixture/text-machine.ts'

function diskError(): OperationError {
  return new OperationError('failed', 'no space left on device', { data: { kind: 'disk' } })
}

async function lastingGroup(): Promise<{ group: ReplicaGroup; leader: Member; followers: readonly Member[] }> {
  const group = await ReplicaGroup.of([1, 2, 3], { lasting: true })
  const leader = await group.leader()
  return { group, leader, followers: [...group.members.values()].filter((member) => member !== leader) }
}

describe('a disk that fails', () => {
  it('on a follower: the others go on, it is back once the disk works again, with all it had', async () => {
    const { group, followers } = await lastingGroup()
    const [victim] = followers
    await group.commit('set a 1')
    await group.rest()
    let broken = true
    group.onDisk = (id, disk) => {
      if (broken && id === victim?.id && disk === 'log') throw new Error('EIO')
    }
    for (let at = 0; at < 5; at += 1) await group.commit(`set k${at} ${at}`)
    await group.clock.run(5_000)
    expect(victim?.fatal).toEqual([])
    expect(victim?.replica.status()).toMatchObject({ role: 'follower' })
    expect(victim?.machine.values.get('k4')).toBeUndefined()
    broken = false
    await group.level(20_000)
    expect(victim?.machine.values.get('k4')).toBe('4')
    expect(victim?.machine.values.get('a')).toBe('1')
    await group.stop()
  })

  it('on the leader: another leads, nothing acknowledged is lost, and the former leader follows', async () => {
    const { group, leader } = await lastingGroup()
    await group.commit('set a 1')
    let broken = true
    group.onDisk = (id, disk) => {
      if (broken && id === leader.id && disk === 'log') throw new Error('ENOSPC')
    }
    const lost = leader.replica.propose(command('set b 2'), {}).catch((error: unknown) => error)
    await group.clock.run(100)
    expect(await lost).toBeInstanceOf(OperationError)
    await group.clock.runUntil(
      'another leads',
      () => [...group.members.values()].some((each) => each !== leader && each.replica.status().leading),
      5_000,
    )
    await group.commit('set c 3')
    broken = false
    await group.level(20_000)
    expect(leader.machine.values.get('a')).toBe('1')
    expect(leader.machine.values.get('c')).toBe('3')
    expect(leader.fatal).toEqual([])
    await group.stop()
  })

  it('of the state alone is no less of a failure', async () => {
    const { group, followers } = await lastingGroup()
    const [victim] = followers
    let failures = 0
    group.onDisk = (id, disk) => {
      if (failures < 3 && id === victim?.id && disk === 'state') {
        failures += 1
        throw new Error('EIO')
      }
    }
    await group.commit('set a 1')
    await group.level(20_000)
    await group.clock.run(2_000)
    expect(failures).toBe(3)
    expect(victim?.machine.values.get('a')).toBe('1')
    expect(victim?.fatal).toEqual([])
    await group.stop()
  })
})

/** Opens of a replica that never does anything; each entry of `outcomes` is one open, undefined a success. */
function script(outcomes: (OperationError | undefined)[]) {
  const clock = manualClock()
  const opens: number[] = []
  const fatal: unknown[] = []
  let fail: (error: unknown) => void = () => {}
  let stops = 0
  const options: LastingOptions = {
    id: 7,
    clock,
    random: seededRandom(1),
    log: silentLog,
    onFatal: (error) => fatal.push(error),
    async open(onFatal) {
      opens.push(clock.now())
      const outcome = outcomes.shift()
      if (outcome !== undefined) throw outcome
      fail = onFatal
      return idleReplica(() => (stops += 1))
    },
  }
  return { clock, opens, fatal, options, fail: (error: unknown) => fail(error), stops: () => stops }
}

function idleReplica(onStop: () => void): Replica {
  const conf = { voters: [7], outgoing: [], learners: [], learnersNext: [], autoLeave: false }
  const numbers = { term: 3, commitIndex: 5, appliedIndex: 5, lastIndex: 5, lastTerm: 3, firstIndex: 1 }
  return {
    status: () => ({ id: 7, role: 'leader', leader: 7, leading: true, conf, progress: new Map(), ...numbers }),
    propose: async () => ({ index: 6, term: 3, result: null }),
    proposeConfChange: async () => ({ index: 6, term: 3, result: null }),
    readIndex: async () => 5,
    receive: () => {},
    connectionLost: () => {},
    transferLeadership: async () => {},
    receiveSnapshot: () => {},
    onStatus: () => () => {},
    onApplied: () => () => {},
    stop: async () => onStop(),
  }
}

describe('opening again', () => {
  const damage = new OperationError('failed', 'entry 8 follows 6', { data: { kind: 'damaged' } })

  it('is tried less and less often, at least every 15 s, and at once often again after a minute of peace', async () => {
    const world = script(Array.from({ length: 12 }, diskError))
    const replica = await startLastingReplica(world.options)
    await world.clock.run(120_000)
    const waits = world.opens.slice(1).map((at, index) => at - (world.opens[index] ?? 0))
    expect(waits).toHaveLength(12)
    expect(waits[0]).toBeLessThanOrEqual(250)
    expect(Math.max(...waits)).toBeLessThanOrEqual(15_000)
    expect(waits.at(-1)).toBeGreaterThan(7_000)
    expect(replica.health()).toEqual({ kind: 'running' })
    await world.clock.run(61_000)
    const before = world.opens.length
    world.fail(diskError())
    await world.clock.run(251)
    expect(world.opens.length).toBe(before + 1)
    await world.clock.settle(replica.stop(), 100)
  })

  it('is not done with damaged stores: the member rests, follows nobody, and refuses with the reason', async () => {
    const world = script([undefined])
    const replica = await startLastingReplica(world.options)
    const heard: (ReplicaHealth | boolean)[] = []
    replica.onHealth((health) => heard.push(health))
    replica.onStatus(({ leading }) => heard.push(leading))
    world.fail(damage)
    await world.clock.run(60_000)
    expect(heard).toEqual([{ kind: 'damaged', why: 'entry 8 follows 6' }, false])
    expect([world.opens.length, world.stops(), world.fatal]).toEqual([1, 1, []])
    expect(replica.status()).toMatchObject({ role: 'follower', leader: 0, leading: false, lastIndex: 5 })
    await expect(replica.propose(new Uint8Array(1), {})).rejects.toMatchObject({
      code: 'no-quorum',
      message: expect.stringMatching('entry 8 follows 6'),
    })
    await expect(replica.readIndex({ signal: AbortSignal.timeout(1000) })).rejects.toMatchObject({ code: 'no-quorum' })
    await world.clock.settle(replica.stop(), 100)
    expect(world.stops()).toBe(1)
  })

  it('is told to those who listen, and a member between its lives takes no streams', async () => {
    const world = script([undefined])
    const replica = await startLastingReplica(world.options)
    const leading: boolean[] = []
    const aborts: string[] = []
    const stream: SnapshotStream = {
      write: async () => {},
      onData: () => {},
      onClose: () => {},
      close: () => {},
      abort: (cause) => aborts.push(cause),
    }
    replica.onStatus((status) => leading.push(status.leading))
    replica.receiveSnapshot(stream, 2)
    world.fail(diskError())
    await world.clock.drain()
    replica.receiveSnapshot(stream, 2)
    expect(leading).toEqual([false])
    await world.clock.run(251)
    replica.receiveSnapshot(stream, 2)
    expect(leading).toEqual([false, true])
    expect(aborts).toEqual(['this member takes no part now'])
    await world.clock.settle(replica.stop(), 100)
  })

  it('may show that the stores are damaged, at the first start as well', async () => {
    for (const outcomes of [[damage], [diskError(), damage]]) {
      const world = script(outcomes)
      const replica = await startLastingReplica(world.options)
      await world.clock.run(60_000)
      expect(replica.health()).toEqual({ kind: 'damaged', why: 'entry 8 follows 6' })
      expect(replica.status()).toMatchObject({ id: 7, role: 'follower', leading: false })
      await world.clock.settle(replica.stop(), 100)
    }
  })

  it('is no help against a bug: that ends the process', async () => {
    const world = script([undefined])
    const replica = await startLastingReplica(world.options)
    const bug = new Error('unknown command')
    world.fail(bug)
    await world.clock.run(60_000)
    expect(world.fatal).toEqual([bug])
    expect(world.opens).toHaveLength(1)
    await world.clock.settle(replica.stop(), 100)
    const locked = new OperationError('failed', 'in use', { data: { kind: 'locked' } })
    const later = script([diskError(), locked])
    const mended = await startLastingReplica(later.options)
    await later.clock.run(60_000)
    expect([later.fatal, later.opens.length]).toEqual([[locked], 2])
    await later.clock.settle(mended.stop(), 100)
    await expect(startLastingReplica(script([locked]).options)).rejects.toBe(locked)
  })

  it('ends with the member', async () => {
    const world = script(Array.from({ length: 100 }, diskError))
    const replica = await startLastingReplica(world.options)
    await world.clock.run(3_000)
    await world.clock.settle(replica.stop(), 100)
    const { length } = world.opens
    await world.clock.run(60_000)
    expect(world.opens).toHaveLength(length)
  })
})
