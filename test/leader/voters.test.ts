// When the quorum grows, and when it had better not.
import { describe, expect, it } from 'vitest'
import { type MemberStatus, type RaftRole } from '../../src/inventory/cluster.ts'
import { STABLE_MS, votersToPromote, type VotersView } from '../../src/leader/voters.ts'
import { aMesh, hostId, memberId } from '../fixture/inventory.ts'

function member(name: string, role: RaftRole, rest: Partial<MemberStatus> = {}): MemberStatus {
  return { host: hostId(name), role, matchIndex: 1_000, active: true, ...rest }
}

function view(members: readonly MemberStatus[], rest: Partial<VotersView> = {}): VotersView {
  return {
    inventory: aMesh({ hosts: Math.max(1, members.length) }).now,
    members,
    commitIndex: 1_000,
    upSince: new Map(members.map(({ host }) => [host, 0])),
    nowMs: STABLE_MS,
    ...rest,
  }
}

const three = [member('h1', 'leader'), member('h2', 'learner'), member('h3', 'learner')]

describe('voters', () => {
  it('grow from one to three in one change', () => {
    expect(votersToPromote(view(three))).toEqual([memberId(2), memberId(3)])
  })

  it('stay one with two hosts: two voters would be worse than one', () => {
    expect(votersToPromote(view(three.slice(0, 2)))).toBeNull()
  })

  it('stay three when more hosts join', () => {
    const members = [member('h1', 'leader'), member('h2', 'voter'), member('h3', 'voter'), member('h4', 'learner'), member('h5', 'learner')]
    expect(votersToPromote(view(members))).toBeNull()
  })

  it('are completed to three when one was lost', () => {
    expect(votersToPromote(view([member('h1', 'leader'), member('h2', 'voter'), member('h3', 'learner')]))).toEqual([memberId(3)])
  })

  it('are the longest members among those that are ready', () => {
    const members = [...three, member('h4', 'learner')]
    expect(votersToPromote(view(members))).toEqual([memberId(2), memberId(3)])
    const without = members.map((one) => (one.host === hostId('h2') ? { ...one, active: false } : one))
    expect(votersToPromote(view(without))).toEqual([memberId(3), memberId(4)])
  })

  it.each([
    ['is not active', { active: false }],
    ['is not known to be active', { active: null }],
    ['was never heard of', { matchIndex: null }],
    ['is 65 entries behind', { matchIndex: 935 }],
  ])('wait for a newcomer that %s', (_, rest) => {
    expect(votersToPromote(view([...three.slice(0, 2), member('h3', 'learner', rest)]))).toBeNull()
  })

  it('take a newcomer that is 64 entries behind: one message', () => {
    const members = [...three.slice(0, 2), member('h3', 'learner', { matchIndex: 936 })]
    expect(votersToPromote(view(members))).toEqual([memberId(2), memberId(3)])
  })

  it('wait until every newcomer has been up without a break for the whole time', () => {
    expect(votersToPromote(view(three, { nowMs: STABLE_MS - 1 }))).toBeNull()
    const upSince = new Map([
      [hostId('h1'), 0],
      [hostId('h2'), 0],
      [hostId('h3'), 1],
    ])
    expect(votersToPromote(view(three, { upSince }))).toBeNull()
    upSince.delete(hostId('h3'))
    expect(votersToPromote(view(three, { upSince, nowMs: 10 * STABLE_MS }))).toBeNull()
  })
})
