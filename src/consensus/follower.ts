// A follower's receiving side: appends, heartbeats and snapshots of the leader of its term (section 5.3, 7).
import { type Core, send } from './core.ts'
import { members } from './config-change.ts'
import { type Message, type NodeId, type SnapshotMeta } from './types.ts'

/** Any word of the leader puts the next election off. */
export function heardFromLeader(core: Core, leader: NodeId): void {
  core.electionElapsed = 0
  core.leader = leader
}

export function handleAppend(core: Core, message: Extract<Message, { kind: 'append' }>): void {
  const { log } = core
  if (!isContiguous(message)) return
  if (message.index < log.committed) {
    acknowledge(core, message.from, log.committed)
    return
  }
  const last = log.maybeAppend(message.index, message.logTerm, message.entries)
  if (last !== undefined) {
    // Not beyond what this message proved to match: behind it may stand a former leader's entries (figure 2, AppendEntries 5).
    log.commitTo(Math.min(message.commit, last))
    acknowledge(core, message.from, last)
    return
  }
  // No log that holds `logTerm` at `index` can match ours where ours has a later term: skip those in one step.
  const hint = log.findConflictByTerm(Math.min(message.index, log.lastIndex), message.logTerm)
  send(core, message.from, {
    kind: 'append-response',
    index: message.index,
    reject: true,
    hintIndex: hint.index,
    hintTerm: hint.term,
  })
}

export function handleHeartbeat(core: Core, message: Extract<Message, { kind: 'heartbeat' }>): void {
  core.log.assertHolds(message.held)
  for (const holding of message.holdings) core.holdings.raise(holding)
  core.log.commitTo(message.commit)
  send(core, message.from, { kind: 'heartbeat-response', readContext: message.readContext })
}

export function handleSnapshot(core: Core, message: Extract<Message, { kind: 'snapshot' }>): void {
  const restored = restore(core, message.snapshot)
  acknowledge(core, message.from, restored ? core.log.lastIndex : core.log.committed)
}

/** True if the snapshot took the place of log and configuration. The state follows when the driver applies it. */
function restore(core: Core, snapshot: SnapshotMeta): boolean {
  if (snapshot.index <= core.log.committed) return false
  if (!members(snapshot.conf).includes(core.id)) return false
  if (core.log.matchTerm(snapshot.index, snapshot.term)) {
    // The log holds it all; to throw away the entries behind it, which were acknowledged, would be wrong.
    core.log.commitTo(snapshot.index)
    return false
  }
  core.log.restore(snapshot)
  core.tracker.switchTo(snapshot.conf, core.log.lastIndex)
  core.tracker.reset(core.id, core.log.lastIndex)
  return true
}

function acknowledge(core: Core, to: NodeId, index: number): void {
  send(core, to, { kind: 'append-response', index, reject: false, hintIndex: 0, hintTerm: 0 })
}

/** A message that its sender could not have built is not worth an answer. */
function isContiguous({ index, entries }: Extract<Message, { kind: 'append' }>): boolean {
  return entries.every((entry, offset) => entry.index === index + 1 + offset)
}
