// The way of a ReadIndex request: from any member to the leader, through a round of heartbeats, and back.
import { committedOwnTerm, type Core, send } from './core.ts'
import { type ReadRequest } from './read-index.ts'
import { type HeartbeatRound, sendHeartbeats } from './replication.ts'
import { NOBODY } from './types.ts'

/** A request of this member or of another. Dropped without a leader. */
export function requestRead(core: Core, request: ReadRequest): void {
  if (core.role === 'leader') core.reads.add(request)
  else if (core.leader !== NOBODY && request.from === core.id) {
    // Whoever leads may answer, whatever its term: term 0.
    send(core, core.leader, { kind: 'read-index', requestId: request.requestId }, 0)
  }
}

/**
 * Reads that came since the last round can begin one, when that is answered: under load they come faster than answers, and each round costs
 * two messages a follower. Before an entry of the own term is committed they wait.
 */
export function readsDue(core: Core): boolean {
  return core.role === 'leader' && core.reads.hasNext && !core.reads.hasWaiting && committedOwnTerm(core)
}

/** Begins one round for all reads collected since the last Ready. Who is asked may be gone by now: then the next tick asks everyone. */
export function beginReads(core: Core): void {
  if (readsDue(core)) beginRound(core, { asked: core.config.thrifty ? core.reads.whomToAsk(core.tracker.conf, core.id) : undefined })
}

/** Heartbeats to everyone, or only to those `asked`. They take along the reads that wait, also where it is just time for them. */
export function beginRound(core: Core, round: HeartbeatRound): void {
  sendHeartbeats(core, round)
  // A sole voter is its own quorum, and nobody's answer would release them.
  releaseReads(core)
}

/** Answers the reads whose rounds are confirmed. */
export function releaseReads(core: Core): void {
  for (const { from, requestId, index } of core.reads.takeConfirmed(core.tracker.conf, core.id)) {
    if (from === core.id) core.readStates.push({ requestId, index })
    else send(core, from, { kind: 'read-index-response', requestId, index })
  }
}
