// Members whose host is being removed: they give up their vote, and leadership, before the host is cut off.
import { type Clock } from '../base/clock.ts'
import { abortable, deadline } from '../base/deadline.ts'
import { type Emitter, emitter } from '../base/emitter.ts'
import { OperationError } from '../base/errors.ts'
import { isVoter } from '../consensus/config-change.ts'
import { type Replica } from '../consensus/replica.ts'
import { type NodeId } from '../consensus/types.ts'

/** Below one try of whoever asks (raft-cluster.ts), which asks again. */
const GIVE_UP_MS = 4_000
/** A removal that is not asked for again within this was given up by its asker: the member may vote again. */
const FORGOTTEN_MS = 15_000

export class Leaving {
  readonly changes: Emitter<void> = emitter()
  readonly #clock: Clock
  readonly #replica: Pick<Replica, 'status' | 'onStatus'>
  readonly #until = new Map<NodeId, number>()

  constructor(clock: Clock, replica: Pick<Replica, 'status' | 'onStatus'>) {
    this.#clock = clock
    this.#replica = replica
  }

  has(member: NodeId): boolean {
    return (this.#until.get(member) ?? -Infinity) > this.#clock.now()
  }

  /**
   * Resolves once `member` has no vote; the leader's controller (leader/voters.ts) sees to that. A host that is cut off while it votes could be
   * missed before its successor counts. Rejects with `unreachable` when this host stops leading, `conflict` (data.kind `vote-needed`) when the
   * vote cannot be spared yet; both are surely not done.
   */
  async giveUpVote(member: NodeId, signal: AbortSignal): Promise<void> {
    const now = this.#clock.now()
    for (const [other, until] of this.#until) if (until <= now) this.#until.delete(other)
    this.#until.set(member, now + FORGOTTEN_MS)
    if (!isVoter(this.#replica.status().conf, member)) return
    const limit = deadline(this.#clock, GIVE_UP_MS, 'giving up a vote', signal)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const off = this.#replica.onStatus(({ role, conf }) => {
      if (role !== 'leader') reject(new OperationError('unreachable', 'leadership went elsewhere', { data: { kind: 'not-leader' } }))
      else if (!isVoter(conf, member)) resolve()
    })
    this.changes.emit()
    try {
      await abortable(promise, limit.signal)
    } catch (error) {
      if (!limit.signal.aborted || signal.aborted) throw error
      throw voteNeeded(error)
    } finally {
      off()
      limit.done()
    }
  }
}

function voteNeeded(cause: unknown): OperationError {
  const message = 'the host still votes, and the mesh cannot spare its vote yet: another one has to be up and caught up first'
  const reasons = [{ code: 'vote-needed', message, fix: 'hostmesh mesh members, then again' }]
  return new OperationError('conflict', message, { data: { kind: 'vote-needed' }, reasons, cause })
}
