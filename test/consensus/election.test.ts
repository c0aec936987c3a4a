// Elections beyond the paper: pre-vote, quorum check and lease, a forgotten leader, who may campaign, leaders elected again.
import { describe, expect, test } from 'vitest'
import { append, confOf, entriesOf, heartbeat, Member, ofKind, snapshotAt, the, voteFor, voteRequest } from './member.ts'

const PRE_VOTE = { config: { preVote: true } }
const QUORUM_CHECK = { config: { checkQuorum: true } }

describe('pre-vote', () => {
  test('a pre-candidate asks about the next term, and keeps its own and its vote', () => {
    const member = new Member({ ...PRE_VOTE, terms: [1, 2], term: 2, vote: 3 })
    const requests = ofKind(member.ticks(20), 'pre-vote')
    expect(requests.map(({ to, term, index, logTerm, force }) => [to, term, index, logTerm, force])).toEqual([
      [2, 3, 2, 2, false],
      [3, 3, 2, 2, false],
    ])
    expect(member.raft.status()).toMatchObject({ role: 'pre-candidate', term: 2, vote: 3, leader: 0 })
  })

  test('who would win begins the election, who would lose stays in its term', () => {
    for (const [reject, role, term] of [
      [false, 'candidate', 2],
      [true, 'follower', 1],
    ] as const) {
      const member = new Member({ ...PRE_VOTE, term: 1 })
      member.raft.campaign()
      member.drain()
      const answers = [2, 3].map(
        (from) => ({ kind: 'pre-vote-response', from, to: 1, term: reject ? 1 : 2, reject, held: 0, commit: 0, commitTerm: 0 }) as const,
      )
      const sent = member.step(...answers)
      expect(member.raft.status()).toMatchObject({ role, term })
      expect(ofKind(sent, 'vote')).toHaveLength(reject ? 0 : 2)
    }
  })

  test('a member cut off for long comes back in its old term', () => {
    const member = new Member({ ...PRE_VOTE, term: 4 })
    member.ticks(500)
    expect(member.raft.status().term).toBe(4)
  })

  test('a grant for another term than the next does not count, nor does a vote for a pre-candidate', () => {
    const member = new Member({ ...PRE_VOTE, term: 3 })
    member.raft.campaign()
    member.drain()
    member.step({ kind: 'pre-vote-response', from: 2, to: 1, term: 3, reject: false, held: 0, commit: 0, commitTerm: 0 })
    member.step({ kind: 'vote-response', from: 3, to: 1, term: 3, reject: false, held: 0, commit: 0, commitTerm: 0 })
    expect(member.raft.status()).toMatchObject({ role: 'pre-candidate', term: 3 })
  })

  test('a late pre-vote does not elect a candidate', () => {
    const member = new Member({ ...PRE_VOTE, term: 1 })
    member.raft.campaign()
    member.drain()
    member.step({ kind: 'pre-vote-response', from: 2, to: 1, term: 2, reject: false, held: 0, commit: 0, commitTerm: 0 })
    member.step({ kind: 'pre-vote-response', from: 3, to: 1, term: 2, reject: false, held: 0, commit: 0, commitTerm: 0 })
    expect(member.raft.status().role).toBe('candidate')
  })

  test('being asked changes neither term nor vote nor role, and several may be told yes', () => {
    const member = new Member({ term: 1 })
    for (const from of [2, 3]) {
      expect(the(member.step(voteRequest({ kind: 'pre-vote', from, term: 2 })), 'pre-vote-response')).toMatchObject({
        to: from,
        term: 2,
        reject: false,
      })
    }
    expect(member.raft.status()).toMatchObject({ role: 'follower', term: 1, vote: 0 })
  })

  test('who has a less complete log is told no, in the own term', () => {
    const member = new Member({ term: 3, terms: [1, 3] })
    const answer = the(member.step(voteRequest({ kind: 'pre-vote', term: 4, index: 9, logTerm: 2 })), 'pre-vote-response')
    expect(answer).toMatchObject({ term: 3, reject: true })
  })

  test('who asks in a lower term learns of the higher one, and follows it', () => {
    const member = new Member({ term: 5 })
    const answer = the(member.step(voteRequest({ kind: 'pre-vote', term: 2 })), 'pre-vote-response')
    expect(answer).toMatchObject({ term: 5, reject: true })
    const asker = new Member({ ...PRE_VOTE, id: 2, term: 1 })
    asker.raft.campaign()
    asker.drain()
    asker.step(answer)
    expect(asker.raft.status()).toMatchObject({ role: 'follower', term: 5 })
  })
})

describe('quorum check', () => {
  /** Leader of `voters` that hears from `answering` before each tick. */
  function leaderHearing(answering: readonly number[], options: ConstructorParameters<typeof Member>[0] = {}): Member {
    const leader = new Member({ ...options, ...QUORUM_CHECK })
    leader.becomeLeader()
    for (let tick = 0; tick < 40; tick++) {
      leader.ticks(1)
      for (const from of answering) {
        leader.step({ kind: 'heartbeat-response', from, to: 1, term: leader.raft.status().term, readContext: 0 })
      }
    }
    return leader
  }

  test('a leader that no quorum answers steps down', () => {
    expect(leaderHearing([]).raft.status().role).not.toBe('leader')
    expect(leaderHearing([2]).raft.status().role).toBe('leader')
    expect(leaderHearing([2], { voters: [1, 2, 3, 4] }).raft.status().role).not.toBe('leader')
  })

  test('learners’ answers do not count', () => {
    expect(leaderHearing([4, 5], { learners: [4, 5] }).raft.status().role).not.toBe('leader')
  })

  test('it steps down within two election time-outs of the last answer', () => {
    const leader = new Member(QUORUM_CHECK)
    leader.becomeLeader()
    leader.acknowledge(2, 1)
    leader.ticks(10)
    expect(leader.raft.status().role).toBe('leader')
    leader.ticks(10)
    expect(leader.raft.status()).toMatchObject({ role: 'follower', term: 1 })
  })

  test('who answers counts as active right after a check too, who has fallen silent for no more than two', () => {
    const leader = new Member(QUORUM_CHECK)
    leader.becomeLeader()
    const active = (): boolean | undefined => leader.raft.status().progress.get(2)?.active
    const answers = (from: number): void => {
      leader.step({ kind: 'heartbeat-response', from, to: 1, term: leader.raft.status().term, readContext: 0 })
    }
    answers(2)
    const seen = Array.from({ length: 21 }, () => {
      answers(3)
      leader.ticks(1)
      return active()
    })
    // Election time-out of 10 ticks: heard before the first check, not between it and the second.
    expect(seen.slice(0, 19)).toEqual(Array.from({ length: 19 }, () => true))
    expect(seen.at(-1)).toBe(false)
  })

  test('without it a leader goes on', () => {
    const leader = new Member()
    leader.becomeLeader()
    leader.ticks(100)
    expect(leader.raft.status().role).toBe('leader')
  })

  test.each(['vote', 'pre-vote'] as const)('who has just heard from a leader does not answer a %s request, nor take its term', (kind) => {
    const member = new Member({ ...QUORUM_CHECK, term: 1 })
    member.step(heartbeat({ term: 1 }))
    member.ticks(9)
    expect(member.step(voteRequest({ kind, from: 3, term: 2, index: 5, logTerm: 5 }))).toEqual([])
    expect(member.raft.status()).toMatchObject({ term: 1, leader: 2 })
  })

  test('it does once the leader has been silent for the time-out', () => {
    const member = new Member({ ...QUORUM_CHECK, term: 1 })
    member.step(heartbeat({ term: 1 }))
    member.raft.setElectionTicks(19)
    member.ticks(10)
    expect(the(member.step(voteRequest({ from: 3, term: 2 })), 'vote-response').reject).toBe(false)
  })

  test('it does at once if the leader itself sent the candidate', () => {
    const member = new Member({ ...QUORUM_CHECK, term: 1 })
    member.step(heartbeat({ term: 1 }))
    expect(the(member.step(voteRequest({ from: 3, term: 2, force: true })), 'vote-response').reject).toBe(false)
  })

  test('it does at once if it was told that the leader is gone', () => {
    const member = new Member({ ...QUORUM_CHECK, term: 1 })
    member.step(heartbeat({ term: 1 }))
    member.raft.forgetLeader()
    expect(the(member.step(voteRequest({ kind: 'pre-vote', from: 3, term: 2 })), 'pre-vote-response').reject).toBe(false)
    expect(the(member.step(voteRequest({ from: 3, term: 2 })), 'vote-response').reject).toBe(false)
  })
})

describe('forgetLeader', () => {
  test('two of three whose leader’s connection closed elect a new one without waiting for a time-out', () => {
    const [second, third] = [2, 3].map((id) => {
      const member = new Member({ id, term: 1, terms: [1], config: { preVote: true, checkQuorum: true } })
      member.step(heartbeat({ from: 1, to: id, term: 1 }))
      member.raft.forgetLeader()
      return member
    }) as [Member, Member]
    second.raft.campaign()
    let messages = second.drain()
    for (let round = 0; round < 6; round++) {
      const answers = third.step(...messages.filter(({ to }) => to === 3))
      messages = second.step(...answers.filter(({ to }) => to === 2))
    }
    expect(second.raft.status()).toMatchObject({ role: 'leader', term: 2 })
    expect(third.raft.status()).toMatchObject({ role: 'follower', leader: 2, term: 2 })
  })

  test('neither puts the next election off nor keeps the leader from being recognised again', () => {
    const member = new Member({ term: 1 })
    member.step(heartbeat({ term: 1 }))
    member.raft.setElectionTicks(12)
    member.ticks(11)
    member.raft.forgetLeader()
    expect(member.raft.status().leader).toBe(0)
    member.step(heartbeat({ term: 1 }))
    expect(member.raft.status().leader).toBe(2)
    member.ticks(11)
    member.raft.forgetLeader()
    expect(ofKind(member.ticks(1), 'vote')).toHaveLength(2)
  })

  test('a leader does not forget itself', () => {
    const leader = new Member()
    leader.becomeLeader()
    leader.raft.forgetLeader()
    expect(leader.raft.status()).toMatchObject({ role: 'leader', leader: 1 })
  })
})

describe('who campaigns', () => {
  test.each([
    ['a learner', new Member({ voters: [2, 3], learners: [1] })],
    ['who is no member', new Member({ voters: [2, 3] })],
    ['a leader', leader()],
  ])('not %s', (_, member) => {
    const before = member.raft.status().term
    member.raft.campaign()
    member.ticks(0)
    expect(ofKind(member.drain(), 'vote')).toEqual([])
    expect(member.raft.status().term).toBe(before)
  })

  test('a learner’s time-out never fires', () => {
    const learner = new Member({ voters: [2, 3], learners: [1] })
    expect(learner.ticks(100)).toEqual([])
  })

  test('a learner votes all the same: it may have been promoted without knowing', () => {
    const learner = new Member({ voters: [2, 3], learners: [1], term: 1 })
    expect(the(learner.step(voteRequest({ term: 2 })), 'vote-response').reject).toBe(false)
  })

  test('not whose state is about to be replaced by a snapshot', () => {
    const member = new Member({ term: 1 })
    member.raft.step({ kind: 'snapshot', from: 2, to: 1, term: 1, snapshot: snapshotAt(9, 1, confOf([1, 2, 3])) })
    member.raft.campaign()
    expect(member.raft.status().role).toBe('follower')
    member.drain()
    member.raft.campaign()
    expect(member.raft.status().role).toBe('candidate')
  })

  test('a candidate asks the voters of both halves of a joint configuration, and needs both', () => {
    const conf = { ...confOf([1, 2, 3]), outgoing: [1, 4, 5] }
    const member = new Member({ config: { conf } })
    member.raft.campaign()
    const requests = ofKind(member.drain(), 'vote')
    expect(requests.map(({ to }) => to)).toEqual([2, 3, 4, 5])
    member.step(...requests.filter(({ to }) => to < 4).map((request) => voteFor(request)))
    expect(member.raft.status().role).toBe('candidate')
    member.step(...requests.filter(({ to }) => to === 4).map((request) => voteFor(request)))
    expect(member.raft.status().role).toBe('leader')
  })

  test('giving a vote puts the own election off', () => {
    const member = new Member({ term: 1 })
    member.raft.setElectionTicks(10)
    member.ticks(9)
    member.step(voteRequest({ term: 1 }))
    expect(member.ticks(1)).toEqual([])
    expect(member.raft.status().role).toBe('follower')
  })

  test('promising a pre-vote does not', () => {
    const member = new Member({ term: 1 })
    member.raft.setElectionTicks(10)
    member.ticks(9)
    member.step(voteRequest({ kind: 'pre-vote', term: 2 }))
    expect(ofKind(member.ticks(1), 'vote')).toHaveLength(2)
  })
})

test('a leader of a lower term learns of the higher one also from a learner, which never campaigns, and without the two checks', () => {
  const learner = new Member({ voters: [2, 3], learners: [1], term: 5 })
  expect(learner.step(append({ term: 4 }))).toMatchObject([{ kind: 'append-response', to: 2, term: 5 }])
  expect(learner.step(heartbeat({ term: 4 }))).toMatchObject([{ kind: 'append-response', to: 2, term: 5 }])
  const voter = new Member({ term: 5 })
  expect(voter.step(append({ term: 4 }), heartbeat({ term: 4 }))).toEqual([])
})

describe('a leader elected again', () => {
  /** Led term 1 up to entry 3, which 2 acknowledged; then followed 3, which cut the log back to entry 1. */
  function deposed(): Member {
    const member = new Member({ voters: [1, 2, 3] })
    member.becomeLeader()
    for (const text of ['a', 'b']) member.raft.propose(new TextEncoder().encode(text))
    member.drain()
    member.step(append({ from: 3, term: 2, index: 0, entries: entriesOf([2]) }))
    return member
  }

  test('takes nothing that was acknowledged in an earlier term for its own', () => {
    const member = deposed()
    member.becomeLeader()
    expect(member.raft.status()).toMatchObject({ role: 'leader', term: 3, lastIndex: 2, commitIndex: 0 })
    member.step({ kind: 'append-response', from: 2, to: 1, term: 1, index: 3, reject: false, hintIndex: 0, hintTerm: 0 })
    expect(member.raft.status()).toMatchObject({ commitIndex: 0 })
    expect(member.raft.status().progress.get(2)).toMatchObject({ match: 0, state: 'probe' })
  })

  test('knows nothing any more of how far the others were', () => {
    const member = new Member({ voters: [1, 2, 3] })
    member.becomeLeader()
    for (const text of ['a', 'b']) member.raft.propose(new TextEncoder().encode(text))
    member.drain()
    member.acknowledge(2, 1)
    member.acknowledge(2, 2)
    member.step(append({ from: 3, term: 2, index: 2, logTerm: 1, entries: entriesOf([2], 3) }))
    member.becomeLeader()
    expect(member.raft.status().progress.get(2)).toMatchObject({ match: 0, recentActive: false, state: 'probe' })
    expect(member.raft.status().commitIndex).toBe(2)
  })
})

function leader(): Member {
  const member = new Member()
  member.becomeLeader()
  return member
}
