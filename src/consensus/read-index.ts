// Linearizable reads without the log (thesis, section 6.4): a read is served once a quorum has answered a round of heartbeats that began after it.
import { committedIndex } from './quorum.ts'
import { type ConfState, type NodeId } from './types.ts'

export interface ReadRequest {
  /** Where the answer goes: this member itself or a follower. */
  readonly from: NodeId
  readonly requestId: number
}

export interface ConfirmedRead extends ReadRequest {
  /** The commit index when its round began. */
  readonly index: number
}

/** Reads a leader holds at a time. Beyond it they are dropped and asked again by their member: a leader cut off must not fill its memory. */
export const MAX_WAITING_READS = 65_536

/**
 * Every round has a number of its own, never used again, also not in a later term. A read joins the round that begins next, never one that
 * has begun: an answer to it may have been sent before the read came, by a member that has voted for another leader since (etcd issue 20418).
 */
export class ReadRounds {
  #round = 0
  /** In the order of their rounds. */
  #waiting: (ConfirmedRead & { readonly round: number })[] = []
  #next: ReadRequest[] = []
  /** The last round that each has answered, in the order in which they did. */
  readonly #answered = new Map<NodeId, number>()

  /** Reads that wait for a round to begin. */
  get hasNext(): boolean {
    return this.#next.length > 0
  }

  /** Reads whose round was begun and not yet answered by a quorum. */
  get hasWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** False if there is no room. */
  add(request: ReadRequest): boolean {
    if (this.#next.length + this.#waiting.length >= MAX_WAITING_READS) return false
    this.#next.push(request)
    return true
  }

  /** Begins a round with the reads collected so far; its number goes with the heartbeats sent now. 0 if no read waits for one. */
  begin(commit: number): number {
    if (this.#next.length === 0 && this.#waiting.length === 0) return 0
    this.#round += 1
    for (const request of this.#next) this.#waiting.push({ ...request, index: commit, round: this.#round })
    this.#next = []
    return this.#round
  }

  /** A member answered the heartbeat of a round, so `self` was still its leader when that round began. */
  answered(from: NodeId, round: number): void {
    if (round <= (this.#answered.get(from) ?? 0)) return
    // Goes to the end: those of the same round stand in the order of their answers.
    this.#answered.delete(from)
    this.#answered.set(from, round)
  }

  /**
   * The fewest voters whose answers make a quorum with `self`: those that answered last, of these the quickest. Undefined when too few have
   * answered so far to choose from.
   */
  whomToAsk(conf: ConfState, self: NodeId): ReadonlySet<NodeId> | undefined {
    const asked = new Set<NodeId>()
    const enough = (): boolean => committedIndex(conf, (id) => (id === self || asked.has(id) ? 1 : 0)) > 0
    for (const [id] of [...this.#answered].toSorted(([, a], [, b]) => b - a)) {
      if (enough()) break
      if (conf.voters.includes(id) || conf.outgoing.includes(id)) asked.add(id)
    }
    return enough() ? asked : undefined
  }

  /** Takes the reads of all rounds that a quorum has answered. */
  takeConfirmed(conf: ConfState, self: NodeId): ConfirmedRead[] {
    const confirmed = committedIndex(conf, (id) => (id === self ? this.#round : this.#answered.get(id)))
    const end = this.#waiting.findIndex(({ round }) => round > confirmed)
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end)
  }

  /** Leadership is over or begins: nobody confirms anything for the reads of before. */
  clear(): void {
    this.#waiting = []
    this.#next = []
    this.#answered.clear()
  }
}
