// What a leader knows of one member's log, and how fast it may send to it (etcd's probe, replicate, snapshot).
import { assert } from '../base/assert.ts'
import { type Inflights } from './inflights.ts'

/**
 * `probe`: one append per heartbeat until the logs are seen to match. `replicate`: appends go out ahead of their acknowledgements.
 * `snapshot`: a snapshot is under way and nothing else is sent.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot'

export class Progress {
  readonly learner: boolean
  /** The log is known to equal the leader's up to here. */
  match = 0
  /** The next entry to send; everything between is under way. Always above `match`. */
  next: number
  state: ProgressState = 'probe'
  /** Heard of since the last quorum check. */
  recentActive: boolean
  /** Heard of between the last quorum check and the one before. */
  activeBefore = false
  /** No appends until a heartbeat's answer: a probe is out, or the window is full. */
  paused = false
  /** In `snapshot`: the index of the snapshot that was sent. */
  pendingSnapshot = 0
  readonly inflights: Inflights
  /** The highest commit index sent, as far as it can have had an effect. */
  #sentCommit = 0

  constructor(options: { next: number; learner: boolean; recentActive: boolean; inflights: Inflights }) {
    this.next = options.next
    this.learner = options.learner
    this.recentActive = options.recentActive
    this.inflights = options.inflights
  }

  /** The same knowledge about a member that was promoted or demoted. */
  as(learner: boolean): Progress {
    if (learner === this.learner) return this
    const copy = new Progress({ next: this.next, learner, recentActive: this.recentActive, inflights: this.inflights })
    copy.activeBefore = this.activeBefore
    copy.match = this.match
    copy.state = this.state
    copy.paused = this.paused
    copy.pendingSnapshot = this.pendingSnapshot
    copy.#sentCommit = this.#sentCommit
    return copy
  }

  becomeProbe(): void {
    // A snapshot that was sent successfully moves the point to probe from; a failed one has had pendingSnapshot reset before.
    const sent = this.state === 'snapshot' ? this.pendingSnapshot : 0
    this.#become('probe', Math.max(this.match, sent) + 1)
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1)
  }

  becomeReplicate(): void {
    this.#become('replicate', this.match + 1)
  }

  becomeSnapshot(index: number): void {
    this.#become('snapshot', index + 1)
    this.pendingSnapshot = index
    this.#sentCommit = index
  }

  /** True while no append may be sent. */
  get isPaused(): boolean {
    return this.state === 'snapshot' || this.paused
  }

  /** An append with `entries` entries of `bytes` in total, from `next` on, was sent. */
  sentEntries(entries: number, bytes: number): void {
    assert(this.state !== 'snapshot', 'progress: an append was sent during a snapshot')
    if (this.state === 'probe') {
      if (entries > 0) this.paused = true
      return
    }
    if (entries > 0) {
      this.next += entries
      this.inflights.add(this.next - 1, bytes)
    }
    // With a full window this message was a probe: the next one waits for a heartbeat's answer.
    this.paused = this.inflights.full
  }

  sentCommit(commit: number): void {
    this.#sentCommit = commit
  }

  /** True if sending `commit` could move the follower's commit index: what was sent before did not cover its log to the end. */
  canBumpCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1
  }

  /** The member acknowledged its log up to `index`. False for old news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false
    this.match = index
    this.next = Math.max(this.next, index + 1)
    this.paused = false
    return true
  }

  /** The append after `rejected` did not fit; the logs may match at `hint`. False for a rejection that came late or twice. */
  maybeDecreaseTo(rejected: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false
      this.next = this.match + 1
    } else {
      // Outside of replicate one probe is out at a time, so a genuine rejection names it.
      if (this.next - 1 !== rejected) return false
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1)
      this.paused = false
    }
    this.#sentCommit = Math.min(this.#sentCommit, this.next - 1)
    return true
  }

  #become(state: ProgressState, next: number): void {
    this.state = state
    this.next = next
    this.paused = false
    this.pendingSnapshot = 0
    this.inflights.reset()
  }
}
