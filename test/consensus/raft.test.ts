// The core from outside: starting, Ready and its order of obligations, status.
import { describe, expect, test } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { DEFAULTS, type RaftConfig } from '../../src/consensus/raft-config.ts'
import { Raft } from '../../src/consensus/raft.ts'
import { type StoredLog } from '../../src/consensus/types.ts'
import { append, bytes, confOf, entriesOf, heartbeat, Member, voteRequest } from './member.ts'

const EMPTY: StoredLog = { hardState: { term: 0, vote: 0, commit: 0 }, snapshot: { index: 0, term: 0, conf: confOf([]) }, entries: [] }

function open(config: Partial<RaftConfig>, stored: StoredLog = EMPTY): Raft {
  return new Raft({ ...DEFAULTS, id: 1, random: () => 0.5, snapshot: () => undefined, ...config }, stored)
}

describe('starting', () => {
  test.each([
    ['no id', { id: 0 }],
    ['an id that is no safe integer', { id: 2 ** 60 }],
    ['heartbeats that are not more frequent than elections', { electionTicks: 3, heartbeatTicks: 3 }],
    ['heartbeats that never come', { heartbeatTicks: 0 }],
    ['a window without room', { maxInflightMessages: 0 }],
    ['a window smaller than a message', { maxInflightBytes: 10 }],
    ['a learner that votes', { conf: confOf([1, 2], [2]) }],
  ])('with %s is refused', (_, config) => {
    expect(() => open(config)).toThrow(BugError)
  })

  test('with a first configuration that no newcomer could ever learn is refused', () => {
    expect(() => open({}, { ...EMPTY, snapshot: { index: 0, term: 0, conf: confOf([1]) } })).toThrow(BugError)
  })

  test('with a log that ends before what the state has applied is refused as damaged', () => {
    expect(() => open({ applied: 3 })).toThrow('damaged')
  })

  test('goes on from term, vote, commit index and configuration as they were stored', () => {
    const stored: StoredLog = {
      hardState: { term: 4, vote: 2, commit: 12 },
      snapshot: { index: 10, term: 3, conf: confOf([1, 2]) },
      entries: entriesOf([3, 4, 4], 11),
    }
    const raft = open({ applied: 11, conf: confOf([1, 2, 3]) }, stored)
    expect(raft.status()).toMatchObject({
      role: 'follower',
      term: 4,
      vote: 2,
      leader: 0,
      commitIndex: 12,
      appliedIndex: 11,
      firstIndex: 11,
      lastIndex: 13,
      conf: confOf([1, 2, 3]),
    })
    expect(raft.ready()).toMatchObject({ entries: [], hardState: undefined, mustSync: false, committed: [{ index: 12 }] })
  })

  test('takes the snapshot’s configuration and index where nothing newer is given', () => {
    const raft = open({}, { ...EMPTY, snapshot: { index: 5, term: 1, conf: confOf([1, 2]) } })
    expect(raft.status()).toMatchObject({ appliedIndex: 5, commitIndex: 5, conf: confOf([1, 2]) })
  })
})

describe('a sole voter', () => {
  test('elects itself and commits by its own disk', () => {
    const member = new Member({ voters: [1], config: DEFAULTS })
    member.raft.campaign()
    member.drain()
    expect(member.raft.propose(bytes('x'))).toEqual({ kind: 'accepted', index: 2, term: 1 })
    member.drain()
    expect(member.applied.map(({ index }) => index)).toEqual([1, 2])
  })
})

describe('Ready', () => {
  test('there is none as long as nothing happens', () => {
    const member = new Member({ term: 1 })
    expect(member.raft.hasReady()).toBe(false)
    member.ticks(3)
    expect(member.raft.hasReady()).toBe(false)
  })

  test('a new commit index alone needs no sync', () => {
    const member = new Member({ term: 1 })
    member.step(append({ entries: entriesOf([1]) }))
    member.raft.step(heartbeat({ term: 1, commit: 1 }))
    expect(member.raft.ready()).toMatchObject({ mustSync: false, hardState: { commit: 1 }, committed: [{ index: 1 }] })
  })

  test('a leader’s appends leave with the Ready that holds its own entries, before they are on disk', () => {
    const leader = new Member()
    leader.becomeLeader()
    leader.acknowledge(2, 1)
    leader.raft.propose(bytes('x'))
    expect(leader.raft.ready()).toMatchObject({ entries: [{ index: 2 }], mustSync: true, messages: [{ kind: 'append', to: 2 }] })
  })

  test('what a member promises to itself never leaves', () => {
    const leader = new Member()
    const sent = leader.becomeLeader()
    leader.raft.propose(bytes('x'))
    expect([...sent, ...leader.drain()].filter(({ to }) => to === 1)).toEqual([])
  })

  test('votes and rejections leave after the sync, like acknowledgements', () => {
    const member = new Member({ term: 1, terms: [1] })
    member.raft.step(voteRequest({ term: 2, index: 0, logTerm: 0 }))
    member.raft.step(append({ from: 3, term: 2, index: 7, logTerm: 2 }))
    const ready = member.raft.ready()
    expect(ready.messages).toEqual([])
    expect(ready.messagesAfterSync).toMatchObject([
      { kind: 'vote-response', reject: true, held: 0 },
      { kind: 'append-response', reject: true },
    ])
  })

  test('a write that is overtaken by a new leader is followed by one that replaces it', () => {
    const member = new Member({ term: 1 })
    member.raft.step(append({ term: 1, entries: entriesOf([1, 1]) }))
    member.raft.ready()
    member.raft.step(append({ from: 3, term: 2, entries: entriesOf([2]) }))
    member.raft.advance()
    expect(member.raft.ready()).toMatchObject({ entries: [{ index: 1, term: 2 }], hardState: { term: 2 }, mustSync: true })
  })

  test('the leader’s own acknowledgement does not count if it has lost its term during the write', () => {
    const leader = new Member({ voters: [1, 2] })
    leader.becomeLeader()
    leader.acknowledge(2, 1)
    leader.raft.propose(bytes('x'))
    leader.raft.ready()
    leader.raft.step(heartbeat({ term: 2 }))
    leader.raft.advance()
    expect(leader.raft.status()).toMatchObject({ role: 'follower', commitIndex: 1 })
  })

  test('entries to apply come in limited portions, each once', () => {
    const member = new Member({ term: 1, config: { maxCommittedBytes: 1 } })
    member.raft.step(append({ entries: entriesOf([1, 1]), commit: 2 }))
    expect(member.raft.ready().committed.map(({ index }) => index)).toEqual([1])
    member.raft.advance()
    expect(member.raft.ready().committed.map(({ index }) => index)).toEqual([2])
  })

  test('advance without a Ready, and a second Ready before it, are bugs of the driver', () => {
    const member = new Member({ term: 1 })
    expect(() => member.raft.advance()).toThrow(BugError)
    member.raft.step(append({ entries: entriesOf([1]) }))
    member.raft.ready()
    expect(() => member.raft.ready()).toThrow(BugError)
  })
})

describe('status', () => {
  test('says when a leader may take up its duties', () => {
    const leader = new Member({ terms: [1], term: 1, commit: 1 })
    expect(leader.raft.status().committedOwnTerm).toBe(false)
    leader.becomeLeader()
    expect(leader.raft.status()).toMatchObject({ role: 'leader', committedOwnTerm: false })
    leader.acknowledge(2, 2)
    expect(leader.raft.status().committedOwnTerm).toBe(true)
  })
})
