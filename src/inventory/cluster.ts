// The port to the agreed state: read, propose, hear of changes. The daemon plugs Raft behind it; tests a fake of one file.
import { type HostId, type MemberId, type RequestKey } from '../base/ids.ts'
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
  /** Voters whose host is no host of the mesh any more, or has another member by now. */
  readonly strangers: readonly MemberId[]
  /** A change of the voters is under way. */
  readonly changing: boolean
  /** Set once the mesh went on in another generation: this host changes and starts nothing any more. */
  readonly superseded: Superseded | null
}

export interface Superseded {
  /** Who said so. */
  readonly host: HostId
  readonly generation: number
  /** It has this host's own number: both were begun apart, and a person has to say which of them goes on. */
  readonly apart: boolean
}

export interface MemberStatus {
  readonly host: HostId
  readonly member: MemberId
  readonly role: RaftRole
  /** It is being removed, and gives up its vote first. Known on the leader only. */
  readonly leaving: boolean
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

/** A wish that another host lead. */
export interface HandOver {
  readonly to: HostId
  /** For the event log. */
  readonly why: string
  readonly actor: string
  readonly reason: string | null
  /** Checks only. */
  readonly dryRun: boolean
}

/** A change that this host applied. `index` is the Raft index after it. */
export interface Change {
  readonly index: number
  readonly before: Inventory
  readonly after: Inventory
}

/**
 * Errors of all proposing calls: OperationError `no-quorum` (nobody leads: surely not done), `timeout` (outcome unknown: ask again with the
 * same request key), `unreachable`, `refused` with reason `superseded`. A command that was committed but refused is a CommandResult, not an error.
 */
export interface Cluster {
  /** What this host has applied; may be behind. */
  view(): Inventory
  status(): ClusterStatus
  /** What was committed when the call began, or later (ReadIndex). Rejects with `no-quorum`, `timeout`, or `refused` once superseded. */
  read(signal: AbortSignal): Promise<Inventory>
  /** Travels to the leader by itself, is tried again while the outcome is sure or the request key makes it safe; resolves once applied here. */
  propose(command: AdminCommand | HostCommand, options: ProposeOptions): Promise<CommandResult>
  /** Controllers only: proposes here and in `leaderTerm`, or not at all (`stale`). */
  proposeAsLeader(command: LeaderCommand | MemberCommand, signal: AbortSignal): Promise<CommandResult>
  /**
   * Asks the leader, wherever it is, to hand over; resolves once the other leads. Rejects with `refused` and every reason (it does not vote, is
   * not heard of, lags, leads already), `timeout` (it did not take over; the message says who leads), `no-quorum`, `unreachable`.
   */
  handOver(wish: HandOver, signal: AbortSignal): Promise<void>
  /** The members with what only the leader knows of them, asked of it. Rejects with `no-quorum`, `unreachable` or `timeout`. */
  members(signal: AbortSignal): Promise<readonly MemberStatus[]>
  /** Who votes, leads or is leaving may have changed. */
  onMembers(listener: () => void): () => void
  onChange(listener: (change: Change) => void): () => void
  /** Leadership won (`term`, own entry applied) or lost (null): controllers start and stop by it. */
  onLeading(listener: (term: number | null) => void): () => void
}
