// Leadership transfer.
import { describe, expect, test } from 'vitest'
import { bytes, heartbeat, Member, ofKind, the } from './member.ts'

/** Elected, its empty entry held by 2 only. */
function leaderWithSecond(options: ConstructorParameters<typeof Member>[0] = {}): Member {
  const leader = new Member(options)
  leader.becomeLeader()
  leader.acknowledge(2, 1)
  return leader
}

describe('leadership transfer', () => {
  test('a target with a complete log is told to campaign at once', () => {
    const leader = leaderWithSecond()
    leader.raft.transferLeadership(2)
    expect(the(leader.drain(), 'timeout-now')).toMatchObject({ to: 2, term: 1 })
  })

  test('a target that is behind gets the rest first', () => {
    const leader = leaderWithSecond()
    leader.raft.transferLeadership(3)
    expect(ofKind(leader.drain(), 'timeout-now')).toEqual([])
    expect(the(leader.acknowledge(3, 1), 'timeout-now')).toMatchObject({ to: 3 })
  })

  test('the target campaigns without asking first, and for the leader’s sake nobody holds back', () => {
    const target = new Member({ id: 2, term: 1, terms: [1], config: { preVote: true, checkQuorum: true } })
    target.step(heartbeat({ from: 1, to: 2, term: 1 }))
    const requests = ofKind(target.step({ kind: 'timeout-now', from: 1, to: 2, term: 1 }), 'vote')
    expect(requests.map(({ to, term, force }) => [to, term, force])).toEqual([
      [1, 2, true],
      [3, 2, true],
    ])
  })

  test('a stale or foreign call to campaign is ignored', () => {
    const target = new Member({ id: 2, term: 3 })
    expect(target.step({ kind: 'timeout-now', from: 1, to: 2, term: 2 })).toEqual([])
    target.raft.campaign()
    target.drain()
    expect(target.step({ kind: 'timeout-now', from: 1, to: 2, term: 4 }), 'it campaigns already').toEqual([])
    const learner = new Member({ id: 4, learners: [4], term: 1 })
    expect(learner.step({ kind: 'timeout-now', from: 1, to: 4, term: 1 })).toEqual([])
  })

  test('proposals are refused meanwhile, and taken again after one election time-out', () => {
    const leader = leaderWithSecond()
    leader.ticks(6)
    leader.raft.transferLeadership(2)
    leader.ticks(9)
    expect(leader.raft.propose(bytes('x'))).toEqual({ kind: 'dropped', why: 'transferring' })
    leader.ticks(1)
    expect(leader.raft.propose(bytes('x'))).toMatchObject({ kind: 'accepted' })
  })

  test.each([
    ['a learner', 4],
    ['itself', 1],
    ['a stranger', 9],
  ])('to %s nothing happens', (_, target) => {
    const leader = leaderWithSecond({ learners: [4] })
    leader.acknowledge(4, 1)
    leader.raft.transferLeadership(target)
    expect(leader.drain()).toEqual([])
    expect(leader.raft.propose(bytes('x'))).toMatchObject({ kind: 'accepted' })
  })

  test('asked for twice it is told once; asked for another target, that one is meant', () => {
    const leader = leaderWithSecond()
    leader.acknowledge(3, 1)
    leader.raft.transferLeadership(2)
    leader.drain()
    leader.raft.transferLeadership(2)
    expect(leader.drain()).toEqual([])
    leader.raft.transferLeadership(3)
    expect(the(leader.drain(), 'timeout-now').to).toBe(3)
  })

  test('a second request does not prolong the first', () => {
    const leader = leaderWithSecond()
    leader.raft.transferLeadership(2)
    leader.ticks(6)
    leader.raft.transferLeadership(2)
    leader.ticks(4)
    expect(leader.raft.propose(bytes('x'))).toMatchObject({ kind: 'accepted' })
  })

  test('is over when the target is removed', () => {
    const leader = leaderWithSecond()
    leader.raft.transferLeadership(3)
    leader.drain()
    leader.raft.applyConfChange({ transition: 'auto', changes: [{ kind: 'remove', node: 3 }], context: bytes('') })
    expect(leader.raft.propose(bytes('x'))).toMatchObject({ kind: 'accepted' })
  })

  test('a follower passes the request on to its leader, who obeys; without a leader it is dropped', () => {
    const follower = new Member({ id: 3, term: 1 })
    follower.raft.transferLeadership(2)
    expect(follower.drain()).toEqual([])
    follower.step(heartbeat({ from: 1, to: 3, term: 1 }))
    follower.raft.transferLeadership(2)
    const request = the(follower.drain(), 'transfer-leader')
    expect(request).toMatchObject({ to: 1, target: 2 })
    expect(the(leaderWithSecond().step(request), 'timeout-now').to).toBe(2)
  })
})
