// Checks of people's writes: a key is carried out once, what was answered stands in the state for good, "nothing was done" is true.
import { type RequestKey } from '../../src/base/ids.ts'
import { canonicalJson } from '../../src/inventory/canonical-json.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { type CommandResult } from '../../src/inventory/model.ts'
import { REQUEST_KEPT_MS } from '../../src/inventory/requests.ts'
import { type Applied } from './state-watch.ts'
import { type Faults, type Trace } from './trace.ts'

/** What a person heard at last: an answer; that surely nothing was done; or nothing that can be relied on. */
export type Outcome =
  | { readonly kind: 'answered'; readonly result: CommandResult }
  | { readonly kind: 'not-done'; readonly code: string }
  | { readonly kind: 'unknown'; readonly code: string }

/** Everything that a command of a person may change. */
const EFFECTS = ['hosts', 'vms', 'datastores', 'disks', 'jobs', 'tokens', 'settings'] as const

interface Carried {
  readonly index: number
  readonly at: number
}

export class RequestWatch {
  readonly #faults: Faults
  readonly #trace: Trace
  readonly #carried = new Map<RequestKey, Carried>()
  readonly #answered = new Map<RequestKey, string>()
  readonly #notDone = new Set<RequestKey>()
  #highestAnswered = 0
  /** The latest moment by the wall clock of whoever led: answers are forgotten by it. */
  #latestAt = 0

  constructor(faults: Faults, trace: Trace) {
    this.#faults = faults
    this.#trace = trace
  }

  /** The newest entry whose outcome somebody knows: no read that begins now may be older. */
  get highestAnswered(): number {
    return this.#highestAnswered
  }

  applied({ index, record, before, after }: Applied): void {
    const key = record.requestKey
    if (key === null) return
    this.#latestAt = Math.max(this.#latestAt, record.at)
    const first = this.#carried.get(key)
    const kept = after.requests.get(key)
    if (this.#notDone.has(key)) this.#faults.report(`entry ${index} carries out ${key}, of which was said that nothing was done`)
    const mayBeForgotten = first !== undefined && this.#latestAt - first.at >= REQUEST_KEPT_MS
    if (first === undefined || record.at - first.at >= REQUEST_KEPT_MS || (mayBeForgotten && kept?.index === index)) {
      this.#carried.set(key, { index, at: record.at })
      if (kept?.index !== index) this.#faults.report(`entry ${index}: the answer to ${key} was not kept`)
      return
    }
    this.#trace.count('repeated keys')
    if (kept?.index !== first.index) this.#faults.report(`entry ${index}: the answer to ${key} of entry ${first.index} was not kept`)
    if (EFFECTS.some((part) => before[part] !== after[part]))
      this.#faults.report(`${key} of entry ${first.index} was carried out again in entry ${index}`)
  }

  /** `view`: what the asked host had applied when it answered. */
  heard(key: RequestKey, outcome: Outcome, view: Inventory | undefined): void {
    switch (outcome.kind) {
      case 'answered': {
        this.#trace.count(outcome.result.kind === 'done' ? 'writes done' : 'writes refused')
        this.#answered.set(key, canonicalJson(outcome.result))
        const kept = view?.requests.get(key)
        if (kept === undefined) this.#faults.report(`${key} was answered by a host that has not applied it`)
        else if (!this.#isAnswer(key, kept.result)) this.#faults.report(`the answer to ${key} is not the one in the state`)
        this.#highestAnswered = Math.max(this.#highestAnswered, kept?.index ?? 0)
        return
      }
      case 'not-done':
        this.#trace.count('writes without quorum')
        this.#notDone.add(key)
        if (this.#carried.has(key)) this.#faults.report(`${key} was carried out, its asker heard ${outcome.code}`)
        return
      case 'unknown':
        this.#trace.count('writes of unknown outcome')
        return
    }
  }

  read(host: string, from: number, found: Inventory): void {
    this.#trace.count('reads')
    if (found.index < from) this.#faults.report(`a read through ${host} gave state ${found.index}, entry ${from} had been answered before`)
    this.#highestAnswered = Math.max(this.#highestAnswered, found.index)
  }

  /** At the end of a run: nothing that was answered is lost. */
  finish(state: Inventory): void {
    for (const [key, answer] of this.#answered) {
      const kept = state.requests.get(key)
      const carriedAt = this.#carried.get(key)?.at ?? 0
      const mayBeForgotten = kept === undefined && this.#latestAt - carriedAt >= REQUEST_KEPT_MS
      if (!mayBeForgotten && (kept === undefined || canonicalJson(kept.result) !== answer))
        this.#faults.report(`the answered write ${key} is lost`)
    }
  }

  #isAnswer(key: RequestKey, result: CommandResult): boolean {
    return canonicalJson(result) === this.#answered.get(key)
  }
}
