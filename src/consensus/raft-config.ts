// What a member's core is told once, with the product's defaults and the reasons for them.
import { assert } from '../base/assert.ts'
import { type ConfState, type NodeId, type SnapshotMeta } from './types.ts'

export interface RaftConfig {
  readonly id: NodeId
  /** Ticks without a leader until an election; the actual time-out is drawn from [electionTicks, 2 * electionTicks - 1]. */
  readonly electionTicks: number
  readonly heartbeatTicks: number
  /** Uniform in [0, 1); used for the election time-out and for nothing else. */
  readonly random: () => number
  /** Up to where the state store holds entries already; not handed out again. The log's snapshot index when absent. */
  readonly applied?: number
  /** The configuration as of `applied`; that of the log's snapshot when absent. */
  readonly conf?: ConfState
  /**
   * For a follower that needs entries already compacted away: the point of a snapshot that can be sent to it; undefined: not now, asked again
   * with its next answer. Whatever is offered is sent with the next Ready, and how that ended is owed as `reportSnapshot`.
   */
  readonly snapshot: (to: NodeId) => SnapshotMeta | undefined
  readonly preVote: boolean
  readonly checkQuorum: boolean
  readonly stepDownOnRemoval: boolean
  /** Per follower: append messages, and bytes of entries in them, sent and not yet acknowledged. */
  readonly maxInflightMessages: number
  readonly maxInflightBytes: number
  /** Entries in one append message; one entry always goes, whatever its size. */
  readonly maxMessageBytes: number
  /** Entries to apply in one Ready. */
  readonly maxCommittedBytes: number
  /** Data of proposals not yet committed, beyond which a leader refuses more. */
  readonly maxUncommittedBytes: number
  readonly validateConfChanges: boolean
  /**
   * True: appends leave once per Ready, so that a turn's proposals and commits share one message per follower, and a round of reads asks
   * only as many voters as it takes. False: at every occasion and everyone, as etcd does (its scenarios count messages).
   */
  readonly thrifty: boolean
  /** True: a follower passes proposals on to its leader as etcd does, without an answer. The product asks the leader by RPC instead. */
  readonly forwardProposals: boolean
}

/** What the product runs with. A tick is 50 ms by default, so an election starts after 0.5 to 0.95 s of silence. */
export const DEFAULTS: Omit<RaftConfig, 'id' | 'random' | 'applied' | 'conf' | 'snapshot'> = {
  electionTicks: 10,
  heartbeatTicks: 1,
  preVote: true,
  checkQuorum: true,
  stepDownOnRemoval: true,
  // A link of 1 Gbit/s and 64 ms holds 8 MiB; more only lengthens the queue in front of it.
  maxInflightMessages: 256,
  maxInflightBytes: 8 * 1024 * 1024,
  // A message longer than this would hold heartbeats up: 8 ms at 1 Gbit/s.
  maxMessageBytes: 1024 * 1024,
  maxCommittedBytes: 1024 * 1024,
  // What a leader may have to keep in memory, and lose with its term, when its followers are gone.
  maxUncommittedBytes: 64 * 1024 * 1024,
  validateConfChanges: true,
  thrifty: true,
  forwardProposals: false,
}

/** Throws a BugError for numbers that no run can work with. */
export function checkConfig(config: RaftConfig): void {
  assert(Number.isSafeInteger(config.id) && config.id > 0, `raft: id ${config.id} is not a positive safe integer`)
  assert(config.heartbeatTicks > 0, `raft: heartbeatTicks ${config.heartbeatTicks} is not above 0`)
  assert(config.electionTicks > config.heartbeatTicks, `raft: electionTicks ${config.electionTicks} <= heartbeatTicks`)
  assert(config.maxInflightMessages > 0, `raft: maxInflightMessages ${config.maxInflightMessages} is not above 0`)
  assert(config.maxInflightBytes >= config.maxMessageBytes, `raft: maxInflightBytes ${config.maxInflightBytes} < maxMessageBytes`)
}
