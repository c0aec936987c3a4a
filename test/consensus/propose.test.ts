// Proposals and configuration changes: who takes them, and why they are refused.
import { describe, expect, test } from 'vitest'
import { type ConfChange, type ConfChangeStep } from '../../src/consensus/types.ts'
import { bytes, entriesOf, heartbeat, Member, the } from './member.ts'

function change(transition: ConfChange['transition'], ...changes: readonly ConfChangeStep[]): ConfChange {
  return { transition, changes, context: new Uint8Array(0) }
}

const ADD_FOUR = change('auto', { kind: 'add-voter', node: 4 })
const LEAVE = change('auto')

/** Elected and with its empty entry committed. */
function leading(options: ConstructorParameters<typeof Member>[0] = {}): Member {
  const leader = new Member(options)
  leader.becomeLeader()
  leader.acknowledge(2, leader.raft.status().lastIndex)
  return leader
}

describe('a proposal', () => {
  test('is dropped without a leader, and where another leads', () => {
    const member = new Member({ term: 1 })
    expect(member.raft.propose(bytes('x'))).toEqual({ kind: 'dropped', why: 'no-leader' })
    member.step(heartbeat({ term: 1 }))
    expect(member.raft.propose(bytes('x'))).toEqual({ kind: 'dropped', why: 'not-leader' })
    expect(member.raft.proposeConfChange(ADD_FOUR)).toEqual({ kind: 'dropped', why: 'not-leader' })
    member.raft.campaign()
    expect(member.raft.propose(bytes('x'))).toEqual({ kind: 'dropped', why: 'no-leader' })
  })

  test('passed on by a follower is not taken in the product, and taken where forwarding is on', () => {
    const forwarding = { config: { forwardProposals: true } }
    const follower = new Member({ id: 2, term: 1, ...forwarding })
    follower.step(heartbeat({ from: 1, to: 2, term: 1 }))
    expect(follower.raft.propose(bytes('x'))).toEqual({ kind: 'forwarded', to: 1 })
    const message = the(follower.drain(), 'propose')
    for (const [options, last] of [
      [{}, 1],
      [forwarding, 2],
    ] as const) {
      const leader = leading(options)
      leader.step(message)
      expect(leader.raft.status().lastIndex).toBe(last)
    }
  })

  test('is dropped while more is uncommitted than allowed, until that is applied', () => {
    const leader = leading({ config: { maxUncommittedBytes: 10 } })
    expect(leader.raft.propose(bytes('x'.repeat(50))), 'the first may have any size').toMatchObject({ kind: 'accepted' })
    expect(leader.raft.propose(bytes('x'))).toEqual({ kind: 'dropped', why: 'too-much-uncommitted' })
    expect(leader.raft.propose(bytes('')), 'nothing weighs nothing').toMatchObject({ kind: 'accepted' })
    leader.drain()
    leader.acknowledge(2, 3)
    expect(leader.raft.propose(bytes('x'.repeat(6)))).toMatchObject({ kind: 'accepted' })
    expect(leader.raft.propose(bytes('x'.repeat(4)))).toMatchObject({ kind: 'accepted' })
    expect(leader.raft.propose(bytes('x'))).toMatchObject({ kind: 'dropped' })
  })

  test('what a former leader left behind may be applied without making the count go below nothing', () => {
    const leader = new Member({ terms: [1, 1, 1], config: { maxUncommittedBytes: 3 } })
    leader.becomeLeader()
    leader.acknowledge(2, 4)
    leader.raft.propose(bytes('xxx'))
    expect(leader.raft.propose(bytes('x'))).toEqual({ kind: 'dropped', why: 'too-much-uncommitted' })
  })
})

describe('a configuration change', () => {
  test('is refused while another one is not applied, and leaves nothing in the log', () => {
    const leader = leading()
    expect(leader.raft.proposeConfChange(ADD_FOUR)).toEqual({ kind: 'accepted', index: 2, term: 1 })
    expect(leader.raft.proposeConfChange(change('auto', { kind: 'add-voter', node: 5 }))).toEqual({
      kind: 'dropped',
      why: 'pending-change',
    })
    expect(leader.raft.status().lastIndex).toBe(2)
    leader.drain()
    leader.acknowledge(2, 2)
    expect(leader.raft.status().conf.voters).toEqual([1, 2, 3, 4])
    expect(leader.raft.proposeConfChange(change('auto', { kind: 'add-voter', node: 5 }))).toMatchObject({ kind: 'accepted' })
  })

  test('is refused by a new leader until everything it found in its log is applied', () => {
    const leader = new Member({ terms: [1, 1] })
    leader.becomeLeader()
    expect(leader.raft.proposeConfChange(ADD_FOUR)).toEqual({ kind: 'dropped', why: 'pending-change' })
    leader.acknowledge(2, 3)
    expect(leader.raft.proposeConfChange(ADD_FOUR)).toMatchObject({ kind: 'accepted' })
  })

  test.each([
    ['that leaves no joint configuration', LEAVE, 'not-joint'],
    ['that leaves no voter', change('explicit', ...[1, 2, 3].map((node) => ({ kind: 'remove', node }) as const)), 'invalid-change'],
  ])('%s is refused', (_, refused, why) => {
    expect(leading().raft.proposeConfChange(refused)).toEqual({ kind: 'dropped', why })
  })

  test('within a joint configuration only its end is taken', () => {
    const leader = leading()
    leader.raft.proposeConfChange(change('explicit', { kind: 'add-voter', node: 4 }))
    leader.drain()
    leader.acknowledge(2, 2)
    expect(leader.raft.status().conf.outgoing).toEqual([1, 2, 3])
    expect(leader.raft.proposeConfChange(change('auto', { kind: 'add-voter', node: 5 }))).toEqual({ kind: 'dropped', why: 'in-joint' })
    expect(leader.raft.proposeConfChange(LEAVE)).toMatchObject({ kind: 'accepted', index: 3 })
  })

  test('without the checks anything is taken', () => {
    const leader = leading({ config: { validateConfChanges: false } })
    leader.raft.proposeConfChange(ADD_FOUR)
    expect(leader.raft.proposeConfChange(LEAVE)).toMatchObject({ kind: 'accepted' })
  })

  test('passed on by a follower and refused leaves an empty entry, as in etcd', () => {
    const leader = leading({ config: { forwardProposals: true } })
    leader.raft.proposeConfChange(ADD_FOUR)
    const [entry] = entriesOf([1])
    leader.step({
      kind: 'propose',
      from: 2,
      to: 1,
      term: 0,
      entries: [{ kind: 'config', data: new Uint8Array(0) }, ...(entry ? [entry] : [])],
    })
    expect(leader.entries.slice(2).map(({ kind, data }) => [kind, data.length])).toEqual([
      ['normal', 0],
      ['normal', 3],
    ])
  })
})
