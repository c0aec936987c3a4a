// A leader's sending side: batching, flow control, learners, snapshots.
import { describe, expect, test } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { bytes, confOf, heartbeat, Member, ofKind, snapshotAt, the } from './member.ts'

/** Elected, with 2 and 3 in `replicate`. */
function replicating(options: ConstructorParameters<typeof Member>[0] = {}): Member {
  const leader = new Member(options)
  leader.becomeLeader()
  const last = leader.raft.status().lastIndex
  leader.acknowledge(2, last)
  leader.acknowledge(3, last)
  return leader
}

function propose(leader: Member, ...texts: readonly string[]) {
  for (const text of texts) leader.raft.propose(bytes(text))
  return leader.drain()
}

function beatAnswer(leader: Member, from: number) {
  return leader.step({ kind: 'heartbeat-response', from, to: leader.id, term: leader.raft.status().term, readContext: 0 })
}

function to(id: number, leader: readonly ReturnType<typeof propose>[number][]) {
  return ofKind(leader, 'append').filter((message) => message.to === id)
}

describe('batching', () => {
  test('the proposals of one turn leave in one append per follower', () => {
    const sent = propose(replicating(), 'a', 'b', 'c')
    expect(ofKind(sent, 'append').map((message) => [message.to, message.entries.length])).toEqual([
      [2, 3],
      [3, 3],
    ])
  })

  test('without batching each leaves by itself, as etcd does', () => {
    const sent = propose(replicating({ config: { thrifty: false } }), 'a', 'b')
    expect(ofKind(sent, 'append').map((message) => [message.to, message.entries.length])).toEqual([
      [2, 1],
      [3, 1],
      [2, 1],
      [3, 1],
    ])
  })

  test('no append is longer than allowed, but one entry always goes', () => {
    const leader = replicating({ config: { maxMessageBytes: 200 } })
    const texts = ['x'.repeat(300), 'x'.repeat(60), 'x'.repeat(60), 'x'.repeat(60)]
    propose(leader, ...texts)
    const sizes = to(2, leader.acknowledge(2, 2)).map(({ entries }) => entries.length)
    expect(sizes).toEqual([2, 1])
  })
})

describe('probe', () => {
  test('one append at a time goes to a follower whose log is not known', () => {
    const leader = new Member()
    leader.becomeLeader()
    expect(to(2, propose(leader, 'a'))).toEqual([])
    expect(to(2, beatAnswer(leader, 2))).toHaveLength(1)
    expect(to(2, propose(leader, 'b'))).toEqual([])
  })

  test('a success lets everything that is missing go at once', () => {
    const leader = new Member({ config: { maxMessageBytes: 1 } })
    leader.becomeLeader()
    propose(leader, 'a', 'b', 'c')
    expect(to(2, leader.acknowledge(2, 1)).map(({ entries }) => entries[0]?.index)).toEqual([2, 3, 4])
    expect(leader.raft.status().progress.get(2)).toMatchObject({ match: 1, state: 'replicate', recentActive: true })
  })

  test('an unreachable follower is probed again from where it is known to be', () => {
    const leader = replicating()
    propose(leader, 'a')
    leader.raft.reportUnreachable(2)
    expect(leader.raft.status().progress.get(2)?.state).toBe('probe')
    expect(to(2, beatAnswer(leader, 2))).toMatchObject([{ index: 1, entries: [{ index: 2 }] }])
  })

  test('a follower that has everything leaves the probe by answering an empty append', () => {
    const leader = replicating()
    leader.raft.reportUnreachable(2)
    expect(to(2, beatAnswer(leader, 2))).toMatchObject([{ index: 1, entries: [] }])
    leader.acknowledge(2, 1)
    expect(leader.raft.status().progress.get(2)?.state).toBe('replicate')
  })
})

describe('replicate', () => {
  test('appends go ahead of their acknowledgements, up to the window of messages', () => {
    const leader = replicating({ config: { maxInflightMessages: 2 } })
    const counts = ['a', 'b', 'c'].map((text) => to(2, propose(leader, text)).length)
    expect(counts).toEqual([1, 1, 0])
    expect(to(2, leader.acknowledge(2, 2)).map(({ entries }) => entries.map(({ index }) => index))).toEqual([[4]])
  })

  test('up to the window of bytes too', () => {
    const leader = replicating({ config: { maxInflightBytes: 100, maxMessageBytes: 100 } })
    const counts = ['x'.repeat(60), 'x'.repeat(60), 'x'].map((text) => to(2, propose(leader, text)).length)
    expect(counts).toEqual([1, 1, 0])
  })

  test('with the window full a heartbeat’s answer brings an empty append, whose rejection starts over if all was lost', () => {
    const leader = replicating({ config: { maxInflightMessages: 1 } })
    propose(leader, 'a')
    propose(leader, 'b')
    expect(to(2, beatAnswer(leader, 2))).toMatchObject([{ index: 2, entries: [] }])
    const rejection = { kind: 'append-response', from: 2, to: 1, term: 1, index: 2, reject: true, hintIndex: 1, hintTerm: 1 } as const
    expect(to(2, leader.step(rejection))).toMatchObject([{ index: 1, entries: [{ index: 2 }, { index: 3 }] }])
  })

  test('a rejection of what was acknowledged since is old news', () => {
    const leader = replicating()
    propose(leader, 'a')
    leader.acknowledge(2, 2)
    leader.step({ kind: 'append-response', from: 2, to: 1, term: 1, index: 1, reject: true, hintIndex: 0, hintTerm: 0 })
    expect(leader.raft.status().progress.get(2)).toMatchObject({ match: 2, state: 'replicate' })
  })

  test('a follower learns the commit index with the answer to its acknowledgement, unless it was sent already', () => {
    const leader = replicating()
    propose(leader, 'a')
    expect(to(3, leader.acknowledge(2, 2))).toMatchObject([{ index: 2, entries: [], commit: 2 }])
    expect(to(3, leader.acknowledge(3, 2))).toEqual([])
    propose(leader, 'b')
    leader.acknowledge(2, 3)
    // The heartbeat could not tell it, as it was not known to hold the entry.
    leader.ticks(1)
    expect(to(3, leader.acknowledge(3, 3))).toMatchObject([{ index: 3, entries: [], commit: 3 }])
  })

  test('heartbeats never tell a follower to commit what it may not hold', () => {
    const leader = replicating()
    propose(leader, 'a')
    leader.acknowledge(2, 2)
    expect(ofKind(leader.ticks(1), 'heartbeat').map((message) => [message.to, message.commit])).toEqual([
      [2, 2],
      [3, 1],
    ])
  })

  test('answers of strangers are ignored', () => {
    const leader = replicating()
    const before = leader.raft.status()
    expect(leader.acknowledge(9, 7)).toEqual([])
    expect(leader.raft.status()).toEqual(before)
  })
})

describe('a learner', () => {
  test('gets everything and counts for nothing', () => {
    const leader = new Member({ voters: [1, 2, 3], learners: [4, 5] })
    leader.becomeLeader()
    for (const id of [4, 5]) leader.acknowledge(id, 1)
    expect(leader.raft.status().commitIndex).toBe(0)
    expect(leader.raft.status().progress.get(4)).toMatchObject({ match: 1, state: 'replicate' })
    leader.acknowledge(2, 1)
    expect(leader.raft.status().commitIndex).toBe(1)
  })
})

describe('a follower that needs what is compacted', () => {
  const conf = confOf([1, 2, 3])

  /** Leader with entries 1 to 5, the first four compacted; 2 has it all, 3 nothing. */
  function compacted(options: { snapshot?: () => ReturnType<typeof snapshotAt> | undefined } = {}): Member {
    const leader = new Member({ terms: [1, 1, 1, 1], config: { snapshot: options.snapshot ?? (() => snapshotAt(4, 1, conf)) } })
    leader.becomeLeader()
    leader.acknowledge(2, 5)
    leader.raft.compacted({ index: 4 })
    beatAnswer(leader, 3)
    return leader
  }

  const rejection = { kind: 'append-response', from: 3, to: 1, term: 2, index: 4, reject: true, hintIndex: 0, hintTerm: 0 } as const

  test('gets a snapshot in one message, and nothing else meanwhile', () => {
    const leader = compacted()
    expect(the(leader.step(rejection), 'snapshot')).toMatchObject({ to: 3, snapshot: { index: 4, term: 1 } })
    expect(leader.raft.status().progress.get(3)?.state).toBe('snapshot')
    expect([...to(3, propose(leader, 'a')), ...to(3, beatAnswer(leader, 3))]).toEqual([])
  })

  test('goes on from the log as soon as it acknowledges the snapshot', () => {
    const leader = compacted()
    leader.step(rejection)
    expect(to(3, leader.acknowledge(3, 4))).toMatchObject([{ index: 4, entries: [{ index: 5 }] }])
    expect(leader.raft.status().progress.get(3)).toMatchObject({ match: 4, state: 'replicate' })
  })

  test('goes on from the log also after an older snapshot than was sent, as long as the log reaches back to it', () => {
    const leader = compacted({ snapshot: () => snapshotAt(5, 2, conf) })
    leader.step(rejection)
    expect(to(3, leader.acknowledge(3, 4))).toMatchObject([{ index: 4, entries: [{ index: 5 }] }])
  })

  test('an acknowledgement that does not reach the log keeps the snapshot going', () => {
    const leader = compacted()
    leader.step(rejection)
    expect(leader.acknowledge(3, 2)).toEqual([])
    expect(leader.raft.status().progress.get(3)?.state).toBe('snapshot')
  })

  test('after a report of success it is probed behind the snapshot, with the next heartbeat', () => {
    const leader = compacted()
    leader.step(rejection)
    leader.raft.reportSnapshot(3, true)
    expect(to(3, propose(leader, 'a'))).toEqual([])
    expect(to(3, beatAnswer(leader, 3))).toMatchObject([{ index: 4 }])
  })

  test('after a report of failure it gets another one, with the next heartbeat', () => {
    const leader = compacted()
    leader.step(rejection)
    leader.raft.reportSnapshot(3, false)
    expect(ofKind(propose(leader, 'a'), 'snapshot')).toEqual([])
    expect(the(beatAnswer(leader, 3), 'snapshot').to).toBe(3)
  })

  test('a report about one that gets no snapshot changes nothing', () => {
    const leader = compacted()
    leader.raft.reportSnapshot(2, false)
    expect(leader.raft.status().progress.get(2)?.state).toBe('replicate')
  })

  test('gets none while it is silent', () => {
    const leader = replicating({ config: { checkQuorum: true, snapshot: () => snapshotAt(4, 1, conf) } })
    propose(leader, 'a', 'b', 'c')
    leader.acknowledge(2, 4)
    leader.ticks(10)
    leader.raft.reportUnreachable(3)
    leader.raft.compacted({ index: 4 })
    expect(ofKind(propose(leader, 'd'), 'snapshot')).toEqual([])
    expect(the(beatAnswer(leader, 3), 'snapshot').to).toBe(3)
  })

  test('gets none that does not exist yet', () => {
    const leader = compacted({ snapshot: () => undefined })
    expect(leader.step(rejection)).toEqual([])
    expect(leader.raft.status().progress.get(3)?.state).toBe('probe')
  })

  test('a snapshot that leaves a gap to the log is a bug of the caller', () => {
    const leader = compacted({ snapshot: () => snapshotAt(3, 1, conf) })
    expect(() => leader.step(rejection)).toThrow(BugError)
  })

  test('a log is compacted up to what is applied only', () => {
    const leader = compacted()
    expect(() => leader.raft.compacted({ index: 6 })).toThrow(BugError)
  })
})

test('a member that no longer leads ignores reports about the others', () => {
  const leader = replicating()
  leader.step(heartbeat({ term: 2 }))
  leader.raft.reportUnreachable(3)
  leader.raft.reportSnapshot(3, false)
  expect(leader.raft.status()).toMatchObject({ role: 'follower', progress: new Map() })
})
