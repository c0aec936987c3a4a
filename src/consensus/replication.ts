// A leader's sending side: its own appends, appends, snapshots and heartbeats to the others, and what of it is committed (section 5.3, 5.4).
import { assert, present } from '../base/assert.ts'
import { committedOwnTerm, type Core, send } from './core.ts'
import { type Holding } from './holdings.ts'
import { type Progress } from './progress.ts'
import { payloadBytes } from './raft-log.ts'
import { type Entry, type NodeId } from './types.ts'

/** Appends to the leader's own log. False if that would make too much uncommitted; an empty entry always fits. */
export function appendEntry(core: Core, proposal: Pick<Entry, 'kind' | 'data'>): boolean {
  const bytes = proposal.data.length
  if (core.uncommittedBytes > 0 && bytes > 0 && core.uncommittedBytes + bytes > core.config.maxUncommittedBytes) return false
  core.uncommittedBytes += bytes
  const index = core.log.lastIndex + 1
  core.log.append([{ index, term: core.term, kind: proposal.kind, data: proposal.data }])
  acknowledgeToItself(core, index)
  return true
}

/** The leader counts towards the quorum only when its own disk has the entry: so it gets its answer after the sync, one for all of a Ready. */
function acknowledgeToItself(core: Core, index: number): void {
  const last = core.messagesAfterSync.at(-1)
  if (last?.kind === 'append-response' && last.to === core.id) core.messagesAfterSync.pop()
  send(core, core.id, { kind: 'append-response', index, reject: false, hintIndex: 0, hintTerm: 0 })
}

/** What was applied is no longer uncommitted. An estimate: what a former leader left behind was never counted. */
export function reduceUncommitted(core: Core, applied: readonly Entry[]): void {
  core.uncommittedBytes = Math.max(0, core.uncommittedBytes - payloadBytes(applied))
}

/** True if the commit index rose. Only an entry of the own term commits by counting, older ones with it (section 5.4.2, figure 8). */
export function maybeCommit(core: Core): boolean {
  const index = core.tracker.committed()
  if (index <= core.log.committed || !core.log.matchTerm(index, core.term)) return false
  core.log.commitTo(index)
  return true
}

/** An append to everyone, also an empty one, as it carries the commit index. */
export function bcastAppend(core: Core): void {
  if (core.config.thrifty) core.appendsDue = true
  else sendAppends(core)
}

export function sendAppends(core: Core): void {
  core.appendsDue = false
  for (const [id, progress] of core.tracker.progress) {
    // Batched, others may have sent everything since it became due.
    const evenIfEmpty = !core.config.thrifty || progress.canBumpCommit(core.log.committed)
    if (id !== core.id) maybeSendAppend(core, id, { evenIfEmpty })
  }
}

export interface HeartbeatRound {
  readonly holdings?: readonly Holding[]
  /** Undefined: everyone. */
  readonly asked?: ReadonlySet<NodeId> | undefined
}

/** They carry the round of reads that they confirm, and what each is known to hold. */
export function sendHeartbeats(core: Core, { holdings = [], asked }: HeartbeatRound): void {
  const readContext = committedOwnTerm(core) ? core.reads.begin(core.log.committed) : 0
  for (const [id, progress] of core.tracker.progress) {
    if (id === core.id || asked?.has(id) === false) continue
    // Never beyond what the follower is known to hold: its log may differ behind that.
    const commit = Math.min(progress.match, core.log.committed)
    // In this very term what it acknowledged cannot have been overwritten: `match` counts in full.
    const held = Math.max(progress.match, core.holdings.of(id))
    send(core, id, { kind: 'heartbeat', commit, readContext, held, holdings })
    progress.sentCommit(commit)
  }
}

/** What every member acknowledged and is committed: no later leader can overwrite it. */
export function takeHoldings(core: Core): readonly Holding[] {
  core.holdings.keepOnly((node) => core.tracker.progress.has(node))
  for (const [node, { match }] of core.tracker.progress) core.holdings.raise({ node, index: Math.min(match, core.log.committed) })
  return core.holdings.ofVoters(core.tracker.conf)
}

/** One append, also an empty one; a snapshot if the entries needed are gone. False if nothing may be sent now. */
export function sendAppend(core: Core, to: NodeId): boolean {
  return maybeSendAppend(core, to, { evenIfEmpty: true })
}

export function maybeSendAppend(core: Core, to: NodeId, { evenIfEmpty }: { readonly evenIfEmpty: boolean }): boolean {
  const progress = present(core.tracker.progress.get(to), `progress of ${to}`)
  if (progress.isPaused) return false
  const index = progress.next - 1
  const logTerm = core.log.term(index)
  if (logTerm === undefined) return maybeSendSnapshot(core, to, progress)
  // With a full window only empty appends go: if all that was under way is lost, their rejection is what gets things going again.
  const throttled = progress.state === 'replicate' && progress.inflights.full
  const entries = throttled ? [] : core.log.entriesFrom(progress.next, core.config.maxMessageBytes)
  if (entries.length === 0 && !evenIfEmpty) return false
  send(core, to, { kind: 'append', index, logTerm, entries, commit: core.log.committed })
  progress.sentEntries(entries.length, payloadBytes(entries))
  progress.sentCommit(core.log.committed)
  return true
}

/** Everything that may go to `to` now, in as many messages as it takes. */
export function sendAllAppends(core: Core, to: NodeId): void {
  let sent = true
  while (sent) sent = maybeSendAppend(core, to, { evenIfEmpty: false })
}

function maybeSendSnapshot(core: Core, to: NodeId, progress: Progress): boolean {
  if (!progress.recentActive) return false
  const snapshot = core.config.snapshot(to)
  if (snapshot === undefined) return false
  assert(snapshot.index >= core.log.firstIndex - 1, `raft: the snapshot at ${snapshot.index} leaves a gap to ${core.log.firstIndex}`)
  progress.becomeSnapshot(snapshot.index)
  send(core, to, { kind: 'snapshot', snapshot })
  return true
}
