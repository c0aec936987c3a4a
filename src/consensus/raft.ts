// One member's Raft: two verbs in (step, tick) beside the local ones, one out (ready). Deterministic; holds no timer, socket, disk or promise.
import { assert } from '../base/assert.ts'
import { committedOwnTerm, type Core, createCore } from './core.ts'
import { hup } from './election.ts'
import { reportSnapshot, reportUnreachable } from './leader.ts'
import { applyConfChange } from './membership.ts'
import { type ProposeResult, propose, proposeConfChange } from './propose.ts'
import { type RaftConfig, checkConfig } from './raft-config.ts'
import { requestRead } from './reads.ts'
import { ReadyLoop } from './ready.ts'
import { step } from './step.ts'
import { tick } from './ticks.ts'
import { requestTransfer } from './transfer.ts'
import {
  type ConfChange,
  type ConfState,
  type Message,
  NOBODY,
  type NodeId,
  type Ready,
  type ReplicaStatus,
  type SnapshotMeta,
  type StoredLog,
} from './types.ts'

export interface RaftStatus extends ReplicaStatus {
  /** Whom it voted for in `term`; NOBODY when for nobody. */
  readonly vote: NodeId
  /** A leader serves reads and takes up its duties only once an entry of its own term is committed (thesis, section 6.4). */
  readonly committedOwnTerm: boolean
  /** Of a leader: to whom it is handing over; NOBODY otherwise. */
  readonly transferTarget: NodeId
}

export class Raft {
  readonly #core: Core
  readonly #ready: ReadyLoop

  /** A follower in the stored term. Throws a BugError for an impossible config, OperationError `failed` for a stored state that contradicts itself. */
  constructor(config: RaftConfig, stored: StoredLog) {
    checkConfig(config)
    this.#core = createCore(config, stored)
    this.#ready = new ReadyLoop(this.#core)
  }

  /** Takes one message of a peer. Stale, foreign and senseless ones are ignored. Throws OperationError `failed`, `data.kind` `damaged`, when this log has lost what it acknowledged. */
  step(message: Message): void {
    step(this.#core, message)
  }

  /** One tick of the member's own clock. */
  tick(): void {
    tick(this.#core)
  }

  /** Starts an election at once (a pre-election with `preVote`), if this member is a voter. After `forgetLeader` when the leader's connection closed. */
  campaign(): void {
    hup(this.#core, this.#core.config.preVote ? 'pre-election' : 'election')
  }

  /** Appends `data` to the log, if this member leads. `accepted` is not yet committed: another entry at that index later means it was lost. */
  propose(data: Uint8Array): ProposeResult {
    return propose(this.#core, data)
  }

  /** As propose, for a change of the configuration. One at a time: dropped while another is not yet applied. */
  proposeConfChange(change: ConfChange): ProposeResult {
    return proposeConfChange(this.#core, change)
  }

  /** Call for each `config` entry when it is applied, with null if the state machine refused it. Returns the configuration from now on. */
  applyConfChange(change: ConfChange | null): ConfState {
    return applyConfChange(this.#core, change)
  }

  /**
   * Asks for a linearizable read; the answer comes in `Ready.readStates`, or never (no leader, leader lost): ask again then. `requestId`
   * must be unique over restarts of this member too, as an answer to an earlier life may still be under way.
   */
  readIndex(requestId: number): void {
    requestRead(this.#core, { from: this.#core.id, requestId })
  }

  /** Hands leadership to `target` once its log is complete; given up after one election time-out. */
  transferLeadership(target: NodeId): void {
    requestTransfer(this.#core, target)
  }

  /** A follower's leader is gone (its connection closed): from now on it grants votes again, within the old leader's lease too. */
  forgetLeader(): void {
    if (this.#core.role !== 'leader') this.#core.leader = NOBODY
  }

  /** Waits `ticks` in all, in place of the number drawn, until the next change of role. */
  setElectionTicks(ticks: number): void {
    this.#core.randomizedElectionTicks = ticks
  }

  /** The last message to `id` may be lost: a leader goes back to probing. */
  reportUnreachable(id: NodeId): void {
    reportUnreachable(this.#core, id)
  }

  /** How sending a snapshot to `id` ended. Each one must be reported, or `id` gets no entries until it answers by itself. */
  reportSnapshot(id: NodeId, ok: boolean): void {
    reportSnapshot(this.#core, id, ok)
  }

  hasReady(): boolean {
    return this.#ready.hasReady()
  }

  /** Takes the work collected so far. One Ready at a time: `advance` must come before the next; steps, ticks and proposals may come between. */
  ready(): Ready {
    return this.#ready.take()
  }

  /** What the last Ready held is saved (synced if asked for) and applied. */
  advance(): void {
    this.#ready.advance()
  }

  /** The durable log starts after `meta.index` from now on, which must be applied. */
  compacted(meta: Pick<SnapshotMeta, 'index'>): void {
    assert(meta.index <= this.#core.log.applied, `raft: compacted up to ${meta.index}, applied only ${this.#core.log.applied}`)
    this.#core.log.compact(meta.index)
  }

  status(): RaftStatus {
    const { id, role, term, vote, leader, log, tracker, transferTarget } = this.#core
    const progress = new Map(
      role !== 'leader'
        ? []
        : [...tracker.progress].map(([node, { match, recentActive, activeBefore, state }]) => {
            return [node, { match, recentActive, active: recentActive || activeBefore, state }] as const
          }),
    )
    return {
      id,
      role,
      term,
      vote,
      leader,
      committedOwnTerm: role === 'leader' && committedOwnTerm(this.#core),
      transferTarget,
      commitIndex: log.committed,
      appliedIndex: log.applied,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      firstIndex: log.firstIndex,
      conf: tracker.conf,
      progress,
    }
  }
}
