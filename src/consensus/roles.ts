// The four roles and the passages between them (figure 4 of the paper; pre-candidate: thesis, section 9.6).
import { assert, present } from '../base/assert.ts'
import { type Core, drawElectionTicks } from './core.ts'
import { appendEntry } from './replication.ts'
import { NOBODY, type NodeId } from './types.ts'

export function becomeFollower(core: Core, term: number, leader: NodeId): void {
  reset(core, term)
  core.role = 'follower'
  core.leader = leader
}

/** A pre-candidate asks whether it would win; neither its term nor its vote changes. */
export function becomePreCandidate(core: Core): void {
  assert(core.role !== 'leader', 'raft: a leader cannot become pre-candidate')
  core.tracker.resetVotes()
  core.role = 'pre-candidate'
  core.leader = NOBODY
}

export function becomeCandidate(core: Core): void {
  assert(core.role !== 'leader', 'raft: a leader cannot become candidate')
  reset(core, core.term + 1)
  core.role = 'candidate'
  core.vote = core.id
}

export function becomeLeader(core: Core): void {
  assert(core.role === 'candidate', `raft: a ${core.role} cannot become leader`)
  reset(core, core.term)
  core.role = 'leader'
  core.leader = core.id
  const own = present(core.tracker.progress.get(core.id), 'progress of the leader itself')
  own.becomeReplicate()
  own.recentActive = true
  // A configuration change may stand anywhere in the uncommitted tail; waiting until all of it is applied is cheaper than looking.
  core.pendingConfIndex = core.log.lastIndex
  const appended = appendEntry(core, { kind: 'normal', data: new Uint8Array(0) })
  assert(appended, 'raft: the empty entry of a new term was refused')
}

/** Everything that belongs to one term or role only. */
function reset(core: Core, term: number): void {
  if (core.term !== term) {
    core.term = term
    core.vote = NOBODY
  }
  core.leader = NOBODY
  core.electionElapsed = 0
  core.heartbeatElapsed = 0
  core.randomizedElectionTicks = drawElectionTicks(core.config)
  core.transferTarget = NOBODY
  core.tracker.reset(core.id, core.log.lastIndex)
  core.pendingConfIndex = 0
  core.uncommittedBytes = 0
  core.appendsDue = false
  core.reads.clear()
}
