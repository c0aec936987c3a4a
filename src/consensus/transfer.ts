// Handing leadership over (thesis, section 3.10): stop proposals, complete the target's log, tell it to campaign at once.
import { type Core, send } from './core.ts'
import { sendAppend } from './replication.ts'
import { NOBODY, type NodeId } from './types.ts'

/** Asked of a leader, or passed on to it. Ignored for a target that is no voter, and while the same transfer is under way. */
export function requestTransfer(core: Core, target: NodeId): void {
  if (core.role === 'leader') startTransfer(core, target)
  else if (core.role === 'follower' && core.leader !== NOBODY) send(core, core.leader, { kind: 'transfer-leader', target })
}

function startTransfer(core: Core, target: NodeId): void {
  const progress = core.tracker.progress.get(target)
  if (progress === undefined || progress.learner || target === core.transferTarget) return
  core.transferTarget = NOBODY
  if (target === core.id) return
  // It has one election time-out from now on; see the quorum check in ticks.ts.
  core.electionElapsed = 0
  core.transferTarget = target
  if (progress.match === core.log.lastIndex) send(core, target, { kind: 'timeout-now' })
  else sendAppend(core, target)
}
