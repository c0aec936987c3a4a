// Quorum arithmetic: what majorities, and two of them in a joint configuration, agree on (paper, sections 5.2, 5.4 and 6).
import { type ConfState, type NodeId } from './types.ts'

type Voters = Pick<ConfState, 'voters' | 'outgoing'>

export type VoteResult = 'won' | 'lost' | 'pending'

/** The smallest number of voters that any two sets of share a member. */
export function majority(voters: number): number {
  return Math.floor(voters / 2) + 1
}

/** The highest index that a quorum has acknowledged, 0 if none; `acknowledged` gives undefined for a voter not heard of. */
export function committedIndex(conf: Voters, acknowledged: (id: NodeId) => number | undefined): number {
  return Math.min(majorityIndex(conf.voters, acknowledged), majorityIndex(conf.outgoing, acknowledged))
}

/** Lost as soon as a quorum has become impossible in either half. */
export function voteResult(conf: Voters, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const incoming = majorityVote(conf.voters, votes)
  const outgoing = majorityVote(conf.outgoing, votes)
  if (incoming === 'lost' || outgoing === 'lost') return 'lost'
  return incoming === 'won' && outgoing === 'won' ? 'won' : 'pending'
}

/** Infinity for no voters, so that the empty half of a simple configuration decides nothing. */
function majorityIndex(voters: readonly NodeId[], acknowledged: (id: NodeId) => number | undefined): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY
  const indexes = voters.map((id) => acknowledged(id) ?? 0).sort((a, b) => b - a)
  return indexes[majority(voters.length) - 1] ?? 0
}

/** Won for no voters, for the same reason. */
function majorityVote(voters: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  if (voters.length === 0) return 'won'
  const needed = majority(voters.length)
  const granted = voters.filter((id) => votes.get(id) === true).length
  const open = voters.filter((id) => !votes.has(id)).length
  if (granted >= needed) return 'won'
  return granted + open >= needed ? 'pending' : 'lost'
}
