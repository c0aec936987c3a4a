// Checks of Raft over all members: one leader a term, logs that match, and a committed prefix that every later leader has.
import { emitter } from '../../src/base/emitter.ts'
import { decodeConfChange } from '../../src/consensus/conf-codec.ts'
import { decodeMessage } from '../../src/consensus/codec.ts'
import { type Entry, type LogBatch, type Message } from '../../src/consensus/types.ts'
import { type CommandRecord } from '../../src/inventory/command.ts'
import { decodeRecord } from '../../src/inventory/record.ts'
import { type MemoryLogState } from '../fixture/memory-log.ts'
import { type HostDisk } from './host-disk.ts'
import { PromiseWatch } from './promise-watch.ts'
import { type Faults, type Trace } from './trace.ts'

/** A member's host as the checks see it: it stays the same over restarts. */
export interface Watched {
  readonly name: string
  readonly disk: HostDisk
}

export interface CommittedEntry {
  readonly term: number
  /** No later than this one a leader committed it; it may be of an older term itself. */
  readonly committedIn: number
  readonly data: Uint8Array
  /** Undefined for what a new leader puts there of its own, and for configurations that Raft leaves by itself. */
  readonly record: CommandRecord | undefined
}

/** Only a leader sends these. */
const OF_LEADERS: ReadonlySet<Message['kind']> = new Set(['append', 'heartbeat', 'snapshot', 'timeout-now'])

export class LogWatch {
  /** Whoever is seen to lead for the first time in its term. */
  readonly leaders = emitter<Watched>()
  readonly #promises: PromiseWatch
  readonly #faults: Faults
  readonly #trace: Trace
  readonly #leaders = new Map<number, Watched>()
  /** What stands at (term, index) in whoever's log, and the term of the entry before: equal there means equal all the way down. */
  readonly #entries = new Map<string, { readonly data: Uint8Array; readonly termBefore: number }>()
  /** By index. */
  readonly #committed = new Map<number, CommittedEntry>()
  readonly #comparedTo = new Map<Watched, number>()
  #lastLeader: Watched | undefined
  #lastCommitted = 0
  #highestTerm = 0

  constructor(faults: Faults, trace: Trace) {
    this.#faults = faults
    this.#trace = trace
    this.#promises = new PromiseWatch(faults)
  }

  /** A configuration change in this log of which nobody knows yet whether it is committed. */
  hasOpenChange(disk: HostDisk): boolean {
    return disk.log.entries.some(({ kind, index }) => kind === 'config' && index > this.#lastCommitted)
  }

  committed(index: number): CommittedEntry | undefined {
    return this.#committed.get(index)
  }

  /** Every frame as it is handed to the network, whatever becomes of it there. */
  sent(host: Watched, frame: Uint8Array): Message {
    const { message } = decodeMessage(frame)
    this.#promises.sent(host, message)
    if (OF_LEADERS.has(message.kind)) this.#leads(host, message.term)
    return message
  }

  logWritten(host: Watched, batch: LogBatch, before: MemoryLogState): void {
    const { entries, snapshot } = batch
    this.#promises.logWritten(host, batch, before)
    if (snapshot !== undefined) {
      this.#trace.count('snapshots installed')
      this.#isCommitted(host, snapshot.index, snapshot.term)
    }
    const first = entries[0]
    if (first === undefined) return
    const base = snapshot ?? before.snapshot
    if (snapshot === undefined && first.index <= before.snapshot.index + before.entries.length) this.#truncated(host, first, before)
    let termBefore = first.index === base.index + 1 ? base.term : before.entries[first.index - base.index - 2]?.term
    for (const entry of entries) {
      this.#appended(host, entry, termBefore ?? -1)
      termBefore = entry.term
    }
  }

  /** A new disk, or stores that were given up: this host begins as another member. */
  wiped(host: Watched): void {
    this.#comparedTo.delete(host)
  }

  /** Everything up to `index` is applied on this host: its log is compared with what others had there. */
  applied(host: Watched, index: number): void {
    const from = (this.#comparedTo.get(host) ?? 0) + 1
    for (let at = from; at <= index; at += 1) {
      const entry = host.disk.entry(at)
      // Cut already, or come as part of a snapshot, whose own point was compared.
      if (entry !== undefined) this.#compare(host, entry)
    }
    if (index >= from) this.#comparedTo.set(host, index)
  }

  /** A snapshot was put in the place of the state: what the log still holds up to `index` is about to go, and may be of a deposed leader. */
  restored(host: Watched, index: number): void {
    this.#comparedTo.set(host, Math.max(index, this.#comparedTo.get(host) ?? 0))
  }

  #leads(host: Watched, term: number): void {
    const known = this.#leaders.get(term)
    if (known === host) return
    if (known !== undefined) {
      this.#faults.report(`two leaders in term ${term}: ${known.name} and ${host.name}`)
      return
    }
    this.#leaders.set(term, host)
    this.#highestTerm = Math.max(this.#highestTerm, term)
    this.#trace.count('elections')
    if (this.#lastLeader !== undefined && this.#lastLeader !== host) this.#trace.count('leader changes')
    this.#lastLeader = host
    this.#trace.note(host.name, 'leads', term, () => `term ${term}`)
    this.leaders.emit(host)
    this.#hasAllCommitted(host, term)
  }

  /** Leader completeness: what was committed in an earlier term is in the log of every later leader. */
  #hasAllCommitted(host: Watched, term: number): void {
    const start = host.disk.log.snapshot.index
    for (let index = start + 1; index <= this.#lastCommitted; index += 1) {
      const committed = this.#committed.get(index)
      if (committed === undefined || committed.committedIn >= term) continue
      const own = host.disk.entry(index)
      if (own?.term === committed.term) continue
      this.#faults.report(
        `${host.name} leads term ${term} without committed entry ${index} of term ${committed.term} (it has ${own?.term ?? 'nothing'} there)`,
      )
      return
    }
  }

  #truncated(host: Watched, first: Entry, before: MemoryLogState): void {
    const replaced = before.entries[first.index - before.snapshot.index - 1]
    if (replaced === undefined || replaced.term === first.term) return
    this.#trace.count('truncations')
    const committed = this.#committed.get(first.index)
    if (committed !== undefined && committed.term === replaced.term) {
      this.#faults.report(`${host.name} overwrites committed entry ${first.index} of term ${replaced.term} with one of term ${first.term}`)
    }
  }

  #appended(host: Watched, entry: Entry, termBefore: number): void {
    const key = `${entry.term}:${entry.index}`
    const known = this.#entries.get(key)
    if (known === undefined) {
      this.#entries.set(key, { data: entry.data, termBefore })
      return
    }
    if (known.termBefore !== termBefore || !sameBytes(known.data, entry.data)) {
      this.#faults.report(`logs differ at entry ${entry.index} of term ${entry.term}, on ${host.name}`)
    }
  }

  #isCommitted(host: Watched, index: number, term: number): void {
    const committed = this.#committed.get(index)
    if (committed !== undefined && committed.term !== term) {
      this.#faults.report(`${host.name} got a snapshot at ${index} of term ${term}, committed was term ${committed.term}`)
    }
  }

  #compare(host: Watched, entry: Entry): void {
    const known = this.#committed.get(entry.index)
    if (known === undefined) {
      const { index, term, data } = entry
      this.#committed.set(index, { term, committedIn: this.#highestTerm, data, record: this.#recordOf(entry) })
      this.#lastCommitted = Math.max(this.#lastCommitted, entry.index)
      this.#trace.count('entries')
      return
    }
    if (known.term !== entry.term || !sameBytes(known.data, entry.data)) {
      this.#faults.report(`${host.name} applied another entry ${entry.index}: term ${entry.term}, others had term ${known.term}`)
    }
  }

  #recordOf(entry: Entry): CommandRecord | undefined {
    if (entry.kind === 'normal') return entry.data.length === 0 ? undefined : decodeRecord(entry.data)
    this.#trace.count('config changes')
    const { changes, context } = decodeConfChange(entry.data)
    if (context.length === 0) return undefined
    const record = decodeRecord(context)
    const { kind } = record.command
    if ((kind === 'host-join' || kind === 'host-rejoin') && changes.some((step) => step.kind === 'add-voter'))
      this.#faults.report(`entry ${entry.index}: ${kind} makes a voter`)
    return record
  }
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one === other || (one.length === other.length && Buffer.compare(one, other) === 0)
}
