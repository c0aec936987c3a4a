// Is a history linearizable? The search of Wing and Gong (1993) with the memory of Lowe ("Testing for linearizability", 2017).

/** One call of one client. Moments are numbers of one clock; a call and an answer at the same moment count as overlapping. */
export interface Operation<I, O> {
  readonly client: number
  readonly input: I
  readonly calledAt: number
  /** Undefined: nobody knows what became of it. It may take effect at any time after the call, or never. */
  readonly answer: { readonly at: number; readonly output: O } | undefined
}

/** The sequential object that the history must be explained by. */
export interface Model<S, I, O> {
  readonly initial: S
  /** The state afterwards; `impossible` where the object would never answer so in this state. Without an output any answer is right. */
  step(state: S, input: I, output: O | undefined): { readonly kind: 'next'; readonly state: S } | typeof IMPOSSIBLE
  /** The same text for equal states, different ones for others. */
  key(state: S): string
}

export const IMPOSSIBLE = { kind: 'impossible' } as const

export type Verdict<I, O> =
  /** `order`: one that explains the history; operations without answer are in it where they took effect. */
  | { readonly kind: 'linearizable'; readonly order: readonly Operation<I, O>[] }
  /** `stuck`: the answer that the furthest attempt could not get past. */
  | { readonly kind: 'not-linearizable'; readonly stuck: Operation<I, O> }
  /** The limit came first. */
  | { readonly kind: 'undecided' }

export interface CheckLimits {
  /** Configurations tried: time, a few microseconds each. */
  readonly steps: number
  /** Characters of configurations remembered: memory, two bytes each. */
  readonly memory: number
}

/** Half a minute and half a gigabyte: far beyond what a history with eight clients takes. */
export const CHECK_LIMITS: CheckLimits = { steps: 5_000_000, memory: 250_000_000 }

export function check<S, I, O>(
  model: Model<S, I, O>,
  operations: readonly Operation<I, O>[],
  limits: CheckLimits = CHECK_LIMITS,
): Verdict<I, O> {
  // Those without answer last: the others' numbers then fill up from the front, which keeps the keys of configurations short.
  const answered = operations.filter(({ answer }) => answer !== undefined).toSorted(byCall)
  const all = [...answered, ...operations.filter(({ answer }) => answer === undefined).toSorted(byCall)]
  const list = timeline(all)
  const placed = new Placed(all.length)
  const seen = new Set<string>()
  const order: { readonly entry: Entry<I, O>; readonly state: S }[] = []
  let state = model.initial
  let unanswered = answered.length
  let furthest: { readonly depth: number; readonly stuck: Operation<I, O> } | undefined
  let memory = 0
  let entry = list.next
  for (let steps = 0; unanswered > 0; steps += 1) {
    if (steps >= limits.steps || memory > limits.memory) return { kind: 'undecided' }
    if (entry?.kind === 'call') {
      const { operation, number } = entry
      const after = model.step(state, operation.input, operation.answer?.output)
      const key = after.kind === 'next' ? placed.keyWith(number, model.key(after.state)) : undefined
      if (after.kind === 'next' && key !== undefined && !seen.has(key)) {
        seen.add(key)
        memory += key.length
        order.push({ entry, state })
        state = after.state
        placed.add(number)
        if (lift(entry)) unanswered -= 1
        entry = list.next
      } else {
        entry = entry.next
      }
      continue
    }
    // An answer before which its operation found no place: the last placed one must go elsewhere.
    if (entry !== undefined && order.length >= (furthest?.depth ?? 0)) furthest = { depth: order.length, stuck: entry.operation }
    const last = order.pop()
    if (last === undefined) return { kind: 'not-linearizable', stuck: furthest?.stuck ?? present(answered[0]) }
    state = last.state
    placed.delete(last.entry.number)
    if (unlift(last.entry)) unanswered += 1
    entry = last.entry.next
  }
  return { kind: 'linearizable', order: order.map((step) => step.entry.operation) }
}

function byCall(a: Operation<unknown, unknown>, b: Operation<unknown, unknown>): number {
  return a.calledAt - b.calledAt
}

interface Link<I, O> {
  next: Entry<I, O> | undefined
}

/** A call or an answer, in a list from which a placed operation is lifted. */
interface Entry<I, O> extends Link<I, O> {
  readonly kind: 'call' | 'answer'
  readonly operation: Operation<I, O>
  readonly number: number
  readonly at: number
  prev: Link<I, O>
  /** Of a call that was answered. */
  match: Entry<I, O> | undefined
}

/** All calls and answers in the order of time; of one moment calls come first, so that what touches overlaps. */
function timeline<I, O>(operations: readonly Operation<I, O>[]): Link<I, O> {
  const head: Link<I, O> = { next: undefined }
  const entries = operations.flatMap((operation, number): Entry<I, O>[] => {
    const links = { operation, number, prev: head, next: undefined, match: undefined }
    const call: Entry<I, O> = { ...links, kind: 'call', at: operation.calledAt }
    if (operation.answer === undefined) return [call]
    call.match = { ...links, kind: 'answer', at: operation.answer.at }
    return [call, call.match]
  })
  entries.sort((a, b) => a.at - b.at || (a.kind === b.kind ? 0 : a.kind === 'call' ? -1 : 1))
  let last: Link<I, O> = head
  for (const entry of entries) {
    entry.prev = last
    last.next = entry
    last = entry
  }
  return head
}

/** Takes call and answer out; true where there was an answer. */
function lift<I, O>(call: Entry<I, O>): boolean {
  unlink(call)
  if (call.match !== undefined) unlink(call.match)
  return call.match !== undefined
}

/** Exactly the reverse. */
function unlift<I, O>(call: Entry<I, O>): boolean {
  if (call.match !== undefined) relink(call.match)
  relink(call)
  return call.match !== undefined
}

function unlink<I, O>(entry: Entry<I, O>): void {
  entry.prev.next = entry.next
  if (entry.next !== undefined) entry.next.prev = entry.prev
}

function relink<I, O>(entry: Entry<I, O>): void {
  entry.prev.next = entry
  if (entry.next !== undefined) entry.next.prev = entry
}

const WORD = 16

/** Which operations are placed: a bit each, as the text of a key, without what all placed ones have in common at the front. */
class Placed {
  readonly #words: Uint16Array
  #full = 0
  #end = 0

  constructor(size: number) {
    this.#words = new Uint16Array(Math.ceil(size / WORD))
  }

  add(number: number): void {
    this.#set(number, true)
  }

  delete(number: number): void {
    this.#set(number, false)
  }

  /** Of the configuration in which `number` is placed too. */
  keyWith(number: number, state: string): string {
    this.#set(number, true)
    const key = `${this.#full} ${String.fromCharCode(...this.#words.subarray(this.#full, this.#end))} ${state}`
    this.#set(number, false)
    return key
  }

  #set(number: number, placed: boolean): void {
    const words = this.#words
    const at = Math.floor(number / WORD)
    const bit = 1 << (number % WORD)
    words[at] = placed ? (words[at] ?? 0) | bit : (words[at] ?? 0) & ~bit
    if (placed) this.#end = Math.max(this.#end, at + 1)
    else this.#full = Math.min(this.#full, at)
    while (words[this.#full] === 0xffff) this.#full += 1
    while (this.#end > 0 && words[this.#end - 1] === 0) this.#end -= 1
  }
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a history without answers is linearizable')
  return value
}
