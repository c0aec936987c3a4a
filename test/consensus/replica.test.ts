// The driver over the real core, members in virtual time: order of obligations, proposals, reads, fail-over.
import { describe, expect, it } from 'vitest'
import { type Clock } from '../../src/base/clock.ts'
import { type OperationError } from '../../src/base/errors.ts'
import { type Message, type StateMachine } from '../../src/consensus/types.ts'
import { type Member, ReplicaGroup } from '../fixture/replica-group.ts'
import { command, textMachine } from '../fixture/text-machine.ts'

const never = new AbortController().signal

/** What a promise came to by now: its value, the data of its OperationError, or undefined while it waits. */
function watch(promise: Promise<unknown>): { readonly seen: () => unknown } {
  let outcome: unknown
  promise.then(
    (value) => {
      outcome = value
    },
    (error: OperationError) => {
      outcome = { code: error.code, ...error.data }
    },
  )
  return { seen: () => outcome }
}

function others(group: ReplicaGroup, id: number): Member[] {
  return [...group.members.values()].filter((member) => member.id !== id)
}

describe('a group of three', () => {
  it('elects a leader, commits, and applies everywhere', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    expect(await group.commit('set a 1')).toBeUndefined()
    expect(await group.commit('set a 2')).toBe('1')
    await group.level()
    for (const member of group.members.values()) {
      expect([...member.machine.values]).toEqual([['a', '2']])
      expect(member.replica.status()).toMatchObject({ leader: leader.id, leading: member === leader })
    }
    await group.stop()
  })

  it('tells each proposer the index, term and result of its own entry', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    const { term, lastIndex } = leader.replica.status()
    const all = Array.from({ length: 20 }, (_, at) => leader.replica.propose(command(`set a ${at}`), {}))
    const done = await group.clock.settle(Promise.all(all), 1000)
    expect(done).toEqual(done.map((_, at) => ({ index: lastIndex + 1 + at, term, result: at === 0 ? undefined : `${at - 1}` })))
    await group.stop()
  })

  it('sends proposals of one turn as one append to each follower, in one synced group', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.rest()
    for (const { journal } of group.members.values()) journal.length = 0
    const all = Array.from({ length: 50 }, (_, at) => leader.replica.propose(command(`set k${at} x`), {}))
    await group.clock.settle(Promise.all(all), 40)
    await group.clock.run(100)
    for (const { id, journal } of others(group, leader.id)) {
      expect(leader.journal.filter((line) => line.startsWith(`send append ${id}`))).toEqual([
        `send append ${id} +50`,
        `send append ${id} +0`,
      ])
      expect(journal.filter((line) => line === 'log write')).toHaveLength(1)
    }
    expect(leader.journal.filter((line) => line === 'log write')).toHaveLength(1)
    expect(leader.journal.filter((line) => line === 'state write')).toHaveLength(1)
    await group.stop()
  })

  it('sends a leader’s appends before its own sync ends, and a follower’s answer only after its sync', async () => {
    const group = await ReplicaGroup.of([1, 2, 3], { syncMs: 5 })
    const leader = await group.leader()
    await group.rest()
    for (const { journal } of group.members.values()) journal.length = 0
    const applied = watch(leader.replica.propose(command('set a 1'), {}))
    await group.clock.run(4)
    const [one, two] = others(group, leader.id)
    expect(leader.journal).toEqual([`send append ${one?.id} +1`, `send append ${two?.id} +1`, 'log write'])
    expect(one?.journal).toEqual(['log write'])
    expect(applied.seen()).toBeUndefined()
    await group.clock.run(2)
    expect(one?.journal.slice(0, 3)).toEqual(['log write', 'log write done', `send append-response ${leader.id}`])
    await group.clock.run(1)
    expect(applied.seen()).toMatchObject({ result: undefined })
    await group.stop()
  })

  it('commits through two while the third is away, which catches up later', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    const away = others(group, leader.id)[0]?.id ?? 0
    group.crash(away)
    for (let at = 0; at < 30; at += 1) await group.commit(`set k${at} ${at}`)
    await group.restart(away)
    await group.level()
    expect(group.get(away).machine.values).toEqual(leader.machine.values)
    await group.stop()
  })

  it('hears of every change of role, leader and applied index', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const heard: string[] = []
    const applied: number[] = []
    const { replica } = group.get(1)
    const quiet = replica.onStatus(({ role, leader, appliedIndex, leading }) => heard.push(`${role} ${leader} ${appliedIndex} ${leading}`))
    replica.onApplied((index) => applied.push(index))
    const leader = await group.leader()
    await group.commit('set a 1')
    await group.level()
    const last = replica.status()
    expect(heard.at(-1)).toBe(`${last.role} ${leader.id} ${last.appliedIndex} ${last.leading}`)
    expect(new Set(heard).size).toBe(heard.length)
    expect(applied.at(-1)).toBe(last.appliedIndex)
    expect(applied).toEqual([...new Set(applied)].sort((a, b) => a - b))
    quiet()
    const count = heard.length
    await group.commit('set a 2')
    await group.level()
    expect(heard).toHaveLength(count)
    await group.stop()
  })

  it('hands leadership over when asked to', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    const target = others(group, leader.id)[0]
    await group.clock.settle(leader.replica.transferLeadership(target?.id ?? 0, { signal: never }), 200)
    await group.clock.runUntil('the target leads', () => target?.replica.status().leading === true, 200)
    expect(leader.replica.status()).toMatchObject({ role: 'follower', leader: target?.id })
    await group.stop()
  })
})

describe('a group of one', () => {
  it('leads at once, and commits with one sync', async () => {
    const group = await ReplicaGroup.of([1], { syncMs: 10 })
    const member = await group.leader(30)
    member.journal.length = 0
    const before = group.clock.now()
    await group.commit('set a 1')
    expect(group.clock.now() - before).toBeLessThanOrEqual(10)
    expect(member.journal.filter((line) => line === 'log write')).toHaveLength(1)
    await group.stop()
  })

  it('writes no commit index by itself: it travels with the next group', async () => {
    const group = await ReplicaGroup.of([1])
    const { logDisk, replica, journal } = await group.leader()
    await group.commit('set a 1')
    const first = replica.status().commitIndex
    await group.clock.run(500)
    expect(logDisk.current.hardState.commit).toBeLessThan(first)
    const writes = journal.filter((line) => line === 'log write').length
    await group.commit('set a 2')
    expect(logDisk.current.hardState.commit).toBe(first)
    expect(journal.filter((line) => line === 'log write')).toHaveLength(writes + 1)
    await group.stop()
  })
})

describe('a proposal is surely not done when', () => {
  it('another member leads', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.level()
    for (const { replica } of others(group, leader.id)) {
      const refused = replica.propose(command('set a 1'), {})
      await expect(group.clock.settle(refused, 10)).rejects.toMatchObject({
        code: 'unreachable',
        data: { kind: 'not-leader', leader: leader.id },
      })
    }
    await group.stop()
  })

  it('nobody leads', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const refused = group.get(1).replica.propose(command('set a 1'), {})
    await expect(group.clock.settle(refused, 10)).rejects.toMatchObject({ code: 'no-quorum', data: { kind: 'no-leader', leader: 0 } })
    await group.stop()
  })

  it('the term is not the wanted one', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    const { term } = leader.replica.status()
    for (const wrong of [term - 1, term + 1]) {
      const refused = leader.replica.propose(command('set a 1'), { term: wrong })
      await expect(group.clock.settle(refused, 10)).rejects.toMatchObject({ code: 'conflict', data: { kind: 'stale', term } })
    }
    expect((await group.clock.settle(leader.replica.propose(command('set a 1'), { term }), 100)).term).toBe(term)
    expect(leader.machine.calls).toHaveLength(1)
    await group.stop()
  })

  it('its caller stopped waiting within the same turn', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    const { lastIndex } = leader.replica.status()
    const controller = new AbortController()
    const proposal = leader.replica.propose(command('set a 1'), { signal: controller.signal })
    controller.abort()
    await expect(proposal).rejects.toMatchObject({ code: 'timeout', data: { kind: 'not-done' } })
    await group.clock.run(100)
    expect(leader.replica.status().lastIndex).toBe(lastIndex)
    await group.stop()
  })

  it('its data is empty or too large, or too many wait already', async () => {
    const group = await ReplicaGroup.of([1, 2, 3], { replica: { limits: { waiting: 3, proposalBytes: 100 } } })
    const leader = await group.leader()
    await expect(leader.replica.propose(new Uint8Array(0), {})).rejects.toMatchObject({ code: 'usage' })
    await expect(leader.replica.propose(new Uint8Array(101), {})).rejects.toMatchObject({ code: 'too-large', data: { limit: 100 } })
    group.deliver = () => false
    const waiting = [1, 2, 3].map((at) => watch(leader.replica.propose(command(`set k${at} x`), {})))
    await expect(leader.replica.propose(command('set k4 x'), {})).rejects.toMatchObject({ code: 'no-quorum', data: { kind: 'busy' } })
    await group.clock.run(20)
    await expect(leader.replica.propose(command('set k4 x'), {})).rejects.toMatchObject({ code: 'no-quorum', data: { kind: 'busy' } })
    expect(waiting.map(({ seen }) => seen())).toEqual([undefined, undefined, undefined])
    await group.stop()
  })

  it('more bytes than the limit wait for a write of the log; once that is done, there is room again', async () => {
    const group = await ReplicaGroup.of([1, 2, 3], { replica: { limits: { queuedBytes: 20 } } })
    const leader = await group.leader()
    const first = watch(leader.replica.propose(command('set k1 12345'), {}))
    const busy = { code: 'no-quorum', data: { kind: 'busy', limit: 20 } }
    await expect(leader.replica.propose(command('set k2 12345'), {})).rejects.toMatchObject(busy)
    await group.clock.run(100)
    expect(first.seen()).toMatchObject({ index: expect.any(Number) })
    await group.commit('set k3 12345')
    await group.stop()
  })

  it('its entry was overwritten by another leader', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const old = await group.leader()
    const { term, lastIndex } = old.replica.status()
    group.deliver = ({ from, to }) => from !== old.id && to !== old.id
    const proposals = [watch(old.replica.propose(command('set a lost'), {})), watch(old.replica.propose(command('set b lost'), {}))]
    await group.clock.runUntil('another leads', () => others(group, old.id).some(({ replica }) => replica.status().leading), 3000)
    expect(proposals.map(({ seen }) => seen())).toEqual([undefined, undefined])
    group.deliver = () => true
    await group.level()
    expect(proposals.map(({ seen }) => seen())).toEqual([
      { code: 'conflict', kind: 'lost', index: lastIndex + 1, term },
      { code: 'conflict', kind: 'lost', index: lastIndex + 2, term },
    ])
    for (const { machine } of group.members.values()) expect(machine.values.size).toBe(0)
    await group.stop()
  })
})

describe('a proposal has an unknown outcome when', () => {
  it('its caller stops waiting; it may be committed all the same', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    group.deliver = () => false
    const controller = new AbortController()
    const proposal = watch(leader.replica.propose(command('set a 1'), { signal: controller.signal }))
    await group.clock.run(100)
    controller.abort()
    await group.clock.drain()
    expect(proposal.seen()).toEqual({ code: 'timeout', kind: 'unknown' })
    group.deliver = () => true
    await group.level()
    expect(leader.machine.values.get('a')).toBe('1')
    await group.stop()
  })

  it('the member stops', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    group.deliver = () => false
    const inLog = watch(leader.replica.propose(command('set a 1'), {}))
    await group.clock.run(20)
    const queued = watch(leader.replica.propose(command('set a 2'), {}))
    await group.clock.settle(leader.replica.stop(), 1000)
    expect(inLog.seen()).toEqual({ code: 'timeout', kind: 'unknown' })
    expect(queued.seen()).toEqual({ code: 'no-quorum', kind: 'stopped' })
    await group.stop()
  })
})

describe('a read', () => {
  it('on any member sees what was written before it', async () => {
    const group = await ReplicaGroup.of([1, 2, 3], { networkMs: 7 })
    await group.leader()
    for (let round = 0; round < 10; round += 1) {
      await group.commit(`set a ${round}`)
      for (const { replica, machine } of group.members.values()) {
        const index = await group.clock.settle(replica.readIndex({ signal: never }), 200)
        expect(machine.values.get('a')).toBe(`${round}`)
        expect(replica.status().appliedIndex).toBeGreaterThanOrEqual(index)
      }
    }
    await group.stop()
  })

  it('is asked for again when the request or the answer is lost', async () => {
    for (const kind of ['read-index', 'read-index-response'] as const) {
      const group = await ReplicaGroup.of([1, 2, 3])
      const leader = await group.leader()
      await group.level()
      let lost = 0
      group.deliver = (message) => message.kind !== kind || lost++ > 0
      const follower = others(group, leader.id)[0]
      const read = follower?.replica.readIndex({ signal: never }) ?? Promise.reject(new Error('no follower'))
      expect(await group.clock.settle(read, 400)).toBe(leader.replica.status().lastIndex)
      expect(lost).toBeGreaterThanOrEqual(2)
      await group.stop()
    }
  })

  it('waits until the member that serves it has applied that far', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.rest()
    const follower = others(group, leader.id)[0]
    group.deliver = ({ kind, to }) => to !== follower?.id || kind === 'read-index-response'
    await group.commit('set a 1')
    const read = watch(follower?.replica.readIndex({ signal: never }) ?? Promise.resolve())
    await group.clock.run(100)
    expect(read.seen()).toBeUndefined()
    group.deliver = () => true
    await group.clock.runUntil('it is served', () => read.seen() !== undefined, 200)
    expect(read.seen()).toBe(leader.replica.status().commitIndex)
    expect(follower?.machine.values.get('a')).toBe('1')
    await group.stop()
  })

  it('is not served by the answer to a read of an earlier life', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    const follower = others(group, leader.id)[0]?.id ?? 0
    const late: Message[] = []
    group.deliver = (message) => {
      if (message.kind === 'read-index-response') late.push(message)
      return message.kind !== 'read-index-response'
    }
    group
      .get(follower)
      .replica.readIndex({ signal: never })
      .catch(() => {})
    await group.clock.run(600)
    group.crash(follower)
    await group.restart(follower)
    await group.level()
    expect(late.length).toBeGreaterThan(1)
    group.deliver = ({ kind }) => kind !== 'read-index'
    const read = watch(group.get(follower).replica.readIndex({ signal: never }))
    await group.clock.run(10)
    for (const message of late) group.get(follower).replica.receive(message)
    await group.clock.run(600)
    expect(read.seen()).toBeUndefined()
    await group.stop()
  })

  it('outlives a change of the leader', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const old = await group.leader()
    await group.commit('set a 1')
    group.crash(old.id)
    const reads = others(group, old.id).map(({ replica }) => replica.readIndex({ signal: never }))
    group.hangUp(old.id)
    await group.leader()
    // At once, not when the time to ask again has come.
    await group.clock.settle(Promise.all(reads), 20)
    for (const { machine } of others(group, old.id)) expect(machine.values.get('a')).toBe('1')
    await group.stop()
  })

  it('is not served by a leader that others have replaced', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const old = await group.leader()
    group.deliver = ({ from, to }) => from !== old.id && to !== old.id
    const controller = new AbortController()
    const read = watch(old.replica.readIndex({ signal: controller.signal }))
    await group.clock.runUntil('another leads', () => others(group, old.id).some(({ replica }) => replica.status().leading), 3000)
    expect(read.seen()).toBeUndefined()
    await group.clock.run(1000)
    expect(read.seen()).toBeUndefined()
    controller.abort()
    await group.clock.drain()
    expect(read.seen()).toMatchObject({ code: 'no-quorum', leader: 0 })
    await group.stop()
  })

  it('ends with a time-out when a leader is known but silent, and with the member', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.level()
    const follower = others(group, leader.id)[0]
    const controller = new AbortController()
    group.deliver = () => false
    const reads = [controller.signal, never].map((signal) => watch(follower?.replica.readIndex({ signal }) ?? Promise.resolve()))
    await group.clock.run(100)
    controller.abort()
    await group.clock.drain()
    expect(reads.map(({ seen }) => seen())).toEqual([{ code: 'timeout', leader: leader.id }, undefined])
    await group.stop()
    expect(reads[1]?.seen()).toEqual({ code: 'no-quorum', kind: 'stopped' })
  })
})

describe('fail-over', () => {
  /** Virtual milliseconds from the death of the leader to a committed write. */
  const outage = async (seed: number, closed: boolean): Promise<number> => {
    const group = await ReplicaGroup.of([11, 22, 33], { seed, networkMs: 2, syncMs: 10 })
    const leader = await group.leader()
    await group.commit('set a 1')
    await group.clock.run(seed * 13)
    const died = group.clock.now()
    group.crash(leader.id)
    if (closed) group.hangUp(leader.id)
    await group.commit('set a 2')
    const took = group.clock.now() - died
    await group.stop()
    return took
  }

  it('after the leader’s connections closed takes less than 0.13 s', async () => {
    for (let seed = 1; seed <= 20; seed += 1) expect(await outage(seed, true), `seed ${seed}`).toBeLessThan(130)
  })

  it('after the leader fell silent takes less than 1.4 s', async () => {
    const times = []
    for (let seed = 1; seed <= 20; seed += 1) times.push(await outage(seed, false))
    expect([...times].sort((a, b) => a - b)[10]).toBeLessThan(1400)
    expect(Math.min(...times)).toBeGreaterThan(400)
  })

  it('is not begun by a connection that closes while the leader lives', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.level()
    const { term } = leader.replica.status()
    for (let round = 0; round < 20; round += 1) {
      const follower = others(group, leader.id)[round % 2]
      follower?.replica.connectionLost(leader.id)
      leader.replica.connectionLost(follower?.id ?? 0)
      await group.clock.run(123)
    }
    expect(leader.replica.status()).toMatchObject({ term, leading: true })
    expect(await group.commit('set a 1')).toBeUndefined()
    await group.stop()
  })

  it('is called off when the leader is heard again before it is one’s turn', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.level()
    // The second in line waits for 80 ms at least, heartbeats come every 50 ms.
    const second = others(group, leader.id)[1]
    second?.replica.connectionLost(leader.id)
    await group.clock.run(300)
    expect(second?.journal.filter((line) => /^send pre-vote \d/.test(line))).toEqual([])
    await group.stop()
  })

  it('is not begun by a member that was stopped and goes on; a leader that was, gives way', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.level()
    const { term } = leader.replica.status()
    const follower = others(group, leader.id)[0]
    for (const stoppedMs of [300, 2000, 60_000]) {
      follower?.clock.pause()
      await group.clock.run(stoppedMs)
      follower?.clock.resume()
      await group.clock.run(2000)
      expect(leader.replica.status()).toMatchObject({ term, leading: true })
    }
    leader.clock.pause()
    await group.clock.run(3000)
    leader.clock.resume()
    await group.level()
    expect(leader.replica.status()).toMatchObject({ role: 'follower' })
    expect((await group.leader()).id).not.toBe(leader.id)
    await group.stop()
  })
})

describe('a member that stopped', () => {
  it('does nothing any more: no tick, no message, no write', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.level()
    for (const { replica } of others(group, leader.id)) replica.connectionLost(leader.id)
    await group.clock.drain()
    await group.clock.settle(leader.replica.stop(), 1000)
    leader.journal.length = 0
    const message: Message = { kind: 'heartbeat', from: 2, to: leader.id, term: 99, commit: 0, readContext: 0, held: 0, holdings: [] }
    leader.replica.receive(message)
    leader.replica.connectionLost(2)
    const handOver = leader.replica.transferLeadership(2, { signal: never })
    await expect(handOver).rejects.toMatchObject({ code: 'no-quorum', data: { kind: 'stopped' } })
    await group.clock.run(5000)
    expect(leader.journal).toEqual([])
    await expect(leader.replica.propose(command('set a 1'), {})).rejects.toMatchObject({ code: 'no-quorum', data: { kind: 'stopped' } })
    await expect(leader.replica.readIndex({ signal: never })).rejects.toMatchObject({ code: 'no-quorum', data: { kind: 'stopped' } })
    await group.clock.settle(leader.replica.stop(), 10)
    await group.stop()
  })

  it('sends nothing more and applies nothing more, though a write is under way', async () => {
    const group = await ReplicaGroup.of([1, 2, 3], { syncMs: 10 })
    const leader = await group.leader()
    await group.rest()
    const follower = others(group, leader.id)[0]
    void leader.replica.propose(command('set a 1'), {}).catch(() => {})
    await group.clock.runUntil('it writes', () => follower?.journal.at(-1) === 'log write', 100)
    follower?.replica.receive({
      kind: 'heartbeat',
      from: leader.id,
      to: follower.id,
      term: leader.replica.status().term,
      commit: 0,
      readContext: 0,
      held: 0,
      holdings: [],
    })
    await group.clock.settle(follower?.replica.stop() ?? Promise.resolve(), 1000)
    expect(follower?.journal.slice(-2)).toEqual(['log write', 'log write done'])
    expect(follower?.machine.calls).toEqual([])
    await group.stop()
  })

  it('leaves no timer behind', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.commit('set a 1')
    group.hangUp(leader.id)
    await group.clock.drain()
    group.deliver = () => false
    await group.stop()
    await group.clock.run(5)
    expect(group.clock.pending).toBe(0)
  })

  it('starts again where it was, and applies nothing twice', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    for (let at = 0; at < 10; at += 1) await group.commit(`set k${at} ${at}`)
    await group.level()
    const { replica, logDisk } = group.get(1)
    const { appliedIndex, term } = replica.status()
    await group.clock.settle(replica.stop(), 1000)
    expect(logDisk.current.hardState.commit).toBe(appliedIndex)
    const again = await group.restart(1)
    expect(again.replica.status()).toMatchObject({ appliedIndex, term })
    expect(again.machine.values.size).toBe(10)
    expect(again.machine.calls).toEqual([])
    await group.commit('set a 1')
    await group.level()
    expect(again.machine.calls).toHaveLength(1)
    await group.stop()
  })
})

it('a long log is applied at start in slices: whatever else the process does has its turns', async () => {
  const inner = textMachine()
  /** Each entry takes a millisecond of the machine, on which no virtual time passes. */
  let worked = 0
  let longest = 0
  let before = 0
  const turn = (): void => {
    longest = Math.max(longest, worked - before)
    before = worked
  }
  const clock: Clock = {
    now: () => group.clock.now() + worked,
    wall: () => group.clock.wall(),
    after: (ms, run) => group.clock.after(ms, run),
    defer: (run) =>
      group.clock.defer(() => {
        turn()
        run()
      }),
  }
  const machine: StateMachine = {
    apply(entry) {
      worked += 1
      return inner.apply(entry)
    },
    restore: () => inner.restore(),
  }
  const group = new ReplicaGroup({ replica: { clock, machine, raft: { maxCommittedBytes: 100 } } })
  const commands = Array.from({ length: 300 }, (_, at) => command(`set k${at} x`))
  await group.add(1, { voters: [1], commands })
  await group.clock.runUntil('all is applied', () => inner.calls.length === 300, 1000)
  turn()
  expect(longest).toBeLessThan(12)
  await group.stop()
})
