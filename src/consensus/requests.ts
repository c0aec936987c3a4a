// What callers of this member wait for: proposals and linearizable reads, from the call to the core and back.
import { OperationError } from '../base/errors.ts'
import {
  busy,
  dropped,
  PendingProposals,
  Proposal,
  type ProposalBody,
  type Proposed,
  type ProposeOptions,
  staleTerm,
  stopped,
} from './proposals.ts'
import { type Raft } from './raft.ts'
import { ReadBarriers } from './read-barriers.ts'
import { type ReplicaLimits } from './replica-options.ts'
import { type ConfChange, type Entry, NOBODY, type NodeId, type ReadState } from './types.ts'

export interface RequestsOptions {
  readonly limits: ReplicaLimits
  readonly firstReadId: number
  /** Something new waits for `handOver`. */
  readonly wake: () => void
  readonly leader: () => NodeId
}

export class Requests {
  readonly #options: RequestsOptions
  readonly #pending = new PendingProposals()
  readonly #reads: ReadBarriers
  /** Came since the last turn: they go into the log together. */
  #queued: Proposal[] = []
  #queuedBytes = 0
  #closed = false

  constructor(options: RequestsOptions) {
    this.#options = options
    this.#reads = new ReadBarriers(options.firstReadId, options.limits.waiting)
  }

  propose(data: Uint8Array, options: ProposeOptions): Promise<Proposed> {
    const limit = this.#options.limits.proposalBytes
    if (data.length === 0) return Promise.reject(new OperationError('usage', 'a proposal has no data'))
    if (data.length > limit) {
      return Promise.reject(
        new OperationError('too-large', `a proposal has ${data.length} bytes, ${limit} are allowed`, { data: { limit } }),
      )
    }
    return this.#submit({ kind: 'data', data }, options)
  }

  proposeConfChange(change: ConfChange, options: ProposeOptions): Promise<Proposed> {
    return this.#submit({ kind: 'conf-change', change }, options)
  }

  read(signal: AbortSignal): Promise<number> {
    const { limits, wake } = this.#options
    if (this.#closed) return Promise.reject(stopped())
    if (this.#reads.full) return Promise.reject(busy('read', limits.waiting))
    wake()
    return this.#reads.add(signal, () => this.#readAborted(signal.reason))
  }

  /** Gives everything that came since the last turn to the core: proposals one by one, all reads as one. */
  handOver(raft: Raft): void {
    const queued = this.#queued
    this.#queued = []
    this.#queuedBytes = 0
    if (queued.length > 0) {
      const { term, leader } = raft.status()
      for (const proposal of queued) this.#handOverOne(raft, proposal, { term, leader })
    }
    const requestId = this.#reads.begin()
    if (requestId !== undefined) raft.readIndex(requestId)
  }

  /** Asks for all unanswered reads again. */
  retryReads(raft: Raft): void {
    for (const requestId of this.#reads.retry()) raft.readIndex(requestId)
  }

  entryApplied(entry: Entry, result: unknown): void {
    this.#pending.applied(entry.index, entry.term, result)
  }

  /** A snapshot up to there took the place of the log. */
  skippedTo(index: number, term: number): void {
    this.#pending.skippedTo(index, term)
  }

  /** Everything up to `appliedIndex` is applied, and `states` were confirmed. */
  serveReads(states: readonly ReadState[], appliedIndex: number): void {
    this.#reads.confirm(states, appliedIndex)
  }

  /** Ends all waits; none begins any more. */
  close(why: string, cause: unknown): void {
    this.#closed = true
    for (const proposal of this.#queued) proposal.giveUp(why, cause)
    this.#queued = []
    this.#pending.giveUpAll(why, cause)
    this.#reads.rejectAll(stopped(cause))
  }

  #submit(body: ProposalBody, options: ProposeOptions): Promise<Proposed> {
    const { limits, wake } = this.#options
    if (this.#closed) return Promise.reject(stopped())
    if (this.#queued.length + this.#pending.length >= limits.waiting) return Promise.reject(busy('proposed', limits.waiting))
    const bytes = body.kind === 'data' ? body.data.length : 0
    if (this.#queuedBytes + bytes > limits.queuedBytes) return Promise.reject(busy('proposed', limits.queuedBytes, 'bytes'))
    this.#queuedBytes += bytes
    const proposal = new Proposal(body, options)
    this.#queued.push(proposal)
    wake()
    return proposal.promise
  }

  #handOverOne(raft: Raft, proposal: Proposal, now: { readonly term: number; readonly leader: NodeId }): void {
    if (proposal.settled) return
    if (proposal.term !== undefined && proposal.term !== now.term) {
      proposal.reject(staleTerm(proposal.term, now.term))
      return
    }
    const { body } = proposal
    const outcome = body.kind === 'data' ? raft.propose(body.data) : raft.proposeConfChange(body.change)
    if (outcome.kind === 'accepted') {
      proposal.accepted(outcome.index, outcome.term)
      this.#pending.add(proposal)
    } else {
      proposal.reject(dropped(outcome.kind === 'dropped' ? outcome.why : 'not-leader', now.leader))
    }
  }

  #readAborted(cause: unknown): OperationError {
    const leader = this.#options.leader()
    const data = { leader }
    return leader === NOBODY
      ? new OperationError('no-quorum', 'nothing was read: no leader is known, so nobody can say what is committed', { data, cause })
      : new OperationError('timeout', `nothing was read: leader ${leader} did not confirm in time that it still leads`, { data, cause })
  }
}
