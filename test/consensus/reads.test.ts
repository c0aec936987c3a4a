// Linearizable reads through the core, on a leader and on a follower.
import { describe, expect, test } from 'vitest'
import { append, bytes, entriesOf, heartbeat, Member, ofKind, the } from './member.ts'

/** Elected and with its empty entry committed. */
function servingLeader(options: ConstructorParameters<typeof Member>[0] = {}): Member {
  const leader = new Member(options)
  leader.becomeLeader()
  for (const id of (options.voters ?? [1, 2, 3]).filter((voter) => voter !== 1)) leader.acknowledge(id, leader.raft.status().lastIndex)
  return leader
}

function answer(leader: Member, from: number, readContext: number) {
  return leader.step({ kind: 'heartbeat-response', from, to: 1, term: leader.raft.status().term, readContext })
}

describe('ReadIndex on a leader', () => {
  test('a read costs one round of heartbeats, and is served at the commit index once a quorum has answered', () => {
    const leader = servingLeader({ voters: [1, 2, 3, 4, 5] })
    leader.raft.readIndex(7)
    const beats = ofKind(leader.drain(), 'heartbeat')
    expect(beats.map(({ to }) => to)).toEqual([2, 3, 4, 5])
    const round = beats[0]?.readContext ?? 0
    answer(leader, 2, round)
    expect(leader.readStates).toEqual([])
    answer(leader, 3, round)
    expect(leader.readStates).toEqual([{ requestId: 7, index: 1 }])
  })

  test('the next round asks only as many as it takes, who answered last and first; a tick asks everyone', () => {
    const leader = servingLeader({ voters: [1, 2, 3, 4, 5], learners: [6] })
    const askedFor = (requestId: number) => {
      leader.raft.readIndex(requestId)
      const beats = ofKind(leader.drain(), 'heartbeat')
      return { asked: beats.map(({ to }) => to), round: beats[0]?.readContext ?? 0 }
    }
    const { round: first } = askedFor(1)
    for (const id of [6, 5, 3, 2]) answer(leader, id, first)
    const second = askedFor(2)
    expect(second.asked).toEqual([3, 5])
    answer(leader, 3, second.round)
    const again = ofKind(leader.ticks(1), 'heartbeat')
    expect(again.map(({ to }) => to)).toEqual([2, 3, 4, 5, 6])
    for (const id of [4, 2]) answer(leader, id, again[0]?.readContext ?? 0)
    expect(leader.readStates.map(({ requestId }) => requestId)).toEqual([1, 2])
    expect(askedFor(3).asked).toEqual([2, 4])
  })

  test('reads that came since the last Ready share a round', () => {
    const leader = servingLeader()
    for (const id of [1, 2, 3]) leader.raft.readIndex(id)
    const beats = ofKind(leader.drain(), 'heartbeat')
    expect(beats).toHaveLength(2)
    answer(leader, 2, beats[0]?.readContext ?? 0)
    expect(leader.readStates.map(({ requestId }) => requestId)).toEqual([1, 2, 3])
  })

  test('a read that came after the heartbeats of a round left is not served by its answers', () => {
    const leader = servingLeader()
    leader.raft.readIndex(1)
    const first = ofKind(leader.drain(), 'heartbeat')[0]?.readContext ?? 0
    leader.raft.readIndex(2)
    answer(leader, 2, first)
    answer(leader, 3, first)
    expect(leader.readStates.map(({ requestId }) => requestId)).toEqual([1])
    const second = ofKind(leader.ticks(1), 'heartbeat')[0]?.readContext ?? 0
    answer(leader, 2, second)
    expect(leader.readStates.map(({ requestId }) => requestId)).toEqual([1, 2])
  })

  test('reads that come while a round is under way wait for its answer and share the next one', () => {
    const leader = servingLeader()
    leader.raft.readIndex(1)
    const first = ofKind(leader.drain(), 'heartbeat')[0]?.readContext ?? 0
    leader.raft.readIndex(2)
    leader.raft.readIndex(3)
    expect(leader.drain()).toEqual([])
    const [next] = ofKind(answer(leader, 2, first), 'heartbeat')
    expect(leader.readStates.map(({ requestId }) => requestId)).toEqual([1])
    answer(leader, 3, next?.readContext ?? 0)
    expect(leader.readStates.map(({ requestId }) => requestId)).toEqual([1, 2, 3])
  })

  test('a sole voter serves a read though a tick, which begins its round, comes before the next Ready', () => {
    const leader = servingLeader({ voters: [1], learners: [2] })
    leader.raft.readIndex(7)
    leader.ticks(1)
    expect(leader.readStates).toEqual([{ requestId: 7, index: 1 }])
  })

  test('each round of heartbeats for reads has a number that none had before', () => {
    const leader = servingLeader()
    const rounds = [1, 2, 3, 4].map((id) => {
      leader.raft.readIndex(id)
      const round = ofKind(leader.drain(), 'heartbeat')[0]?.readContext ?? 0
      answer(leader, 2, round)
      return round
    })
    expect(new Set(rounds).size).toBe(4)
    expect(rounds).not.toContain(0)
  })

  test('an answer to a round of an earlier term serves nothing', () => {
    const leader = servingLeader()
    leader.raft.readIndex(1)
    const round = ofKind(leader.drain(), 'heartbeat')[0]?.readContext ?? 0
    leader.step(append({ term: 2, from: 3, index: 1, logTerm: 1, entries: entriesOf([2], 2) }))
    leader.becomeLeader()
    leader.acknowledge(2, 3)
    leader.raft.readIndex(2)
    leader.drain()
    leader.step({ kind: 'heartbeat-response', from: 2, to: 1, term: 1, readContext: round })
    answer(leader, 2, round)
    expect(leader.readStates).toEqual([])
  })

  test('if the heartbeats are lost, those of the next tick ask again', () => {
    const leader = servingLeader()
    leader.raft.readIndex(1)
    leader.drain()
    const again = ofKind(leader.ticks(1), 'heartbeat')[0]?.readContext ?? 0
    expect(again).not.toBe(0)
    answer(leader, 3, again)
    expect(leader.readStates).toEqual([{ requestId: 1, index: 1 }])
  })

  test('heartbeats without reads carry no round, and their answers serve nothing', () => {
    const leader = servingLeader()
    expect(ofKind(leader.ticks(1), 'heartbeat').map(({ readContext }) => readContext)).toEqual([0, 0])
  })

  test('reads wait until an entry of the own term is committed: what a former leader had committed may not be known yet', () => {
    const leader = new Member({ terms: [1, 1], term: 1, commit: 1 })
    leader.becomeLeader()
    leader.raft.readIndex(1)
    expect(leader.raft.hasReady()).toBe(false)
    const early = ofKind(leader.ticks(1), 'heartbeat')
    expect(early.map(({ readContext }) => readContext)).toEqual([0, 0])
    answer(leader, 2, 0)
    const sent = leader.acknowledge(2, 3)
    answer(leader, 2, ofKind(sent, 'heartbeat')[0]?.readContext ?? 0)
    expect(leader.readStates).toEqual([{ requestId: 1, index: 3 }])
  })

  test('a sole voter serves at once, but not before its first commit either', () => {
    const leader = new Member({ voters: [1], terms: [1], term: 1 })
    leader.raft.campaign()
    leader.raft.ready()
    leader.raft.advance()
    leader.raft.readIndex(1)
    expect(leader.raft.ready().readStates).toEqual([])
    leader.raft.advance()
    leader.drain()
    expect(leader.readStates).toEqual([{ requestId: 1, index: 2 }])
  })

  test('a learner’s answer counts for nothing', () => {
    const leader = servingLeader({ learners: [4, 5] })
    leader.raft.readIndex(1)
    const round = ofKind(leader.drain(), 'heartbeat')[0]?.readContext ?? 0
    answer(leader, 4, round)
    answer(leader, 5, round)
    expect(leader.readStates).toEqual([])
  })

  test('reads are gone with leadership, and do not come back with it', () => {
    const leader = servingLeader()
    leader.raft.readIndex(1)
    leader.drain()
    leader.step(append({ term: 2, from: 3, index: 1, logTerm: 1, entries: entriesOf([2], 2) }))
    leader.becomeLeader()
    leader.acknowledge(2, 3)
    const beats = ofKind(leader.ticks(1), 'heartbeat')
    expect(beats.map(({ readContext }) => readContext)).toEqual([0, 0])
    expect(leader.readStates).toEqual([])
  })
})

describe('ReadIndex on a follower', () => {
  test('goes to the leader and comes back with an index', () => {
    const follower = new Member({ id: 2, term: 1 })
    follower.step(heartbeat({ from: 1, to: 2, term: 1 }))
    follower.raft.readIndex(9)
    const request = the(follower.drain(), 'read-index')
    expect(request).toMatchObject({ to: 1, requestId: 9 })
    const leader = servingLeader()
    const round = ofKind(leader.step(request), 'heartbeat')[0]?.readContext ?? 0
    const response = the(answer(leader, 3, round), 'read-index-response')
    expect(response).toMatchObject({ to: 2, requestId: 9, index: 1 })
    follower.step(response)
    expect(follower.readStates).toEqual([{ requestId: 9, index: 1 }])
  })

  test('without a leader it is dropped, and so is one that reaches a member that does not lead', () => {
    const follower = new Member({ term: 1 })
    follower.raft.readIndex(9)
    expect(follower.raft.hasReady()).toBe(false)
    follower.step(heartbeat({ term: 1 }))
    expect(follower.step({ kind: 'read-index', from: 3, to: 1, term: 0, requestId: 4 })).toEqual([])
  })

  test('an answer of an older term is ignored', () => {
    const follower = new Member({ term: 3 })
    follower.step({ kind: 'read-index-response', from: 2, to: 1, term: 2, requestId: 1, index: 1 })
    expect(follower.readStates).toEqual([])
  })
})

test('writes and reads together: the index of a read covers every write acknowledged before it came', () => {
  const leader = servingLeader()
  leader.raft.propose(bytes('x'))
  leader.drain()
  leader.acknowledge(2, 2)
  leader.raft.readIndex(1)
  answer(leader, 3, ofKind(leader.drain(), 'heartbeat')[0]?.readContext ?? 0)
  expect(leader.readStates).toEqual([{ requestId: 1, index: 2 }])
})
