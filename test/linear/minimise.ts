// A rejected history of thousands of operations, cut down to the few that contradict each other.
import { type CheckLimits } from './checker.ts'
import { checkRegister, metValue, type RegisterHistory, type RegisterOperation, writtenValue } from './register.ts'

/** Checks of ever shorter histories; by then what is left can be read. */
const MAX_TRIES = 2_000
/** One of them: a shortened history that takes longer is left as it was. */
const TRY_LIMITS: CheckLimits = { steps: 200_000, memory: 20_000_000 }

/**
 * Of one key. What is left cannot be explained either, and for the same reason: only what any explanation could do without is taken out, namely
 * what came later, reads, and values together with everybody who met them.
 */
export function minimise(history: RegisterHistory): RegisterHistory {
  let tries = 0
  const rejected = (candidate: RegisterHistory): boolean => {
    tries += 1
    return tries <= MAX_TRIES && checkRegister(candidate, TRY_LIMITS).kind === 'not-linearizable'
  }
  let left = shortestPrefix(history, rejected)
  for (let before = Infinity; left.length < before;) {
    before = left.length
    left = withoutUnits(left, valuesOf, withoutValues, rejected)
    left = withoutUnits(left, (some) => some.filter(isRead), withoutOperations, rejected)
  }
  return left
}

type Rejected = (history: RegisterHistory) => boolean

/** Linearizability is closed under prefixes, so the first answer too many can be found by halving. */
function shortestPrefix(history: RegisterHistory, rejected: Rejected): RegisterHistory {
  const moments = history.flatMap(({ answer }) => (answer === undefined ? [] : [answer.at])).toSorted((a, b) => a - b)
  let low = 0
  let high = moments.length - 1
  let best = history
  while (low <= high) {
    const middle = Math.floor((low + high) / 2)
    const prefix = until(history, moments[middle] ?? 0)
    if (rejected(prefix)) {
      best = prefix
      high = middle - 1
    } else {
      low = middle + 1
    }
  }
  return best
}

/** The history as it stood at that moment. */
function until(history: RegisterHistory, moment: number): RegisterHistory {
  return history
    .filter(({ calledAt }) => calledAt <= moment)
    .map((operation) => (operation.answer === undefined || operation.answer.at <= moment ? operation : { ...operation, answer: undefined }))
}

/** Takes out as many units as possible, large groups of them first (delta debugging). */
function withoutUnits<U>(
  history: RegisterHistory,
  unitsOf: (history: RegisterHistory) => readonly U[],
  without: (history: RegisterHistory, units: readonly U[]) => RegisterHistory,
  rejected: Rejected,
): RegisterHistory {
  let left = history
  for (let size = Math.ceil(unitsOf(left).length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; ;) {
      const group = unitsOf(left).slice(at, at + size)
      if (group.length === 0) break
      const candidate = without(left, group)
      if (candidate.length < left.length && rejected(candidate)) left = candidate
      else at += size
    }
  }
  return left
}

function isRead({ answer, input }: RegisterOperation): boolean {
  return input.kind === 'read' || answer?.output.kind === 'differed'
}

function withoutOperations(history: RegisterHistory, gone: readonly RegisterOperation[]): RegisterHistory {
  return history.filter((operation) => !gone.includes(operation))
}

function valuesOf(history: RegisterHistory): readonly string[] {
  return [...new Set(history.flatMap(({ input }) => writtenValue(input) ?? []))]
}

/** The values, who wrote them, who met them, and so on with what those wrote. A failed compare-and-set that met nobody knows what goes too. */
function withoutValues(history: RegisterHistory, values: readonly string[]): RegisterHistory {
  const gone = new Set(values)
  for (let size = 0; size < gone.size;) {
    size = gone.size
    for (const operation of history) {
      const met = metValue(operation)
      const written = writtenValue(operation.input)
      if (written !== undefined && met !== undefined && met !== null && gone.has(met) && !isRead(operation)) gone.add(written)
    }
  }
  return history.filter((operation) => {
    const { answer, input } = operation
    const met = metValue(operation)
    if (met !== undefined && met !== null && gone.has(met)) return false
    if (answer?.output.kind === 'differed') return answer.output.found !== undefined
    return !gone.has(writtenValue(input) ?? '')
  })
}
