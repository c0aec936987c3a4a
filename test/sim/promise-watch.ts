// Checks of each member's promises: what it acknowledges is on its disk, it votes once a term, its term and its commit index never fall.
import { type LogBatch, type Message, type NodeId } from '../../src/consensus/types.ts'
import { type MemoryLogState } from '../fixture/memory-log.ts'
import { type Watched } from './log-watch.ts'
import { type Faults } from './trace.ts'

export class PromiseWatch {
  readonly #faults: Faults
  /** By member and term: who got its vote. */
  readonly #votes = new Map<string, NodeId>()
  /** The highest term in which a member promised anything. */
  readonly #terms = new Map<NodeId, number>()

  constructor(faults: Faults) {
    this.#faults = faults
  }

  /** At the moment when it is handed to the network: then the promise counts. */
  sent(host: Watched, message: Message): void {
    if (host.disk.silenced === message.from)
      this.#faults.report(`${host.name} sends ${message.kind} as member ${message.from}, whose stores are damaged`)
    switch (message.kind) {
      case 'vote-response':
        if (!message.reject) this.#voted(host, message)
        return
      case 'append-response':
        if (!message.reject) this.#acknowledged(host, message)
        return
      case 'vote':
      case 'append':
      case 'heartbeat':
      case 'heartbeat-response':
      case 'snapshot':
        this.#termStands(host, message)
        return
      default:
        // Of a term that nobody has begun, or of none.
        return
    }
  }

  logWritten(host: Watched, { hardState }: LogBatch, { hardState: before }: MemoryLogState): void {
    if (hardState === undefined) return
    const { name } = host
    if (hardState.term < before.term) this.#faults.report(`${name} writes term ${hardState.term} over ${before.term}`)
    if (hardState.commit < before.commit) this.#faults.report(`${name} writes commit index ${hardState.commit} over ${before.commit}`)
    if (hardState.term === before.term && before.vote !== 0 && hardState.vote !== before.vote)
      this.#faults.report(`${name} changes its vote of term ${before.term} from ${before.vote} to ${hardState.vote}`)
  }

  #voted({ name, disk }: Watched, { from, to, term }: Message): void {
    const key = `${from}:${term}`
    const before = this.#votes.get(key)
    if (before !== undefined && before !== to) this.#faults.report(`${name} votes twice in term ${term}: for ${before} and for ${to}`)
    this.#votes.set(key, to)
    const { hardState } = disk.durableLog
    if (hardState.term < term || (hardState.term === term && hardState.vote !== to))
      this.#faults.report(`${name} votes for ${to} in term ${term} before that is on its disk (term ${hardState.term}, ${hardState.vote})`)
    this.#promised(from, term)
  }

  #acknowledged(host: Watched, message: Message & { readonly kind: 'append-response' }): void {
    const { hardState, snapshot, entries } = host.disk.durableLog
    const last = snapshot.index + entries.length
    // A later term may have overwritten what it held then: its answer comes too late for its leader.
    if (last < message.index && hardState.term <= message.term)
      this.#faults.report(`${host.name} acknowledges entry ${message.index} of term ${message.term}, on its disk are ${last}`)
    this.#termStands(host, message)
    this.#promised(message.from, message.term)
  }

  #termStands({ name }: Watched, { from, term, kind }: Message): void {
    const promised = this.#terms.get(from) ?? 0
    if (term < promised) this.#faults.report(`${name} sends ${kind} of term ${term} after a promise in term ${promised}`)
  }

  #promised(member: NodeId, term: number): void {
    if (term > (this.#terms.get(member) ?? 0)) this.#terms.set(member, term)
  }
}
