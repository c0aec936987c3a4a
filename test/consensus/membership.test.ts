// Configuration changes as they are applied: simple and joint, a removed leader, changes not applied yet.
import { describe, expect, test } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { decodeConfChange, encodeConfChange } from '../../src/consensus/conf-codec.ts'
import { type ConfChange, type ConfChangeStep, type Entry } from '../../src/consensus/types.ts'
import { append, bytes, confOf, Member, ofKind, snapshotAt, the, voteRequest } from './member.ts'

function change(transition: ConfChange['transition'], ...changes: readonly ConfChangeStep[]): ConfChange {
  return { transition, changes, context: new Uint8Array(0) }
}

function configEntry(index: number, term: number, ...changes: readonly ConfChangeStep[]): Entry {
  return { index, term, kind: 'config', data: encodeConfChange(change('auto', ...changes)) }
}

/** Elected by 1 2 3 and with its empty entry committed. */
function leading(options: ConstructorParameters<typeof Member>[0] = {}): Member {
  const leader = new Member(options)
  leader.becomeLeader()
  for (const id of (options.voters ?? [1, 2, 3]).filter((voter) => voter !== 1)) leader.acknowledge(id, leader.raft.status().lastIndex)
  return leader
}

/** Proposes it and lets `from` acknowledge it. */
function carryOut(leader: Member, proposed: ConfChange, ...from: readonly number[]) {
  leader.raft.proposeConfChange(proposed)
  const messages = leader.drain()
  for (const id of from) messages.push(...leader.acknowledge(id, leader.raft.status().lastIndex))
  return messages
}

describe('a configuration change', () => {
  test('takes effect when it is applied, not before', () => {
    const leader = leading()
    carryOut(leader, change('auto', { kind: 'add-voter', node: 4 }))
    expect(leader.raft.status().conf).toEqual(confOf([1, 2, 3]))
    leader.acknowledge(2, 2)
    expect(leader.raft.status().conf).toEqual(confOf([1, 2, 3, 4]))
    leader.raft.propose(bytes('x'))
    leader.drain()
    leader.acknowledge(2, 3)
    expect(leader.raft.status().commitIndex, 'two of four are no quorum').toBe(2)
    leader.acknowledge(3, 3)
    expect(leader.raft.status().commitIndex).toBe(3)
  })

  test('lets the newcomer be sent to at once, and counts it as alive until the next quorum check', () => {
    const leader = leading()
    const sent = carryOut(leader, change('auto', { kind: 'add-voter', node: 4 }), 2)
    expect(ofKind(sent, 'append').filter(({ to }) => to === 4)).toHaveLength(1)
    expect(leader.raft.status().progress.get(4)).toMatchObject({ recentActive: true, match: 0 })
  })

  test('keeps what is known of a learner that is promoted', () => {
    const leader = leading({ learners: [4] })
    leader.acknowledge(4, 1)
    carryOut(leader, change('auto', { kind: 'add-voter', node: 4 }), 2)
    expect(leader.raft.status().progress.get(4)).toMatchObject({ match: 1, state: 'replicate' })
  })

  test('that makes the quorum smaller commits what the smaller one holds', () => {
    const leader = leading({ voters: [1, 2, 3, 4] })
    leader.raft.proposeConfChange(change('auto', { kind: 'remove', node: 4 }))
    leader.raft.propose(bytes('x'))
    leader.drain()
    leader.acknowledge(2, 3)
    leader.acknowledge(3, 2)
    expect(leader.raft.status()).toMatchObject({ commitIndex: 3, conf: confOf([1, 2, 3]) })
  })

  test('refused by the state machine changes nothing, and makes room for the next', () => {
    const leader = leading()
    leader.raft.proposeConfChange(change('auto', { kind: 'add-voter', node: 4 }))
    leader.raft.step({ kind: 'append-response', from: 2, to: 1, term: 1, index: 2, reject: false, hintIndex: 0, hintTerm: 0 })
    let applied: readonly Entry[] = []
    for (let round = 0; round < 5 && applied.length === 0; round++) {
      applied = leader.raft.ready().committed
      if (applied.length > 0) expect(leader.raft.applyConfChange(null)).toEqual(confOf([1, 2, 3]))
      leader.raft.advance()
    }
    expect(applied).toHaveLength(1)
    expect(leader.raft.status().conf).toEqual(confOf([1, 2, 3]))
    expect(leader.raft.proposeConfChange(change('auto', { kind: 'add-voter', node: 5 }))).toMatchObject({ kind: 'accepted' })
  })

  test('that could never have passed the checks is a bug, not a configuration', () => {
    expect(() => new Member({ voters: [1] }).raft.applyConfChange(change('auto', { kind: 'remove', node: 1 }))).toThrow(BugError)
  })
})

describe('the end of a joint configuration that its leader committed and told nobody of, leaving with it', () => {
  const joint = { ...confOf([2]), outgoing: [1, 2], autoLeave: true }
  const end: Entry = { index: 3, term: 2, kind: 'config', data: new Uint8Array(0) }

  /** Holds the end of the joint configuration and does not know that it is committed. */
  function follower(): Member {
    const member = new Member({ id: 2, config: { conf: joint, preVote: true }, terms: [1, 2], term: 2 })
    member.step(append({ from: 1, to: 2, term: 2, index: 2, logTerm: 2, entries: [end] }))
    return member
  }

  /** The leader that was: it holds more, so it refuses its vote to everyone else, and may not lead. */
  function former(): Member {
    const member = new Member({ id: 1, config: { conf: joint }, terms: [1, 2], term: 2 })
    const more: Entry = { index: 4, term: 2, kind: 'normal', data: bytes('x') }
    member.step(append({ from: 3, to: 1, term: 2, index: 2, logTerm: 2, entries: [end, more], commit: 3 }))
    return member
  }

  test('is learnt from its refusal of a vote, and then others lead', () => {
    const [member, other] = [follower(), former()]
    member.raft.campaign()
    const refusals = other.step(the(member.drain(), 'pre-vote'))
    expect(refusals).toMatchObject([{ kind: 'pre-vote-response', reject: true, commit: 3, commitTerm: 2 }])
    member.step(...refusals)
    expect(member.raft.status().conf).toEqual(confOf([2]))
    member.raft.campaign()
    member.drain()
    expect(member.raft.status()).toMatchObject({ role: 'leader', term: 3 })
  })

  test('is learnt from whoever asks for a vote in vain', () => {
    const member = follower()
    const [answer] = member.step(voteRequest({ from: 3, to: 2, term: 1, index: 1, logTerm: 1, commit: 3, commitTerm: 2 }))
    expect(answer).toBeUndefined()
    expect(member.raft.status()).toMatchObject({ term: 2, commitIndex: 3, conf: confOf([2]) })
  })

  test('is not taken from another entry at that place', () => {
    const member = follower()
    member.step(voteRequest({ from: 3, to: 2, term: 9, index: 9, logTerm: 9, commit: 3, commitTerm: 3 }))
    member.step(voteRequest({ from: 3, to: 2, term: 9, index: 9, logTerm: 9, commit: 7, commitTerm: 2 }))
    expect(member.raft.status()).toMatchObject({ term: 9, commitIndex: 0, conf: joint })
  })
})

test('whoever is told on the way to its election of a change that it has not applied begins anew', () => {
  const member = new Member({ config: { preVote: true }, voters: [1, 2, 3], term: 1 })
  member.step(append({ entries: [configEntry(1, 1, { kind: 'add-voter', node: 4 })] }))
  member.raft.campaign()
  const [request] = ofKind(member.drain(), 'pre-vote')
  expect(request).toMatchObject({ term: 2 })
  member.raft.step({ kind: 'pre-vote-response', from: 2, to: 1, term: 2, reject: false, held: 0, commit: 1, commitTerm: 1 })
  expect(member.raft.status()).toMatchObject({ role: 'pre-candidate', term: 1 })
  member.drain()
  expect(member.raft.status()).toMatchObject({ conf: confOf([1, 2, 3, 4]), term: 1 })
})

test.each([
  ['is no member', { kind: 'remove', node: 1 }, confOf([2, 3, 4, 5])],
  ['is a learner', { kind: 'add-learner', node: 1 }, confOf([2, 3, 4, 5], [1])],
] as const)('whoever is told during its election that it %s by now stands no longer, whatever it is voted', (_, step, conf) => {
  for (const stepDownOnRemoval of [true, false]) {
    const member = new Member({ voters: [1, 2, 3, 4, 5], term: 1, config: { stepDownOnRemoval } })
    member.step(append({ entries: [configEntry(1, 1, step)] }))
    member.raft.campaign()
    member.drain()
    const votes = [2, 3, 4, 5].map((from) => ({ kind: 'vote-response', from, to: 1, term: 2, reject: false, held: 0 }) as const)
    for (const vote of votes) member.step({ ...vote, commit: 1, commitTerm: 1 })
    expect(member.raft.status()).toMatchObject({ role: 'follower', term: 2, conf })
  }
})

test('a change is applied to the configuration of its own place in the log, though a snapshot from further on came meanwhile', () => {
  const member = new Member({ voters: [1, 2], term: 1 })
  member.raft.step(append({ entries: [configEntry(1, 1, { kind: 'add-voter', node: 3 })], commit: 1 }))
  const ready = member.raft.ready()
  const conf = confOf([2, 3, 4], [1])
  member.raft.step({ kind: 'snapshot', from: 2, to: 1, term: 1, snapshot: snapshotAt(9, 1, conf) })
  const changes = ready.committed.map(({ data }) => decodeConfChange(data))
  expect(changes.map((proposed) => member.raft.applyConfChange(proposed))).toEqual([confOf([1, 2, 3])])
  expect(member.raft.status().conf).toEqual(conf)
  expect(member.raft.applyConfChange(null)).toEqual(confOf([1, 2, 3]))
  member.raft.advance()
  member.drain()
  expect(member.raft.applyConfChange(null)).toEqual(conf)
})

describe('a joint change', () => {
  const replace = change('auto', { kind: 'remove', node: 3 }, { kind: 'add-voter', node: 4 })

  test('is decided by both halves and left by itself', () => {
    const leader = leading()
    carryOut(leader, replace, 2)
    expect(leader.raft.status().conf).toMatchObject({ voters: [1, 2, 4], outgoing: [1, 2, 3], autoLeave: true })
    expect(leader.entries.at(-1)).toMatchObject({ index: 3, kind: 'config', data: new Uint8Array(0) })
    leader.acknowledge(3, 3)
    expect(leader.raft.status().commitIndex, '1 and 3 are no majority of 1 2 4').toBe(2)
    leader.acknowledge(4, 3)
    expect(leader.raft.status().conf).toEqual(confOf([1, 2, 4]))
  })

  test('is left when a transfer during which it was applied comes to nothing', () => {
    const leader = leading({ voters: [1, 2, 3] })
    leader.raft.proposeConfChange(change('implicit', { kind: 'remove', node: 3 }))
    leader.drain()
    leader.raft.transferLeadership(3)
    leader.acknowledge(2, 2)
    expect(leader.raft.status()).toMatchObject({ lastIndex: 2, conf: { outgoing: [1, 2, 3] } })
    leader.ticks(10)
    leader.acknowledge(2, 3)
    expect(leader.raft.status().conf).toEqual(confOf([1, 2]))
  })

  test('is left by a later leader, if the one who entered it falls', () => {
    const conf = { ...confOf([1, 2, 4]), outgoing: [1, 2, 3], autoLeave: true }
    const leader = new Member({ config: { conf }, terms: [1], term: 1 })
    leader.becomeLeader()
    leader.acknowledge(2, 2)
    expect(leader.entries.at(-1)).toMatchObject({ index: 3, kind: 'config' })
    leader.acknowledge(2, 3)
    expect(leader.raft.status().conf).toEqual(confOf([1, 2, 4]))
  })

  test('is not left by itself if it was asked for as explicit', () => {
    const leader = leading()
    carryOut(leader, { ...replace, transition: 'explicit' }, 2)
    expect(leader.raft.status().conf).toMatchObject({ outgoing: [1, 2, 3], autoLeave: false })
    expect(leader.raft.status().lastIndex).toBe(2)
  })
})

describe('a leader that is removed', () => {
  const removeOne = change('auto', { kind: 'remove', node: 1 })

  test('commits its own removal, then steps down', () => {
    const leader = leading()
    carryOut(leader, removeOne, 2)
    expect(leader.raft.status()).toMatchObject({ role: 'follower', leader: 0, conf: confOf([2, 3]), commitIndex: 2 })
    expect(ofKind(leader.ticks(40), 'vote')).toEqual([])
  })

  test('goes on without counting itself where it does not step down, but takes no proposals', () => {
    const leader = leading({ config: { stepDownOnRemoval: false } })
    leader.raft.proposeConfChange(removeOne)
    leader.raft.propose(bytes('x'))
    leader.drain()
    leader.acknowledge(2, 2)
    expect(leader.raft.propose(bytes('y'))).toEqual({ kind: 'dropped', why: 'not-a-member' })
    leader.acknowledge(2, 3)
    expect(leader.raft.status().commitIndex, 'one of the remaining two is no quorum').toBe(2)
    leader.acknowledge(3, 3)
    expect(leader.raft.status().commitIndex).toBe(3)
  })
})

describe('a committed change that is not applied yet', () => {
  test('keeps a member from campaigning: it counts by a configuration that may be gone', () => {
    const member = new Member({ term: 1 })
    const entries = [configEntry(1, 1, { kind: 'add-voter', node: 4 })]
    member.raft.step(append({ term: 1, entries, commit: 1 }))
    member.raft.campaign()
    expect(member.raft.status().role).toBe('follower')
    member.drain()
    member.raft.campaign()
    expect(member.raft.status().role).toBe('candidate')
  })

  test('does not keep it from voting', () => {
    const member = new Member({ term: 1 })
    member.raft.step(append({ term: 1, entries: [configEntry(1, 1, { kind: 'remove', node: 1 })], commit: 1 }))
    expect(the(member.step(voteRequest({ from: 3, term: 2, index: 1, logTerm: 1 })), 'vote-response').reject).toBe(false)
  })
})

test('a newcomer that falls behind the log is brought in by probing from the end', () => {
  const leader = leading({ terms: [1, 1, 1] })
  const sent = carryOut(leader, change('auto', { kind: 'add-learner', node: 4 }), 2)
  expect(ofKind(sent, 'append').find(({ to }) => to === 4)).toMatchObject({ index: 4, entries: [{ index: 5 }] })
})
