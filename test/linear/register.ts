// Registers by name: what a history of reads, writes and compare-and-sets must look like. Each key is an object of its own.
import { check, type CheckLimits, IMPOSSIBLE, type Model, type Operation, type Verdict } from './checker.ts'

/** Null: there is no value yet. */
export type Value = string | null

export type RegisterInput =
  | { readonly kind: 'read'; readonly key: string }
  | { readonly kind: 'write'; readonly key: string; readonly value: string }
  | { readonly kind: 'cas'; readonly key: string; readonly expected: Value; readonly value: string }

export type RegisterOutput =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'written' }
  | { readonly kind: 'swapped' }
  /** `found`: what stood there instead of the expected value, where the store says it. */
  | { readonly kind: 'differed'; readonly found: Value | undefined }

export type RegisterOperation = Operation<RegisterInput, RegisterOutput>
export type RegisterHistory = readonly RegisterOperation[]

export const register: Model<Value, RegisterInput, RegisterOutput> = {
  initial: null,
  step(state, input, output) {
    switch (input.kind) {
      case 'read':
        return output === undefined || (output.kind === 'value' && output.value === state) ? next(state) : IMPOSSIBLE
      case 'write':
        return next(input.value)
      case 'cas':
        if (state === input.expected) return output === undefined || output.kind === 'swapped' ? next(input.value) : IMPOSSIBLE
        if (output === undefined) return next(state)
        return output.kind === 'differed' && (output.found === undefined || output.found === state) ? next(state) : IMPOSSIBLE
    }
  },
  key: (state) => (state === null ? '' : `=${state}`),
}

export type HistoryVerdict =
  | { readonly kind: 'linearizable' }
  | { readonly kind: 'not-linearizable'; readonly key: string; readonly history: RegisterHistory; readonly stuck: RegisterOperation }
  | { readonly kind: 'undecided'; readonly key: string }

/** Key by key (linearizability is local): the first that cannot be explained, else the first that could not be decided. */
export function checkRegisters(history: RegisterHistory, limits?: CheckLimits): HistoryVerdict {
  let undecided: string | undefined
  for (const [key, operations] of byKey(history)) {
    const verdict = checkRegister(operations, limits)
    if (verdict.kind === 'not-linearizable') return { ...verdict, key, history: operations }
    if (verdict.kind === 'undecided') undecided ??= key
  }
  return undecided === undefined ? { kind: 'linearizable' } : { kind: 'undecided', key: undecided }
}

/** One key's history. */
export function checkRegister(operations: RegisterHistory, limits?: CheckLimits): Verdict<RegisterInput, RegisterOutput> {
  return check(frugalRegister, operations, limits)
}

/**
 * The same register, where an unanswered operation is placed only if it changes the value and somebody looks at that value next. Nothing is lost:
 * others can be left out of any order that explains the history. Without this rule each of them would double the search.
 */
const frugalRegister: Model<{ readonly value: Value; readonly unseen: boolean }, RegisterInput, RegisterOutput> = {
  initial: { value: null, unseen: false },
  step({ value, unseen }, input, output) {
    const after = register.step(value, input, output)
    if (after.kind === 'impossible' || (unseen && input.kind === 'write')) return IMPOSSIBLE
    if (output === undefined && after.state === value) return IMPOSSIBLE
    return { kind: 'next', state: { value: after.state, unseen: output === undefined } }
  },
  key: ({ value, unseen }) => `${unseen ? '?' : ''}${register.key(value)}`,
}

export function byKey(history: RegisterHistory): ReadonlyMap<string, RegisterHistory> {
  return Map.groupBy(history, ({ input }) => input.key)
}

/** The value that an operation found, or must have found to take effect; undefined for one that does not look. */
export function metValue({ input, answer }: RegisterOperation): Value | undefined {
  if (answer?.output.kind === 'value') return answer.output.value
  if (answer?.output.kind === 'differed') return answer.output.found
  return input.kind === 'cas' ? input.expected : undefined
}

/** What it would leave there; undefined for a read. */
export function writtenValue(input: RegisterInput): string | undefined {
  return input.kind === 'read' ? undefined : input.value
}

function next(state: Value): { readonly kind: 'next'; readonly state: Value } {
  return { kind: 'next', state }
}
