// Elections (section 5.2, 5.4.1), with the pre-vote of the thesis (section 9.6): who campaigns, who gets a vote, who has won.
import { type Core, send } from './core.ts'
import { bcastAppend } from './replication.ts'
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from './roles.ts'
import { type Message, NOBODY, type NodeId, type Told } from './types.ts'

/** `transfer`: the leader itself asked for it, so nobody holds back for its sake. */
export type CampaignKind = 'pre-election' | 'election' | 'transfer'

type VoteRequest = Extract<Message, { kind: 'pre-vote' | 'vote' }>
type VoteResponse = Extract<Message, { kind: 'pre-vote-response' | 'vote-response' }>

/** Campaigns, if this member may: not as leader, learner or stranger, nor while the configuration it knows may be out of date. */
export function hup(core: Core, kind: CampaignKind): void {
  if (core.role === 'leader' || !promotable(core)) return
  // Two members that count quorums by configurations more than one change apart could both win.
  if (core.log.someUnapplied((entry) => entry.kind === 'config')) return
  campaign(core, kind)
}

/** A voter whose state is not about to be replaced by a snapshot. */
export function promotable(core: Core): boolean {
  return core.tracker.isVoter(core.id) && core.log.pendingSnapshot === undefined
}

/** True while a leader was heard of within the election time-out: then nobody gets a vote that its term or peace would be lost to. */
export function inLease(core: Core): boolean {
  return core.config.checkQuorum && core.leader !== NOBODY && core.electionElapsed < core.config.electionTicks
}

/** A request that passed the checks of its term. */
export function handleVoteRequest(core: Core, message: VoteRequest): void {
  const told = toldTo(core, message.from)
  const canVote =
    core.vote === message.from ||
    (core.vote === NOBODY && core.leader === NOBODY) ||
    // Many may be told in advance that they would get the vote.
    (message.kind === 'pre-vote' && message.term > core.term)
  const kind = message.kind === 'vote' ? 'vote-response' : 'pre-vote-response'
  // A learner votes too: it may have been promoted without knowing it yet, and be needed (etcd issue 7625).
  // Whose log ends before what it holds has lost entries: it must not lead, however short the own log is. The answer tells it.
  if (!canVote || message.index < told.held || !core.log.isUpToDate(message.index, message.logTerm)) {
    send(core, message.from, { kind, reject: true, ...told })
    return
  }
  // The answer carries the term asked about: with the own, lower one a pre-candidate would ignore it.
  send(core, message.from, { kind, reject: false, ...told }, message.term)
  if (message.kind === 'vote') {
    core.electionElapsed = 0
    core.vote = message.from
  }
}

/** What a voter or candidate tells the other beside its vote. */
export function toldTo(core: Core, other: NodeId): Told {
  const { committed } = core.log
  return { held: core.holdings.of(other), commit: committed, commitTerm: core.log.term(committed) ?? 0 }
}

/**
 * What is committed is so for ever, whoever says it. It matters where the leader that committed the end of a joint configuration fell, or left
 * with it, before it said so: those who hold that entry without knowing count by a majority whose longer logs keep refusing them, and those
 * who know may not lead. raft-rs: `maybe_commit_by_vote`.
 */
export function learnCommit(core: Core, { commit, commitTerm }: Told): void {
  if (core.role !== 'leader' && core.log.matchTerm(commit, commitTerm)) core.log.commitTo(commit)
}

/** For a candidate or pre-candidate; answers to the other kind of campaign, or to an earlier one, are ignored. */
export function handleVoteResponse(core: Core, message: VoteResponse): void {
  if (core.role === 'pre-candidate') {
    if (message.kind !== 'pre-vote-response') return
    if (!message.reject && message.term !== core.term + 1) return
  } else if (core.role !== 'candidate' || message.kind !== 'vote-response') {
    return
  }
  const result = core.tracker.recordVote(message.from, !message.reject)
  if (result === 'lost') becomeFollower(core, core.term, NOBODY)
  if (result !== 'won') return
  if (core.role === 'pre-candidate') {
    // Not at once: an answer may have told it of a change that it has to apply first.
    hup(core, 'election')
  } else {
    becomeLeader(core)
    bcastAppend(core)
  }
}

function campaign(core: Core, kind: CampaignKind): void {
  if (kind === 'pre-election') becomePreCandidate(core)
  else becomeCandidate(core)
  const request = kind === 'pre-election' ? 'pre-vote' : 'vote'
  const term = kind === 'pre-election' ? core.term + 1 : core.term
  const { conf } = core.tracker
  const voters = [...new Set([...conf.voters, ...conf.outgoing])].sort((a, b) => a - b)
  for (const id of voters) {
    // The own vote counts when it is on disk, like everyone's.
    if (id === core.id)
      send(core, id, { kind: kind === 'pre-election' ? 'pre-vote-response' : 'vote-response', reject: false, ...toldTo(core, id) }, term)
    else {
      const { lastIndex: index, lastTerm: logTerm } = core.log
      send(core, id, { kind: request, index, logTerm, force: kind === 'transfer', ...toldTo(core, id) }, term)
    }
  }
}
