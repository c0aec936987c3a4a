// Proposals of this member on their way: queued for the next turn, then in the log until it is known what became of them.
import { OperationError } from '../base/errors.ts'
import { type DropReason } from './propose.ts'
import { type ConfChange, type NodeId } from './types.ts'

export interface Proposed {
  readonly index: number
  readonly term: number
  /** What the state machine answered. */
  readonly result: unknown
}

export type ProposalBody =
  | { readonly kind: 'data'; readonly data: Uint8Array }
  | { readonly kind: 'conf-change'; readonly change: ConfChange }

export interface ProposeOptions {
  readonly signal?: AbortSignal
  /** Propose in this term or not at all. */
  readonly term?: number
}

/** One caller's wait. What settles it first counts; the abort signal is let go then. */
export class Proposal {
  readonly body: ProposalBody
  readonly term: number | undefined
  readonly promise: Promise<Proposed>
  readonly #settle = Promise.withResolvers<Proposed>()
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = (): void => this.reject(this.#abortError())
  /** Where it stands in the log of the leader it was proposed to: this member, in that term. */
  #place: { readonly index: number; readonly term: number } | undefined
  #settled = false

  constructor(body: ProposalBody, options: ProposeOptions) {
    this.body = body
    this.term = options.term
    this.promise = this.#settle.promise
    this.#signal = options.signal
    if (this.#signal?.aborted) this.#onAbort()
    else this.#signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  get settled(): boolean {
    return this.#settled
  }

  get place(): { readonly index: number; readonly term: number } | undefined {
    return this.#place
  }

  accepted(index: number, term: number): void {
    this.#place = { index, term }
  }

  resolve(result: unknown): void {
    if (this.#place === undefined) return
    this.#end()
    this.#settle.resolve({ ...this.#place, result })
  }

  reject(error: OperationError): void {
    this.#end()
    this.#settle.reject(error)
  }

  /** Nobody will say any more what became of it. */
  giveUp(why: string, cause?: unknown): void {
    this.reject(this.#place === undefined ? notDone(why, cause) : unknownOutcome(why, cause))
  }

  #abortError(): OperationError {
    const why = 'the caller stopped waiting'
    const cause: unknown = this.#signal?.reason
    if (this.#place === undefined)
      return new OperationError('timeout', `nothing was proposed: ${why}`, { data: { kind: 'not-done' }, cause })
    return unknownOutcome(why, cause)
  }

  #end(): void {
    this.#settled = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}

/** Proposals in this member's log, in the order of (term, index), which is the order they were accepted in. */
export class PendingProposals {
  #waiting: Proposal[] = []
  #first = 0

  get length(): number {
    return this.#waiting.length - this.#first
  }

  add(proposal: Proposal): void {
    this.#waiting.push(proposal)
  }

  /**
   * The entry at `index`, of `term`, was applied. Terms never fall in a log, so whatever was proposed in an earlier term and is not applied by
   * now never will be.
   */
  applied(index: number, term: number, result: unknown): void {
    for (let next = this.#peek(); next?.place !== undefined; next = this.#peek()) {
      const place = next.place
      if (place.term > term || (place.term === term && place.index > index)) return
      this.#first += 1
      if (place.term === term && place.index === index) next.resolve(result)
      else next.reject(lost(place))
    }
  }

  /** A snapshot up to `index` took the place of the log: what lies in it was decided without a word. */
  skippedTo(index: number, term: number): void {
    for (const proposal of this.#takeAll()) {
      const { place } = proposal
      if (place === undefined) continue
      if (place.index <= index) proposal.giveUp('a snapshot replaced the log where the proposal would be')
      else if (place.term < term) proposal.reject(lost(place))
      else this.#waiting.push(proposal)
    }
  }

  giveUpAll(why: string, cause?: unknown): void {
    for (const proposal of this.#takeAll()) proposal.giveUp(why, cause)
  }

  #peek(): Proposal | undefined {
    // Taken ones are dropped half a list at a time: constant cost per proposal.
    if (this.#first > 64 && this.#first * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first)
      this.#first = 0
    }
    return this.#waiting[this.#first]
  }

  #takeAll(): Proposal[] {
    const all = this.#waiting.slice(this.#first)
    this.#waiting = []
    this.#first = 0
    return all
  }
}

/** The error of a proposal that the core did not take: surely not done. `leader` is whom to ask instead. */
export function dropped(why: DropReason, leader: NodeId): OperationError {
  const data = { kind: why, leader }
  switch (why) {
    case 'not-leader':
      return new OperationError('unreachable', `not proposed: member ${leader} leads, not this one; ask it`, { data })
    case 'no-leader':
      return new OperationError('no-quorum', 'not proposed: no leader is known, an election is under way or a majority is out of reach', {
        data,
      })
    case 'not-a-member':
      return new OperationError('no-quorum', 'not proposed: this member is not part of the configuration', { data })
    case 'transferring':
      return new OperationError('no-quorum', 'not proposed: leadership is being handed over, try again', { data })
    case 'too-much-uncommitted':
      return new OperationError('no-quorum', 'not proposed: too much waits for a majority already, try again later', { data })
    case 'pending-change':
      return new OperationError('conflict', 'not proposed: another change of the configuration is under way, try again', { data })
    case 'in-joint':
      return new OperationError('conflict', 'not proposed: the configuration is joint, leave it first', { data })
    case 'not-joint':
      return new OperationError('conflict', 'not proposed: the configuration is not joint, there is nothing to leave', { data })
    case 'invalid-change':
      return new OperationError('conflict', 'not proposed: the change would leave no voter or contradicts itself', { data })
  }
}

/** More than the member takes at a time: surely not done. */
export function busy(what: string, limit: number, of: 'calls' | 'bytes' = 'calls'): OperationError {
  return new OperationError('no-quorum', `not ${what}: ${limit} ${of} wait already, try again later`, { data: { kind: 'busy', limit } })
}

/** `wanted` is not the current term: surely not done. */
export function staleTerm(wanted: number, current: number): OperationError {
  return new OperationError('conflict', `not proposed: the term is ${current}, the proposal is for ${wanted}`, {
    data: { kind: 'stale', term: current },
  })
}

/** Asked after the end. */
export function stopped(cause?: unknown): OperationError {
  return new OperationError('no-quorum', 'this member has stopped', { data: { kind: 'stopped' }, cause })
}

function lost(place: { readonly index: number; readonly term: number }): OperationError {
  return new OperationError('conflict', `entry ${place.index} of term ${place.term} was overwritten by another leader: surely not done`, {
    data: { kind: 'lost', ...place },
  })
}

function notDone(why: string, cause: unknown): OperationError {
  return new OperationError('no-quorum', `not proposed: ${why}`, { data: { kind: 'stopped' }, cause })
}

function unknownOutcome(why: string, cause: unknown): OperationError {
  return new OperationError('timeout', `it is not known whether the proposal was committed: ${why}`, { data: { kind: 'unknown' }, cause })
}
