// A follower's receiving side: snapshots, messages that make no sense, a log that lost what it held.
import { describe, expect, test } from 'vitest'
import { hasCode } from '../../src/base/errors.ts'
import { type Message } from '../../src/consensus/types.ts'
import { append, confOf, entriesOf, heartbeat, Member, ofKind, snapshotAt, the } from './member.ts'

function snapshotMessage(index: number, term: number, conf = confOf([1, 2, 3])): Message {
  return { kind: 'snapshot', from: 2, to: 1, term: 3, snapshot: snapshotAt(index, term, conf) }
}

describe('a snapshot from the leader', () => {
  test('replaces log and configuration, is saved with a sync, and only then acknowledged', () => {
    const member = new Member({ terms: [1, 1], term: 3 })
    member.raft.step(snapshotMessage(9, 3, confOf([1, 2], [7])))
    const ready = member.raft.ready()
    expect(ready).toMatchObject({ snapshot: { index: 9, term: 3 }, mustSync: true, messages: [], committed: [], entries: [] })
    expect(the(ready.messagesAfterSync, 'append-response')).toMatchObject({ index: 9, reject: false })
    expect(member.raft.status()).toMatchObject({ commitIndex: 9, appliedIndex: 0, firstIndex: 10, lastIndex: 9, conf: confOf([1, 2], [7]) })
    member.raft.advance()
    expect(member.raft.status().appliedIndex).toBe(9)
    expect(member.raft.hasReady()).toBe(false)
  })

  test('entries that follow it are applied after it', () => {
    const member = new Member({ term: 3 })
    member.raft.step(snapshotMessage(9, 3))
    member.raft.step(append({ term: 3, index: 9, logTerm: 3, entries: entriesOf([3], 10), commit: 10 }))
    expect(member.raft.ready()).toMatchObject({ snapshot: { index: 9 }, entries: [{ index: 10 }], committed: [] })
    member.raft.advance()
    expect(member.raft.ready()).toMatchObject({ snapshot: undefined, committed: [{ index: 10 }] })
  })

  test('one that came while another is being applied is handed out after it', () => {
    const member = new Member({ term: 3 })
    member.raft.step(snapshotMessage(5, 3))
    member.raft.ready()
    member.raft.step(snapshotMessage(9, 3))
    member.raft.advance()
    expect(member.raft.hasReady()).toBe(true)
    expect(member.raft.ready()).toMatchObject({ snapshot: { index: 9 } })
    member.raft.advance()
    expect(member.raft.status()).toMatchObject({ appliedIndex: 9 })
  })

  test('no newer than what is committed it is ignored, and the commit index told', () => {
    const member = new Member({ terms: [1, 1, 1], term: 3, commit: 2 })
    expect(the(member.step(snapshotMessage(2, 1)), 'append-response')).toMatchObject({ index: 2, reject: false })
    expect(member.raft.status()).toMatchObject({ firstIndex: 1, lastIndex: 3 })
  })

  test('of what the log holds anyway it only moves the commit index, and entries behind it stay', () => {
    const member = new Member({ terms: [1, 1, 1], term: 3, commit: 1 })
    expect(the(member.step(snapshotMessage(2, 1)), 'append-response')).toMatchObject({ index: 2 })
    expect(member.raft.status()).toMatchObject({ commitIndex: 2, firstIndex: 1, lastIndex: 3 })
  })

  test('that knows nothing of this member is ignored', () => {
    const member = new Member({ terms: [1], term: 3 })
    expect(the(member.step(snapshotMessage(9, 3, confOf([2, 3]))), 'append-response').index).toBe(0)
    expect(member.raft.status()).toMatchObject({ lastIndex: 1, commitIndex: 0 })
  })

  test('tells a newcomer who the members are', () => {
    const member = new Member({ voters: [] })
    member.step(snapshotMessage(9, 3))
    expect(member.raft.status()).toMatchObject({ leader: 2, conf: confOf([1, 2, 3]) })
    expect(ofKind(member.ticks(20), 'vote')).toHaveLength(2)
  })
})

describe('messages that make no sense', () => {
  test('for another member are ignored', () => {
    const member = new Member({ term: 1 })
    member.step({ ...append({ term: 4 }), to: 9 })
    expect(member.raft.status()).toMatchObject({ term: 1, leader: 0 })
  })

  test('an append with a gap is not answered', () => {
    const member = new Member({ term: 1 })
    expect(member.step(append({ entries: entriesOf([1], 2) }))).toEqual([])
    expect(member.step(append({ entries: [...entriesOf([1], 1), ...entriesOf([1], 3)] }))).toEqual([])
    expect(member.entries).toEqual([])
  })

  test('a leader of the same term is not listened to by the leader', () => {
    const leader = new Member()
    leader.becomeLeader()
    expect(leader.step(heartbeat({ term: 1 }), append({ term: 1, entries: entriesOf([1]) }))).toEqual([])
    expect(leader.raft.status()).toMatchObject({ role: 'leader', leader: 1 })
  })

  test('answers that a follower never asked for are ignored', () => {
    const member = new Member({ term: 1 })
    const answers: Message[] = [
      { kind: 'append-response', from: 2, to: 1, term: 1, index: 5, reject: false, hintIndex: 0, hintTerm: 0 },
      { kind: 'heartbeat-response', from: 2, to: 1, term: 1, readContext: 4 },
      { kind: 'vote-response', from: 2, to: 1, term: 1, reject: false, held: 0, commit: 0, commitTerm: 0 },
      { kind: 'pre-vote-response', from: 2, to: 1, term: 2, reject: false, held: 0, commit: 0, commitTerm: 0 },
    ]
    expect(member.step(...answers)).toEqual([])
    expect(member.raft.status()).toMatchObject({ role: 'follower', term: 1, commitIndex: 0 })
  })
})

test('a member whose log has lost what it acknowledged stops with a damage report', () => {
  const member = new Member({ terms: [1], term: 1 })
  try {
    member.step(heartbeat({ term: 1, commit: 4 }))
    expect.unreachable()
  } catch (error) {
    expect(hasCode(error, 'failed') && error.data['kind']).toBe('damaged')
  }
})
