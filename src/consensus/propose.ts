// Proposals: data, and changes of the configuration with the checks that refuse them.
import { changeConf, isJoint, leavesJoint } from './config-change.ts'
import { decodeConfChange, encodeConfChange } from './conf-codec.ts'
import { type Core, send } from './core.ts'
import { appendEntry, bcastAppend } from './replication.ts'
import { type ConfChange, type Entry, type Message, NOBODY, type NodeId } from './types.ts'

/** Why a proposal was not taken. `not-leader`: another member leads, ask it. The last four concern configuration changes only. */
export type DropReason =
  | 'no-leader'
  | 'not-leader'
  | 'not-a-member'
  | 'transferring'
  | 'too-much-uncommitted'
  | 'pending-change'
  | 'in-joint'
  | 'not-joint'
  | 'invalid-change'

export type ProposeResult =
  | { readonly kind: 'accepted'; readonly index: number; readonly term: number }
  | { readonly kind: 'forwarded'; readonly to: NodeId }
  | { readonly kind: 'dropped'; readonly why: DropReason }

type Proposal = Pick<Entry, 'kind' | 'data'>

export function propose(core: Core, data: Uint8Array): ProposeResult {
  const proposal: Proposal = { kind: 'normal', data }
  return elsewhere(core, proposal) ?? append(core, proposal)
}

/** A refused change leaves nothing in the log. */
export function proposeConfChange(core: Core, change: ConfChange): ProposeResult {
  const proposal: Proposal = { kind: 'config', data: encodeConfChange(change) }
  const away = elsewhere(core, proposal)
  if (away !== undefined) return away
  const refused = core.config.validateConfChanges ? refusal(core, change) : undefined
  return refused === undefined ? append(core, proposal) : { kind: 'dropped', why: refused }
}

/** Proposals that a follower passed on. Nobody waits for an answer, so a refused change leaves an empty entry, as in etcd. */
export function handlePropose(core: Core, message: Extract<Message, { kind: 'propose' }>): void {
  for (const proposal of message.entries) {
    const result = proposal.kind === 'config' ? proposeConfChange(core, decodeConfChange(proposal.data)) : propose(core, proposal.data)
    const refused = result.kind === 'dropped' && ['pending-change', 'in-joint', 'not-joint', 'invalid-change'].includes(result.why)
    if (refused) propose(core, new Uint8Array(0))
  }
}

/** Leaves a joint configuration by itself, once nothing else is pending. During a transfer it waits: who leads after it, or goes on leading, does it. */
export function maybeAutoLeave(core: Core): void {
  const { conf } = core.tracker
  if (core.role !== 'leader' || !conf.autoLeave || core.log.applied < core.pendingConfIndex) return
  proposeConfChange(core, { transition: 'auto', changes: [], context: new Uint8Array(0) })
}

/** What becomes of a proposal that cannot be appended here. */
function elsewhere(core: Core, proposal: Proposal): ProposeResult | undefined {
  if (core.role !== 'leader') {
    if (core.leader === NOBODY) return { kind: 'dropped', why: 'no-leader' }
    if (!core.config.forwardProposals) return { kind: 'dropped', why: 'not-leader' }
    send(core, core.leader, { kind: 'propose', entries: [proposal] }, 0)
    return { kind: 'forwarded', to: core.leader }
  }
  // Removed while leading: what it commits for others it may, but it starts nothing new.
  if (!core.tracker.progress.has(core.id)) return { kind: 'dropped', why: 'not-a-member' }
  if (core.transferTarget !== NOBODY) return { kind: 'dropped', why: 'transferring' }
  return undefined
}

function append(core: Core, proposal: Proposal): ProposeResult {
  if (!appendEntry(core, proposal)) return { kind: 'dropped', why: 'too-much-uncommitted' }
  const index = core.log.lastIndex
  if (proposal.kind === 'config') core.pendingConfIndex = index
  bcastAppend(core)
  return { kind: 'accepted', index, term: core.term }
}

/**
 * The configuration in force is that of the applied entries, and only one change is in the log beyond it: so what is checked here is what
 * the change will meet when it is applied.
 */
function refusal(core: Core, change: ConfChange): DropReason | undefined {
  const { conf } = core.tracker
  if (core.pendingConfIndex > core.log.applied) return 'pending-change'
  if (isJoint(conf) && !leavesJoint(change)) return 'in-joint'
  if (!isJoint(conf) && leavesJoint(change)) return 'not-joint'
  return changeConf(conf, change).kind === 'changed' ? undefined : 'invalid-change'
}
