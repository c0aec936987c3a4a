// The port to the agreed state: read, propose, hear of changes. The daemon plugs Raft behind it; tests a fake of one file.
import { type HostId } from '../base/ids.ts'
import { type RequestKey } from '../base/ids.ts'
import { type AdminCommand, type HostCommand, type LeaderCommand, type MemberCommand } from './command.ts'
import { type Inventory } from './inventory.ts'
import { type CommandResult } from './model.ts'

export type RaftRole = 'leader' | 'voter' | 'learner' | 'witness'

export interface ClusterStatus {
  readonly term: number
  readonly leader: HostId | null
  readonly leading: boolean
  readonly commitIndex: number
  readonly appliedIndex: number
  /** `lost`: no leader is known, or this one cannot reach a quorum. */
  readonly quorum: 'ok' | 'lost'
  /** Milliseconds since the leader was last heard; null while quorum is ok. */
  readonly staleMs: number | null
  readonly members: readonly MemberStatus[]
}

export interface MemberStatus {
  readonly host: HostId
  readonly role: RaftRole
  /** Known on the leader only. */
  readonly matchIndex: number | null
  readonly active: boolean | null
}

export interface ProposeOptions {
  readonly signal: AbortSignal
  readonly actor: string
  readonly reason?: string | null
  readonly requestKey?: RequestKey | null
}

/** A change that this host applied. `index` is the Raft index after it. */
export interface Change {
  readonly index: number
  readonly before: Inventory
  readonly after: Inventory
}

/**
 * Errors of all proposing calls: OperationError `no-quorum` (nobody leads: surely not done), `timeout` (outcome unknown: ask again with the
 * same request key), `unreachable`. A command that was committed but refused is a CommandResult, not an error.
 */
export interface Cluster {
  /** What this host has applied; may be behind. */
  view(): Inventory
  status(): ClusterStatus
  /** What was committed when the call began, or later (ReadIndex). Rejects with `no-quorum` or `timeout`. */
  read(signal: AbortSignal): Promise<Inventory>
  /** Travels to the leader by itself, is tried again while the outcome is sure or the request key makes it safe; resolves once applied here. */
  propose(command: AdminCommand | HostCommand, options: ProposeOptions): Promise<CommandResult>
  /** Controllers only: proposes here and in `leaderTerm`, or not at all (`stale`). */
  proposeAsLeader(command: LeaderCommand | MemberCommand, signal: AbortSignal): Promise<CommandResult>
  onChange(listener: (change: Change) => void): () => void
  /** Leadership won (`term`, own entry applied) or lost (null): controllers start and stop by it. */
  onLeading(listener: (term: number | null) => void): () => void
}
