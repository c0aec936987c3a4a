// The words of our Raft: entries, configurations, messages, and what the core hands out to be done.
import { type Holding } from './holdings.ts'

/** A Raft member: random per data directory, never reused, a positive safe integer. 0 stands for "nobody". */
export type NodeId = number

export const NOBODY: NodeId = 0

/** `config` entries carry an encoded ConfChange; what a person proposed travels in its `context`. */
export type EntryKind = 'normal' | 'config'

export interface Entry {
  readonly index: number
  readonly term: number
  readonly kind: EntryKind
  readonly data: Uint8Array
}

/** What must survive a crash beside the log (Raft paper, figure 2, plus the commit index as a hint). */
export interface HardState {
  readonly term: number
  readonly vote: NodeId
  readonly commit: number
}

/** A configuration, simple (`outgoing` empty) or joint (paper, section 6; learners as in section 4.2.1 of the thesis). */
export interface ConfState {
  readonly voters: readonly NodeId[]
  readonly outgoing: readonly NodeId[]
  readonly learners: readonly NodeId[]
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[]
  readonly autoLeave: boolean
}

export interface ConfChangeStep {
  readonly kind: 'add-voter' | 'add-learner' | 'remove' | 'update'
  readonly node: NodeId
}

/** `auto`: joint only when needed, left by itself; `implicit`: always joint, left by itself; `explicit`: left by an empty change. */
export interface ConfChange {
  readonly transition: 'auto' | 'implicit' | 'explicit'
  readonly changes: readonly ConfChangeStep[]
  readonly context: Uint8Array
}

export interface SnapshotMeta {
  readonly index: number
  readonly term: number
  readonly conf: ConfState
}

export interface Snapshot extends SnapshotMeta {
  readonly data: Uint8Array
}

interface Envelope {
  readonly from: NodeId
  readonly to: NodeId
  /** 0 in local messages only. */
  readonly term: number
}

/**
 * Messages between members. `commit`, `index`, `logTerm` as in figure 2 of the paper; `hint…` as in etcd (conflict by term). `held`: up to
 * where the sender knows the receiver's log to reach; 0 when it knows nothing. A receiver whose log ends before has lost entries that it had
 * acknowledged, and stops.
 */
export type Message = Envelope &
  (
    | {
        readonly kind: 'pre-vote' | 'vote'
        readonly index: number
        readonly logTerm: number
        readonly force: boolean
        readonly held: number
      }
    | { readonly kind: 'pre-vote-response' | 'vote-response'; readonly reject: boolean; readonly held: number }
    | {
        readonly kind: 'append'
        readonly index: number
        readonly logTerm: number
        readonly entries: readonly Entry[]
        readonly commit: number
      }
    | {
        readonly kind: 'append-response'
        readonly index: number
        readonly reject: boolean
        readonly hintIndex: number
        readonly hintTerm: number
      }
    | {
        readonly kind: 'heartbeat'
        readonly commit: number
        readonly readContext: number
        readonly held: number
        /** Of the voters; empty in heartbeats that only serve reads. */
        readonly holdings: readonly Holding[]
      }
    | { readonly kind: 'heartbeat-response'; readonly readContext: number }
    | { readonly kind: 'snapshot'; readonly snapshot: Snapshot }
    | { readonly kind: 'propose'; readonly entries: readonly Pick<Entry, 'kind' | 'data'>[] }
    | { readonly kind: 'read-index'; readonly requestId: number }
    | { readonly kind: 'read-index-response'; readonly requestId: number; readonly index: number }
    | { readonly kind: 'transfer-leader'; readonly target: NodeId }
    | { readonly kind: 'timeout-now' }
  )

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader'

/** A ReadIndex request that was confirmed: serve it once `index` is applied. */
export interface ReadState {
  readonly requestId: number
  readonly index: number
}

/**
 * Work the core hands out. Order of obligations: send `messages` at once (a leader's appends may leave before its own sync ends); save
 * `snapshot`, `entries` and `hardState` durably (synced when `mustSync`); only then send `messagesAfterSync`; apply `committed`; then call
 * `advance`. One Ready is in flight at a time.
 */
export interface Ready {
  readonly hardState: HardState | undefined
  readonly entries: readonly Entry[]
  readonly snapshot: Snapshot | undefined
  readonly messages: readonly Message[]
  readonly messagesAfterSync: readonly Message[]
  readonly committed: readonly Entry[]
  readonly readStates: readonly ReadState[]
  readonly mustSync: boolean
}

/** What a member's log holds when it is opened. `snapshot` is the point the log starts after; index 0 for a new member. */
export interface StoredLog {
  readonly hardState: HardState
  readonly snapshot: SnapshotMeta
  /** Contiguous, the first is `snapshot.index + 1`. */
  readonly entries: readonly Entry[]
}

/** One durable group. Entries overwrite what stood at their index and cut everything behind the last of them. */
export interface LogBatch {
  readonly entries: readonly Entry[]
  readonly hardState: HardState | undefined
  /** Set when a received snapshot replaces the whole log. */
  readonly snapshot: SnapshotMeta | undefined
  readonly sync: boolean
}

/** A member's durable log. Any error is fatal for the member: it stops voting and acknowledging. */
export interface LogStore {
  /** Checks what it finds (contiguity, checksums, commit <= last); throws OperationError `failed` with data.kind `damaged` otherwise. */
  load(): Promise<StoredLog>
  /** Resolves when the group is durable (if `sync`). At most one call is under way. */
  write(batch: LogBatch): Promise<void>
  /**
   * Drops entries up to and with `meta.index`; the log starts after it from now on. Only up to what the state store holds durably. It may
   * overlap one `write`, unless that brings a snapshot.
   */
  compact(meta: SnapshotMeta): Promise<void>
  close(): Promise<void>
}

/** A change of the applied state: `value` undefined deletes the key. */
export interface StateChange {
  readonly key: string
  readonly value: Uint8Array | undefined
}

export interface StoredState {
  readonly meta: SnapshotMeta
  readonly values: ReadonlyMap<string, Uint8Array>
}

export interface LoadedState extends StoredState {
  /** Nothing was written since the last `replace`: the log may not know of it yet (a crash between the two), which is mended at start. */
  readonly replaced: boolean
}

/** The applied state, in a store of its own; `meta.index` (applied) is in the same batch as what it describes. One call at a time. */
export interface StateStore {
  load(): Promise<LoadedState>
  /** With `sync`, this and everything written before is durable; without, a crash loses this or more, back to some earlier write. */
  write(meta: SnapshotMeta, changes: readonly StateChange[], options: { readonly sync: boolean }): Promise<void>
  /** Replaces everything (a received snapshot, or a restore), in one synced batch. */
  replace(state: StoredState): Promise<void>
  close(): Promise<void>
}

/** What an applied entry gave: `result` goes to the proposer; `accept` false turns a configuration change into no change. */
export interface Applied {
  readonly result: unknown
  readonly accept: boolean
  readonly changes: readonly StateChange[]
}

/**
 * The replicated state machine. All calls are synchronous and deterministic: the same entries give the same state on every member. A throw
 * is fatal for the member (an unknown command is never skipped).
 */
export interface StateMachine {
  /** `data` is a normal entry's data or a configuration change's context; empty data (a new leader's entry) never comes here. */
  apply(entry: { readonly index: number; readonly term: number; readonly kind: EntryKind; readonly data: Uint8Array }): Applied
  /** From the stored values at start. */
  load(state: StoredState): void
  snapshot(): Uint8Array
  /** From a received snapshot; returns the values to store. */
  restore(snapshot: Snapshot): ReadonlyMap<string, Uint8Array>
}

export interface ReplicaStatus {
  readonly id: NodeId
  readonly role: Role
  readonly term: number
  /** NOBODY when unknown. */
  readonly leader: NodeId
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly lastIndex: number
  readonly firstIndex: number
  readonly conf: ConfState
  /**
   * On the leader: what it knows of each member; empty elsewhere. `recentActive`: heard of since the last quorum check, so false for everybody
   * right after one; `active`: heard of within the last one to two election time-outs.
   */
  readonly progress: ReadonlyMap<
    NodeId,
    {
      readonly match: number
      readonly recentActive: boolean
      readonly active: boolean
      readonly state: 'probe' | 'replicate' | 'snapshot'
    }
  >
}

/** How a Replica reaches its peers. Delivery may fail, repeat or reorder; nothing is promised. */
export interface Transport {
  /** Queues for sending; drops when the link is down or full. */
  send(messages: readonly Message[]): void
}
