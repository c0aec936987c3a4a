// What happened in a simulated world: a running hash that proves two runs equal, counters that prove a run did something, lines for people.
import { type Clock } from '../../src/base/clock.ts'
import { FAULT_KINDS } from './weather.ts'

/** Counted over a run: floors for these make sure that seeds are not spent on idle ticks. */
const COVERAGE = [
  'elections',
  'leader changes',
  'agent kills',
  'agent restarts',
  'power cuts',
  'power cuts that lost writes',
  'freezes',
  'hosts joined late',
  'hosts removed',
  'disks wiped',
  'stores unreadable',
  'logs torn',
  'logs shortened',
  'members replaced',
  'leaders handed over',
  'fresh leaders felled',
  'truncations',
  'snapshots sent',
  'snapshots installed',
  'compactions',
  'config changes',
  'frames lost',
  'VM starts',
  'VM ends',
  'adoptions',
  'writes done',
  'writes refused',
  'writes without quorum',
  'writes of unknown outcome',
  'repeated keys',
  'reads',
  'entries',
] as const

/** What happened, and what was done to the mesh. */
export const COUNTED = [...COVERAGE, ...FAULT_KINDS] as const

export type Counted = (typeof COUNTED)[number]
export type Counts = Readonly<Record<Counted, number>>

/** Gets each thing as it happens: `atMs` since the world began, who, what it was, and its details in words. */
export type Sink = (atMs: number, who: string, what: string, words: string) => void

export class Trace {
  readonly counts: Record<Counted, number>
  readonly #sink: Sink | undefined
  readonly #clock: Clock
  readonly #codes = new Map<string, number>()
  #hash = 0x811c9dc5

  constructor(clock: Clock, sink?: Sink) {
    this.#clock = clock
    this.#sink = sink
    this.counts = noCounts()
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  count(what: Counted, by = 1): void {
    this.counts[what] += by
  }

  /** One thing that happened. `words` is asked only where somebody reads. */
  note(who: string, what: string, number = 0, words?: () => string): void {
    this.#mix(Math.round(this.#clock.now() * 1000))
    this.#mix(this.#code(who))
    this.#mix(this.#code(what))
    this.#mix(number)
    this.#sink?.(this.#clock.now(), who, what, words?.() ?? '')
  }

  /** Of numbers beyond 32 bits both halves count. */
  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193) + (Math.floor(value / 0x1_0000_0000) | 0)
    this.#hash ^= this.#hash >>> 15
  }

  #code(text: string): number {
    const known = this.#codes.get(text)
    if (known !== undefined) return known
    let code = 0
    for (let at = 0; at < text.length; at += 1) code = Math.imul(code, 31) + text.charCodeAt(at)
    this.#codes.set(text, code)
    return code
  }
}

export function noCounts(): Record<Counted, number> {
  // Exactly the names of COUNTED.
  return Object.fromEntries(COUNTED.map((name) => [name, 0])) as Record<Counted, number>
}

/** What is broken: collected where it is seen, thrown by whoever runs the world, never into the code under test. */
export class Faults {
  readonly found: string[] = []
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  report(fault: string): void {
    this.found.push(`${(this.#clock.now() / 1000).toFixed(3)} s: ${fault}`)
  }
}
