// The configuration in force with the progress of each of its members and the votes of an election.
import { Inflights } from './inflights.ts'
import { Progress } from './progress.ts'
import { isVoter, members } from './config-change.ts'
import { committedIndex, type VoteResult, voteResult } from './quorum.ts'
import { type ConfState, type NodeId } from './types.ts'

export class Tracker {
  readonly #maxMessages: number
  readonly #maxBytes: number
  #conf: ConfState
  #progress: ReadonlyMap<NodeId, Progress> = new Map()
  #votes = new Map<NodeId, boolean>()

  constructor(conf: ConfState, limits: { readonly maxInflightMessages: number; readonly maxInflightBytes: number }) {
    this.#maxMessages = limits.maxInflightMessages
    this.#maxBytes = limits.maxInflightBytes
    this.#conf = conf
    this.switchTo(conf, 0)
  }

  get conf(): ConfState {
    return this.#conf
  }

  /** One per member, in ascending order of ids, so that messages come out in the same order on every run. */
  get progress(): ReadonlyMap<NodeId, Progress> {
    return this.#progress
  }

  isVoter(id: NodeId): boolean {
    return isVoter(this.#conf, id)
  }

  /** Who was a member keeps its progress; who comes in is probed from the end of the leader's log on. */
  switchTo(conf: ConfState, lastIndex: number): void {
    const before = this.#progress
    this.#conf = conf
    this.#progress = new Map(
      members(conf).map((id) => {
        const learner = conf.learners.includes(id)
        // A newcomer counts as active: it had no chance yet to answer before the next quorum check.
        return [id, before.get(id)?.as(learner) ?? this.#fresh({ next: Math.max(lastIndex, 1), learner, recentActive: true })]
      }),
    )
  }

  /** A new term begins: nothing is known of anyone but oneself. */
  reset(self: NodeId, lastIndex: number): void {
    this.#progress = new Map(
      [...this.#progress].map(([id, { learner }]) => {
        const progress = this.#fresh({ next: lastIndex + 1, learner, recentActive: false })
        if (id === self) progress.match = lastIndex
        return [id, progress]
      }),
    )
    this.resetVotes()
  }

  /** The highest index that a quorum holds. Learners are not asked. */
  committed(): number {
    return committedIndex(this.#conf, (id) => this.#progress.get(id)?.match)
  }

  /** Whether a quorum was heard of since the last check; forgets it for the next one. `self` counts always. */
  checkQuorum(self: NodeId): boolean {
    const active = new Map([...this.#progress].map(([id, { recentActive }]) => [id, recentActive || id === self]))
    for (const [id, progress] of this.#progress) {
      progress.activeBefore = progress.recentActive
      progress.recentActive = id === self
    }
    return voteResult(this.#conf, active) === 'won'
  }

  resetVotes(): void {
    this.#votes = new Map()
  }

  /** The first vote of a member counts, a repeated message changes nothing. */
  recordVote(id: NodeId, granted: boolean): VoteResult {
    if (!this.#votes.has(id)) this.#votes.set(id, granted)
    return voteResult(this.#conf, this.#votes)
  }

  #fresh(options: { next: number; learner: boolean; recentActive: boolean }): Progress {
    return new Progress({ ...options, inflights: new Inflights(this.#maxMessages, this.#maxBytes) })
  }
}
