// A member whose disk lost what it had acknowledged is told so, whoever leads by then, and never votes or leads with what is left.
import { describe, expect, it } from 'vitest'
import { type MemoryState } from '../fixture/memory-state.ts'
import { type MemoryLogState } from '../fixture/memory-log.ts'

import { type Member as GroupMember, ReplicaGroup } from '../fixture/replica-group.ts'
import { append, entriesOf, heartbeat, Member, ofKind, the, voteRequest } from './member.ts'

const LOST = { code: 'failed', data: { kind: 'damaged', reason: 'lost-entries' } }

function lossOf(run: () => void): unknown {
  try {
    run()
    return undefined
  } catch (error) {
    return error
  }
}

describe('what is known to be held', () => {
  it('a leader tells each follower how far it acknowledged in this term, committed or not', () => {
    const leader = new Member({ terms: [1], term: 1, voters: [1, 2, 3, 4, 5] })
    leader.becomeLeader()
    leader.acknowledge(2, 2)
    const beats = ofKind(leader.ticks(1), 'heartbeat')
    expect(beats.map(({ to, held, commit }) => [to, held, commit])).toEqual([
      [2, 2, 0],
      [3, 0, 0],
      [4, 0, 0],
      [5, 0, 0],
    ])
  })

  it('all members learn what each voter holds for ever: acknowledged and committed, no more', () => {
    const leader = new Member({ terms: [1], term: 1, voters: [1, 2, 3, 4, 5], learners: [6] })
    leader.becomeLeader()
    for (const id of [2, 3]) leader.acknowledge(id, 2)
    leader.acknowledge(6, 2)
    leader.raft.propose(new Uint8Array(1))
    leader.drain()
    leader.acknowledge(2, 3)
    const [beat] = ofKind(leader.ticks(1), 'heartbeat')
    expect(beat?.holdings).toEqual([
      { node: 1, index: 2 },
      { node: 2, index: 2 },
      { node: 3, index: 2 },
      { node: 4, index: 0 },
      { node: 5, index: 0 },
    ])
  })

  it('travels with requests for votes, and with the answers', () => {
    const member = new Member({ id: 3, terms: [1, 1], term: 1 })
    const known = [
      { node: 1, index: 2 },
      { node: 2, index: 1 },
    ]
    member.step(heartbeat({ from: 1, to: 3, holdings: known }))
    member.raft.campaign()
    expect(ofKind(member.drain(), 'vote').map(({ to, held }) => [to, held])).toEqual([
      [1, 2],
      [2, 1],
    ])
    const answer = the(member.step(voteRequest({ from: 1, to: 3, term: 9, index: 2, logTerm: 1 })), 'vote-response')
    expect(answer).toMatchObject({ to: 1, reject: false, held: 2 })
  })

  it('never goes back, and is forgotten with the member', () => {
    const member = new Member({ terms: [1, 1, 1], term: 1 })
    member.step(heartbeat({ from: 2, holdings: [{ node: 3, index: 3 }] }))
    member.step(heartbeat({ from: 2, holdings: [{ node: 3, index: 1 }] }))
    member.step(heartbeat({ from: 2, holdings: [{ node: 77, index: 3 }] }))
    member.becomeLeader()
    const [beat] = ofKind(member.ticks(1), 'heartbeat').filter(({ to }) => to === 3)
    expect(beat?.held).toBe(3)
    expect(beat?.holdings.map(({ node }) => node)).toEqual([1, 2, 3])
  })
})

describe('a member stops as one that lost entries when', () => {
  it.each([
    ['its leader knows that it held more', heartbeat({ term: 1, held: 3 })],
    ['a candidate knows that it held more', voteRequest({ term: 9, index: 9, logTerm: 9, held: 3 })],
    ['one that may become candidate knows it', voteRequest({ kind: 'pre-vote', term: 9, index: 9, logTerm: 9, held: 3 })],
    ['a voter knows it', { kind: 'vote-response', from: 2, to: 1, term: 1, reject: true, held: 3, commit: 0, commitTerm: 0 } as const],
    [
      'a voter that is asked in advance knows it',
      { kind: 'pre-vote-response', from: 2, to: 1, term: 1, reject: true, held: 3, commit: 0, commitTerm: 0 } as const,
    ],
  ])('%s', (_name, message) => {
    const member = new Member({ terms: [1, 1], term: 1 })
    expect(lossOf(() => member.step(message))).toMatchObject({ ...LOST, data: { ...LOST.data, held: 3, lastIndex: 2 } })
  })

  it('but not when it holds all that was said, nor by the word of a leader of the past', () => {
    const member = new Member({ terms: [1, 1], term: 4 })
    const harmless = [heartbeat({ term: 3, held: 9 }), heartbeat({ term: 4, held: 2 }), voteRequest({ term: 5, held: 2 })]
    expect(lossOf(() => member.step(...harmless))).toBeUndefined()
  })

  it('an entry that a later leader overwrote is not lost', () => {
    const follower = new Member({ id: 2, terms: [1, 1, 1], term: 1 })
    follower.step(heartbeat({ from: 1, to: 2, term: 1, held: 3, holdings: [{ node: 2, index: 1 }] }))
    follower.step(append({ from: 3, to: 2, term: 2, index: 1, logTerm: 1, entries: entriesOf([2], 2) }))
    expect(follower.terms).toEqual([1, 2])
    expect(lossOf(() => follower.step(voteRequest({ from: 1, to: 2, term: 3, held: 1 })))).toBeUndefined()
  })
})

it('a candidate that lost entries gets no vote and is told, even from a voter whose own log is as short', () => {
  const voter = new Member({ terms: [1], term: 1 })
  voter.step(heartbeat({ from: 2, holdings: [{ node: 3, index: 4 }] }))
  const answer = the(voter.step(voteRequest({ from: 3, term: 2, index: 3, logTerm: 1 })), 'vote-response')
  expect(answer).toMatchObject({ to: 3, reject: true, held: 4 })
  expect(the(voter.step(voteRequest({ from: 3, term: 3, index: 4, logTerm: 1 })), 'vote-response')).toMatchObject({ reject: false })
})

describe('a follower whose old directory was put back', () => {
  interface Copy {
    readonly log: MemoryLogState
    readonly state: MemoryState
  }
  const copyOf = ({ logDisk, stateDisk }: GroupMember): Copy => ({ log: logDisk.current, state: stateDisk.current })

  /** A group that committed more after a copy of one follower was made; that follower's power is cut. */
  async function withOldCopy(): Promise<{ group: ReplicaGroup; leader: GroupMember; victim: GroupMember; third: GroupMember; old: Copy }> {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    const [victim, third] = [...group.members.values()].filter((member) => member !== leader)
    if (victim === undefined || third === undefined) throw new Error('three members wanted')
    await group.commit('set a 1')
    await group.rest()
    const old = copyOf(victim)
    await group.commit('set a 2')
    await group.commit('set a 3')
    await group.rest()
    group.crash(victim.id)
    return { group, leader, victim, third, old }
  }
  const putBack = ({ logDisk, stateDisk }: GroupMember, { log, state }: Copy): void => {
    logDisk.putBack(log)
    stateDisk.putBack(state)
  }

  it('is stopped by its leader, and asked for nothing more', async () => {
    const { group, leader, victim, old } = await withOldCopy()
    putBack(victim, old)
    await group.restart(victim.id)
    await group.clock.run(300)
    expect(victim.fatal).toMatchObject([LOST])
    expect(victim.machine.values.get('a')).toBe('1')
    await group.commit('set a 4')
    expect(leader.machine.values.get('a')).toBe('4')
    await group.stop()
  })

  it('is stopped by the next leader too', async () => {
    const { group, leader, victim, third, old } = await withOldCopy()
    await group.clock.settle(group.restart(victim.id), 1000)
    await group.rest()
    group.crash(victim.id)
    await group.clock.settle(leader.replica.transferLeadership(third.id, { signal: new AbortController().signal }), 5000)
    await group.clock.runUntil('the third leads', () => third.replica.status().leading, 5000)
    putBack(victim, old)
    await group.restart(victim.id)
    await group.clock.run(300)
    expect(victim.fatal).toMatchObject([LOST])
    await group.stop()
  })

  it('elects nobody with the third member while the leader is away, however its log looks', async () => {
    const { group, leader, victim, third, old } = await withOldCopy()
    group.crash(leader.id)
    putBack(victim, old)
    await group.restart(victim.id)
    await group.clock.run(3000)
    expect(victim.fatal).toMatchObject([LOST])
    expect(third.replica.status()).toMatchObject({ leading: false })
    await group.restart(leader.id)
    await group.commit('set b 1')
    expect((await group.leader()).machine.values.get('a')).toBe('3')
    await group.stop()
  })
})
