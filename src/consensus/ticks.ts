// What passing time does: elections on followers and candidates, heartbeats and quorum checks on a leader.
import { type Core } from './core.ts'
import { hup, promotable } from './election.ts'
import { maybeAutoLeave } from './propose.ts'
import { beginRound } from './reads.ts'
import { takeHoldings } from './replication.ts'
import { becomeFollower } from './roles.ts'
import { NOBODY } from './types.ts'

export function tick(core: Core): void {
  if (core.role === 'leader') tickHeartbeat(core)
  else tickElection(core)
}

function tickElection(core: Core): void {
  core.electionElapsed += 1
  if (!promotable(core) || core.electionElapsed < core.randomizedElectionTicks) return
  core.electionElapsed = 0
  hup(core, core.config.preVote ? 'pre-election' : 'election')
}

function tickHeartbeat(core: Core): void {
  core.heartbeatElapsed += 1
  core.electionElapsed += 1
  if (core.electionElapsed >= core.config.electionTicks) {
    core.electionElapsed = 0
    // A leader that no quorum has answered for a whole time-out may have been replaced; it must not go on as if it led (thesis, section 6.2).
    if (core.config.checkQuorum && !core.tracker.checkQuorum(core.id)) {
      becomeFollower(core, core.term, NOBODY)
      return
    }
    // Who has not taken over by now will not: proposals are accepted again.
    core.transferTarget = NOBODY
    // A joint configuration that was applied during that transfer waited for its end.
    maybeAutoLeave(core)
  }
  if (core.heartbeatElapsed < core.config.heartbeatTicks) return
  core.heartbeatElapsed = 0
  beginRound(core, { holdings: takeHoldings(core) })
}
