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

interface Envelope {
  readonly from: NodeId
  readonly to: NodeId
  /** 0 in local messages only. */
  readonly term: number
}

/** What candidates and voters tell each other beside their votes. `held` as in Message; the last entry that the sender knows to be committed. */
export interface Told {
  readonly held: number
  readonly commit: number
  readonly commitTerm: number
}

/**
 * Messages between members. `commit`, `index`, `logTerm` as in figure 2 of the paper; `hint…` as in etcd (conflict by term). `held`: up to
 * where the sender knows the receiver's log to reach; 0 when it knows nothing. A receiver whose log ends before has lost entries that it had
 * acknowledged, and stops.
 */
export type Message = Envelope &
  (
    | ({ readonly kind: 'pre-vote' | 'vote'; readonly index: number; readonly logTerm: number; readonly force: boolean } & Told)
    | ({ readonly kind: 'pre-vote-response' | 'vote-response'; readonly reject: boolean } & Told)
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
    /** The state itself travels on a stream of its own (snapshot-sender.ts); the core only learns of its point. */
    | { readonly kind: 'snapshot'; readonly snapshot: SnapshotMeta }
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
  readonly snapshot: SnapshotMeta | undefined
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

export interface StatePair {
  readonly key: string
  readonly value: Uint8Array
}

/** Takes one page of pairs; the giver waits until it is done with them, so it may yield in between. */
export type TakePairs = (pairs: readonly StatePair[]) => Promise<void>

export interface StoredState {
  readonly meta: SnapshotMeta
  readonly values: ReadonlyMap<string, Uint8Array>
}

/** Where the loaded state stands. */
export interface LoadedState {
  readonly meta: SnapshotMeta
  /** Nothing was written since the last replacement: the log may not know of it yet (a crash between the two), which is mended at start. */
  readonly replaced: boolean
}

/** What all pairs of a state add up to: the same for the same content, whatever its history. */
export interface StateDigest {
  readonly count: number
  /** Of all keys (as UTF-8) and values. */
  readonly bytes: number
  /** The CRC32 of all pairs, added up modulo 2^32. */
  readonly sum: number
}

/** The state as it stood at `meta`: what is written later does not show. It pins files on disk until it is closed. */
export interface StateView {
  readonly meta: SnapshotMeta
  readonly digest: StateDigest
  /** All pairs in the order of their keys' UTF-8 bytes, those behind `after` only, in pages that end once they hold `bytes` or more. */
  pages(options: { readonly bytes: number; readonly after?: string | undefined }): AsyncIterable<readonly StatePair[]>
  close(): Promise<void>
}

/** A state on its way here. `id` is that of one view of one leader: the same id means the same content. */
export interface SnapshotOffer {
  readonly id: number
  readonly meta: SnapshotMeta
  readonly digest: StateDigest
}

/** A state that arrives, on disk beside the live one. It survives a crash, but may lose its end in one. */
export interface StateStaging {
  /** How much of it is here, and its last key; undefined when nothing is. */
  readonly bytes: number
  readonly lastKey: string | undefined
  /** Keys must go up. */
  add(pairs: readonly StatePair[]): Promise<void>
  /** Gives all that is staged, read back from disk; what it adds up to is for the caller to compare. */
  read(take: TakePairs): Promise<StateDigest>
  /** After a `read`: puts it in the place of the live state, durably and in one step. No write may be under way. */
  install(): Promise<void>
  discard(): Promise<void>
}

/**
 * The applied state, in a store of its own; `meta.index` (applied) is in the same batch as what it describes. `write` and `replace`: one call at
 * a time; a view may be read, and a state staged, meanwhile.
 */
export interface StateStore {
  /** Comes first. Gives every pair in the order of a view; they count only once it resolves, as damage may be found at the end. */
  load(take: TakePairs): Promise<LoadedState>
  /** With `sync`, this and everything written before is durable; without, a crash loses this or more, back to some earlier write. */
  write(meta: SnapshotMeta, changes: readonly StateChange[], options: { readonly sync: boolean }): Promise<void>
  /** Replaces everything (the first state of a group), in one synced batch. */
  replace(state: StoredState): Promise<void>
  view(): Promise<StateView>
  /** Goes on with what is staged under the same id, also by a former life; whatever else is staged is thrown away. One at a time. */
  stage(offer: SnapshotOffer): Promise<StateStaging>
  close(): Promise<void>
}

/** What an applied entry gave: `result` goes to the proposer; `accept` false turns a configuration change into no change. */
export interface Applied {
  readonly result: unknown
  readonly accept: boolean
  readonly changes: readonly StateChange[]
}

/** A state in the making, beside the present one; dropped when `finish` is never called. */
export interface StateLoader {
  /** Pairs in the order of their keys' UTF-8 bytes. Called with few at a time, so that it never holds up the event loop for long. */
  add(pairs: readonly StatePair[]): void
  /** All were added: the new state takes the place of the present one. */
  finish(meta: SnapshotMeta): void
}

/**
 * The replicated state machine. All calls are synchronous and deterministic: the same entries give the same state on every member. A throw
 * is fatal for the member (an unknown command is never skipped).
 */
export interface StateMachine {
  /** `data` is a normal entry's data or a configuration change's context; empty data (a new leader's entry) never comes here. */
  apply(entry: { readonly index: number; readonly term: number; readonly kind: EntryKind; readonly data: Uint8Array }): Applied
  /** A state from stored pairs: at start, and from a received snapshot, while entries are still applied to the present one. */
  restore(): StateLoader
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
  /** Of the entry at `lastIndex`. */
  readonly lastTerm: number
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
  /** A stream of its own to `to`, for one snapshot. Rejects when it cannot be had, or with the signal's reason. */
  openSnapshot(to: NodeId, signal: AbortSignal): Promise<SnapshotStream>
}

/** A duplex of bytes in order between two members. */
export interface SnapshotStream {
  /** Resolves when there is room for more; rejects once the stream is gone. */
  write(bytes: Uint8Array): Promise<void>
  /** Data that came before waits. */
  onData(listener: (bytes: Uint8Array) => void): void
  /** Null: the other end closed it in order. */
  onClose(listener: (cause: string | null) => void): void
  /** What was written is still sent. */
  close(): void
  abort(cause: string): void
}
