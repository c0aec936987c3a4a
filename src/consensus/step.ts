// One message in: first what its term says, then what its kind means to the present role.
import { unreachable } from '../base/assert.ts'
import { type Core, send } from './core.ts'
import { handleVoteRequest, handleVoteResponse, hup, inLease, learnCommit, toldTo } from './election.ts'
import { handleAppend, handleHeartbeat, handleSnapshot, heardFromLeader } from './follower.ts'
import { handleAppendResponse, handleHeartbeatResponse } from './leader.ts'
import { handlePropose } from './propose.ts'
import { requestRead } from './reads.ts'
import { becomeFollower } from './roles.ts'
import { requestTransfer } from './transfer.ts'
import { type Message, NOBODY } from './types.ts'

export function step(core: Core, message: Message): void {
  // A host that was wiped comes back as another member: what was meant for the former one must not reach it.
  if (message.to !== core.id) return
  // Before its term is looked at: whoever lost entries must not even take part in the election that would tell it.
  if (isOfElection(message)) {
    core.log.assertHolds(message.held)
    learnCommit(core, message)
  }
  if (message.term > core.term) {
    if (isVoteRequest(message) && !message.force && inLease(core)) return
    meetHigherTerm(core, message)
  } else if (message.term < core.term && message.term !== 0) {
    answerLowerTerm(core, message)
    return
  }
  dispatch(core, message)
}

/** Section 5.1: whoever sees a higher term follows it. */
function meetHigherTerm(core: Core, message: Message): void {
  // A pre-vote asks about a term that nobody is in yet, and its grant names that term.
  if (message.kind === 'pre-vote' || (message.kind === 'pre-vote-response' && !message.reject)) return
  becomeFollower(core, message.term, isFromLeader(message) ? message.from : NOBODY)
}

function answerLowerTerm(core: Core, message: Message): void {
  if (message.kind === 'pre-vote') {
    send(core, message.from, { kind: 'pre-vote-response', reject: true, ...toldTo(core, message.from) })
  } else if ((message.kind === 'heartbeat' || message.kind === 'append') && !tellsByCampaign(core)) {
    // The sender may be the right leader and this member stuck in a higher term, where nobody votes for it because of that leader's lease:
    // it must learn of the term.
    send(core, message.from, { kind: 'append-response', index: 0, reject: false, hintIndex: 0, hintTerm: 0 })
  }
}

/** Its own vote requests will tell of its term. etcd takes that for granted of learners too, which then hear no more of a leader below them. */
function tellsByCampaign({ config, tracker, id }: Core): boolean {
  return !config.checkQuorum && !config.preVote && tracker.isVoter(id)
}

function dispatch(core: Core, message: Message): void {
  switch (message.kind) {
    case 'pre-vote':
    case 'vote':
      handleVoteRequest(core, message)
      break
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      follow(core, message)
      break
    case 'append-response':
    case 'heartbeat-response':
      lead(core, message)
      break
    case 'pre-vote-response':
    case 'vote-response':
      if (core.tracker.progress.has(message.from)) handleVoteResponse(core, message)
      break
    case 'propose':
      if (core.config.forwardProposals) handlePropose(core, message)
      break
    case 'read-index':
      requestRead(core, message)
      break
    case 'read-index-response':
      core.readStates.push({ requestId: message.requestId, index: message.index })
      break
    case 'transfer-leader':
      requestTransfer(core, message.target)
      break
    case 'timeout-now':
      // Without pre-vote: the leader vouches for it, and a round trip is saved.
      if (core.role === 'follower') hup(core, 'transfer')
      break
    default:
      unreachable(message, 'message')
  }
}

function follow(core: Core, message: Extract<Message, { kind: 'append' | 'heartbeat' | 'snapshot' }>): void {
  // Two leaders in one term cannot be; a leader that hears from itself was spoken to by a forger.
  if (core.role === 'leader') return
  if (core.role === 'follower') heardFromLeader(core, message.from)
  else becomeFollower(core, message.term, message.from)
  if (message.kind === 'append') handleAppend(core, message)
  else if (message.kind === 'heartbeat') handleHeartbeat(core, message)
  else handleSnapshot(core, message)
}

function lead(core: Core, message: Extract<Message, { kind: 'append-response' | 'heartbeat-response' }>): void {
  const progress = core.tracker.progress.get(message.from)
  if (core.role !== 'leader' || progress === undefined) return
  if (message.kind === 'append-response') handleAppendResponse(core, message, progress)
  else handleHeartbeatResponse(core, message, progress)
}

function isVoteRequest(message: Message): message is Extract<Message, { kind: 'pre-vote' | 'vote' }> {
  return message.kind === 'pre-vote' || message.kind === 'vote'
}

function isOfElection(
  message: Message,
): message is Extract<Message, { kind: 'pre-vote' | 'vote' | 'pre-vote-response' | 'vote-response' }> {
  return isVoteRequest(message) || message.kind === 'pre-vote-response' || message.kind === 'vote-response'
}

function isFromLeader({ kind }: Message): boolean {
  return kind === 'append' || kind === 'heartbeat' || kind === 'snapshot'
}
