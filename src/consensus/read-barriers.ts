// Linearizable reads of this member that wait: for a leader's confirmation, then for this member to have applied that far.
import { type OperationError } from '../base/errors.ts'
import { type ReadState } from './types.ts'

/** One caller's wait. */
interface Read {
  readonly resolve: (index: number) => void
  readonly reject: (error: OperationError) => void
  settled: boolean
}

/** Reads that one confirmation serves. It may be asked for more than once: any answer given after the first asking is good for all of them. */
interface Round {
  reads: Read[]
  readonly requestIds: number[]
}

export class ReadBarriers {
  readonly #limit: number
  #nextId: number
  #waiting = 0
  /** Came since the last turn; a read never joins a round that has begun. */
  #fresh: Read[] = []
  readonly #rounds = new Map<number, Round>()
  #confirmed: { readonly index: number; readonly reads: readonly Read[] }[] = []

  /** `firstId` is random over 2^52: an answer to an earlier life of this member must not be taken for one of now. `limit` bounds the waits. */
  constructor(firstId: number, limit: number) {
    this.#nextId = firstId
    this.#limit = limit
  }

  get full(): boolean {
    return this.#waiting >= this.#limit
  }

  /** `abortError` is asked only when the signal fires first. */
  add(signal: AbortSignal, abortError: () => OperationError): Promise<number> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        read.settled = true
        this.#waiting -= 1
        signal.removeEventListener('abort', onAbort)
      }
      const read: Read = {
        resolve: (index) => {
          end()
          resolve(index)
        },
        reject: (error) => {
          end()
          reject(error)
        },
        settled: false,
      }
      const onAbort = (): void => read.reject(abortError())
      this.#waiting += 1
      if (signal.aborted) {
        onAbort()
        return
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#fresh.push(read)
    })
  }

  /** The request id to ask the leader with, for all reads that came since the last call; undefined when there are none. */
  begin(): number | undefined {
    const reads = this.#fresh.filter((read) => !read.settled)
    this.#fresh = []
    return reads.length === 0 ? undefined : this.#ask({ reads, requestIds: [] })
  }

  /** New request ids for all rounds without an answer: requests and answers may be lost. */
  retry(): readonly number[] {
    const asked: number[] = []
    for (const round of new Set(this.#rounds.values())) {
      round.reads = round.reads.filter((read) => !read.settled)
      if (round.reads.length === 0) this.#forget(round)
      else asked.push(this.#ask(round))
    }
    return asked
  }

  confirm(states: readonly ReadState[], appliedIndex: number): void {
    for (const { requestId, index } of states) {
      const round = this.#rounds.get(requestId)
      if (round === undefined) continue
      this.#forget(round)
      this.#confirmed.push({ index, reads: round.reads })
    }
    this.applied(appliedIndex)
  }

  applied(appliedIndex: number): void {
    if (this.#confirmed.length === 0) return
    const ready = this.#confirmed.filter(({ index }) => index <= appliedIndex)
    this.#confirmed = this.#confirmed.filter(({ index }) => index > appliedIndex)
    for (const { index, reads } of ready) for (const read of reads) if (!read.settled) read.resolve(index)
  }

  rejectAll(error: OperationError): void {
    const rounds = [...new Set(this.#rounds.values()), ...this.#confirmed]
    const reads = [...this.#fresh, ...rounds.flatMap((round) => round.reads)]
    this.#fresh = []
    this.#rounds.clear()
    this.#confirmed = []
    for (const read of reads) if (!read.settled) read.reject(error)
  }

  #ask(round: Round): number {
    const requestId = this.#nextId
    this.#nextId += 1
    round.requestIds.push(requestId)
    this.#rounds.set(requestId, round)
    return requestId
  }

  #forget(round: Round): void {
    for (const requestId of round.requestIds) this.#rounds.delete(requestId)
  }
}
