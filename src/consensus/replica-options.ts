// What a replica is given: its parts, and the limits of all its queues with their reasons.
import { type Clock } from '../base/clock.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { type DEFAULTS } from './raft-config.ts'
import { type LogStore, type NodeId, type StateMachine, type StateStore, type Transport } from './types.ts'

export interface ReplicaOptions {
  readonly id: NodeId
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Both stores belong to the replica from now on: `stop` closes them. */
  readonly logStore: LogStore
  readonly stateStore: StateStore
  readonly machine: StateMachine
  readonly transport: Transport
  readonly tickMs: number
  /** Called once, when a store, the machine or the core failed: the member takes no part any more. Stop it and start anew, or end the process. */
  readonly onFatal: (error: unknown) => void
  readonly limits?: Partial<ReplicaLimits>
  /** Differences from the product's defaults (raft-config.ts). */
  readonly raft?: Partial<typeof DEFAULTS>
}

export interface ReplicaLimits {
  /** Messages received and not yet taken by the core; more are dropped, as a network may. */
  readonly inboxMessages: number
  /** Of these, messages that carry entries or a snapshot. */
  readonly inboxBulky: number
  /** Entries received that are taken, and stored as one group, at a time. */
  readonly entriesAtOnce: number
  /** Proposals, and reads, that wait at a time; more are refused. */
  readonly waiting: number
  /** Bytes of proposals that a write of the log holds up; more are refused. What is in the log and not committed is limited in raft-config.ts. */
  readonly queuedBytes: number
  /** Bytes of one proposal. */
  readonly proposalBytes: number
  /** The log is cut when more than this many applied entries are in it ... */
  readonly compactAbove: number
  /** ... to this many. */
  readonly keepEntries: number
  /** For a follower that gets a snapshot the log is kept from there on, but never more than this many entries. */
  readonly pinnedEntries: number
  /** A chunk of a snapshot ends with the pair that makes it this long. */
  readonly snapshotChunkBytes: number
  /** Snapshots on their way, or held for a follower whose stream broke. */
  readonly snapshotsAtATime: number
}

export const LIMITS: ReplicaLimits = {
  // 64 followers with some dozens of answers each between two syncs.
  inboxMessages: 4096,
  // One leader's window of append messages (maxInflightMessages).
  inboxBulky: 256,
  // 10 to 20 ms of work: a member that catches up must not be held up by all that was under way to it (8 MiB).
  entriesAtOnce: 2000,
  // 40 times the 256 clients that saturate a mesh.
  waiting: 10_000,
  // A disk that stands still for seconds: as much as may be uncommitted.
  queuedBytes: 64 * 1024 * 1024,
  proposalBytes: 1024 * 1024,
  // A member that was away for a while catches up from the log; beyond the tail a snapshot is shorter than the log.
  compactAbove: 20_000,
  keepEntries: 10_000,
  // 20 s at 10,000 writes a second, 100 MB of memory at 256 bytes each: a follower that is slower than that is not to be helped.
  pinnedEntries: 200_000,
  // What a heartbeat may have to wait behind on a link of 1 Gbit/s: 2 ms.
  snapshotChunkBytes: 256 * 1024,
  // Each reads the whole state and holds files of LevelDB on disk; more at a time are slower for each.
  snapshotsAtATime: 2,
}

/** An unanswered read is asked again after so many ticks (250 ms): well above a round trip, well below any caller's patience. */
export const READ_RETRY_TICKS = 5
