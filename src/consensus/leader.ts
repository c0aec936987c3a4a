// A leader's receiving side: what the answers of the others, and reports about them, say about their logs.
import { type Core, send } from './core.ts'
import { type Progress } from './progress.ts'
import { releaseReads } from './reads.ts'
import { bcastAppend, maybeCommit, sendAllAppends, sendAppend } from './replication.ts'
import { type Message, type NodeId } from './types.ts'

type AppendResponse = Extract<Message, { kind: 'append-response' }>

/** Also the leader's own acknowledgement, after its sync, comes this way. */
export function handleAppendResponse(core: Core, message: AppendResponse, progress: Progress): void {
  progress.recentActive = true
  if (message.reject) handleRejection(core, message, progress)
  else if (progress.maybeUpdate(message.index) || (progress.match === message.index && progress.state === 'probe')) {
    // The second case: a probe that found the follower where it was known to be. It may be sent to at full speed again.
    handleAcceptance(core, message, progress)
  }
}

export function handleHeartbeatResponse(core: Core, message: Extract<Message, { kind: 'heartbeat-response' }>, progress: Progress): void {
  progress.recentActive = true
  progress.paused = false
  // Also with a full window, and also when it is only in doubt whether it is behind: if what was sent is lost, the answer to this one tells.
  if (progress.match < core.log.lastIndex || progress.state === 'probe') sendAppend(core, message.from)
  if (message.readContext === 0) return
  core.reads.answered(message.from, message.readContext)
  releaseReads(core)
}

/** In `replicate` it is likely that a message was lost. */
export function reportUnreachable(core: Core, id: NodeId): void {
  const progress = core.role === 'leader' ? core.tracker.progress.get(id) : undefined
  if (progress?.state === 'replicate') progress.becomeProbe()
}

/** After a success the follower's answer is awaited before more is sent, after a failure one heartbeat. */
export function reportSnapshot(core: Core, id: NodeId, ok: boolean): void {
  const progress = core.role === 'leader' ? core.tracker.progress.get(id) : undefined
  if (progress?.state !== 'snapshot') return
  if (!ok) progress.pendingSnapshot = 0
  progress.becomeProbe()
  progress.paused = true
}

function handleRejection(core: Core, message: AppendResponse, progress: Progress): void {
  // The follower has `hintTerm` at `hintIndex`, and terms never fall along a log: where ours has a later term they cannot match. So there
  // is at most one probe for each term in the leader's log, not one for each entry (end of section 5.3).
  const probe = message.hintTerm > 0 ? core.log.findConflictByTerm(message.hintIndex, message.hintTerm).index : message.hintIndex
  if (!progress.maybeDecreaseTo(message.index, probe)) return
  if (progress.state === 'replicate') progress.becomeProbe()
  sendAppend(core, message.from)
}

function handleAcceptance(core: Core, message: AppendResponse, progress: Progress): void {
  leaveStateOf(core, message, progress)
  const own = message.from === core.id
  if (maybeCommit(core)) bcastAppend(core)
  // Without this it would learn the commit index with the next heartbeat only.
  else if (!own && progress.canBumpCommit(core.log.committed)) sendAppend(core, message.from)
  if (own) return
  sendAllAppends(core, message.from)
  if (message.from === core.transferTarget && progress.match === core.log.lastIndex) send(core, message.from, { kind: 'timeout-now' })
}

function leaveStateOf(core: Core, message: AppendResponse, progress: Progress): void {
  switch (progress.state) {
    case 'probe':
      progress.becomeReplicate()
      break
    case 'snapshot':
      // Whatever snapshot it applied, from wherever: the log reaches back to it.
      if (progress.match + 1 < core.log.firstIndex) break
      progress.becomeProbe()
      progress.becomeReplicate()
      break
    case 'replicate':
      progress.inflights.freeUpTo(message.index)
      break
  }
}
