// The judge is judged first: histories whose verdict is known, made by hand, published, drawn at random, or tried in every order.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { check, IMPOSSIBLE, type Model, type Operation } from './checker.ts'
import { etcdHistories } from './etcd-histories.ts'
import { minimise } from './minimise.ts'
import { randomHistory } from './random-history.ts'
import {
  checkRegister,
  checkRegisters,
  metValue,
  register,
  type RegisterHistory,
  type RegisterOperation,
  type Value,
  writtenValue,
} from './register.ts'
import { timelineText } from './timeline.ts'

const key = 'x'

function read(calledAt: number, at: number, value: Value): RegisterOperation {
  return { client: 1, input: { kind: 'read', key }, calledAt, answer: { at, output: { kind: 'value', value } } }
}

function write(calledAt: number, at: number | undefined, value: string): RegisterOperation {
  return {
    client: 2,
    input: { kind: 'write', key, value },
    calledAt,
    answer: at === undefined ? undefined : { at, output: { kind: 'written' } },
  }
}

/** `outcome`: swapped, not known, or what it found instead. */
function cas(
  calledAt: number,
  at: number,
  [expected, value]: readonly [Value, string],
  outcome: true | undefined | Value,
): RegisterOperation {
  const output = outcome === true ? ({ kind: 'swapped' } as const) : ({ kind: 'differed', found: outcome ?? null } as const)
  return { client: 3, input: { kind: 'cas', key, expected, value }, calledAt, answer: outcome === undefined ? undefined : { at, output } }
}

describe('by hand, accepted:', () => {
  const ACCEPTED: readonly (readonly [string, RegisterHistory])[] = [
    ['nothing', []],
    ['a read of nothing', [read(0, 1, null)]],
    [
      'readers of an unfinished write that see old and new (MIT 6.824, quiz 2 of 2017, VII)',
      [write(0, 100, 'a'), read(25, 75, 'a'), read(30, 60, null)],
    ],
    ['reads of no duration', [write(0, 100, 'a'), read(25, 75, 'a'), read(30, 30, null), read(30, 30, null)]],
    ['two writes at once, read in either order', [write(0, 9, 'a'), write(1, 8, 'b'), read(10, 11, 'a')]],
    ['an unknown write that is never seen', [write(0, undefined, 'a'), read(5, 6, null), read(50, 51, null)]],
    ['an unknown write that takes effect long after its call', [write(0, undefined, 'a'), read(5, 6, null), read(50, 51, 'a')]],
    [
      'an unknown write between two others',
      [write(0, undefined, 'a'), write(1, 2, 'b'), read(3, 4, 'b'), read(5, 6, 'a'), read(7, 8, 'a')],
    ],
    ['a compare-and-set that met its value', [write(0, 1, 'a'), cas(2, 3, ['a', 'b'], true), read(4, 5, 'b')]],
    ['one that did not', [write(0, 1, 'a'), cas(2, 3, ['c', 'b'], 'a'), read(4, 5, 'a')]],
    ['an unknown one that went', [write(0, 1, 'a'), cas(2, 3, ['a', 'b'], undefined), read(4, 5, 'a'), read(6, 7, 'b')]],
    ['a chain of unknown ones', [cas(0, 1, [null, 'a'], undefined), cas(0, 1, ['a', 'b'], undefined), read(6, 7, 'b')]],
    ['an answer and a call of one moment, which overlap', [write(0, 5, 'a'), read(5, 6, null)]],
  ]
  it.each(ACCEPTED)('%s', (_name, history) => {
    expect(checkRegister(history).kind).toBe('linearizable')
  })
})

describe('by hand, rejected:', () => {
  const REJECTED: readonly (readonly [string, RegisterHistory])[] = [
    ['a value from nowhere', [read(0, 1, 'a')]],
    ['a stale read after the write was read (MIT 6.824, quiz 2 of 2017, VII)', [write(0, 100, 'a'), read(10, 30, 'a'), read(40, 90, null)]],
    ['a stale read after the write was done', [write(0, 1, 'a'), write(2, 3, 'b'), read(4, 5, 'a')]],
    ['a lost write', [write(0, 1, 'a'), read(2, 3, null)]],
    ['a read before its write was called', [read(0, 1, 'a'), write(2, 3, 'a')]],
    ['two writes at once, read in both orders', [write(0, 9, 'a'), write(1, 8, 'b'), read(10, 11, 'a'), read(12, 13, 'b')]],
    ['an unknown write that comes and goes', [write(0, undefined, 'a'), read(5, 6, 'a'), read(7, 8, null)]],
    ['an unknown write done twice', [write(0, undefined, 'a'), read(1, 2, 'a'), write(3, 4, 'b'), read(5, 6, 'b'), read(7, 8, 'a')]],
    ['two that met one value', [write(0, 1, 'a'), cas(2, 5, ['a', 'b'], true), cas(2, 5, ['a', 'c'], true)]],
    ['a compare-and-set that found what it expected', [write(0, 1, 'a'), cas(2, 3, ['a', 'b'], 'a')]],
    ['a compare-and-set that found a stale value', [write(0, 1, 'a'), write(2, 3, 'b'), cas(4, 5, ['c', 'd'], 'a')]],
    ['an unknown one without its value', [cas(0, 1, ['z', 'b'], undefined), read(6, 7, 'b')]],
  ]
  it.each(REJECTED)('%s', (_name, history) => {
    expect(checkRegister(history).kind).toBe('not-linearizable')
  })
})

describe('published verdicts:', () => {
  const histories = etcdHistories()

  it('there are 102 histories of etcd, 79 of them rejected', () => {
    expect(histories.map(({ verdict }) => verdict === 'rejected').filter(Boolean)).toHaveLength(79)
    expect(histories).toHaveLength(102)
  })

  it.each(histories)('etcd $number is $verdict', ({ verdict, history }) => {
    expect(checkRegister(history).kind).toBe(verdict === 'accepted' ? 'linearizable' : 'not-linearizable')
  })
})

describe('against every order there is:', () => {
  it('the verdict on any small history is the same', () => {
    fc.assert(
      fc.property(fc.array(anyOperation, { maxLength: 6 }), (history) => {
        expect(checkRegister(history).kind).toBe(bruteForce(history) ? 'linearizable' : 'not-linearizable')
      }),
      { numRuns: 3_000 },
    )
  })

  it('the verdict on a small history of a real register with one answer changed is the same, and both verdicts occur', () => {
    const verdicts = new Set<string>()
    const change = fc.record({ seed: fc.nat(), at: fc.nat(6), value: fc.constantFrom(null, 'v1', 'v2') })
    fc.assert(
      fc.property(change, ({ seed, at, value }) => {
        const history = randomHistory(seededRandom(seed), { operations: 7, clients: 3, keys: 1, values: 2, unknown: 0.25 })
        const changed = history.map((operation, index) => (index === at ? readingInstead(operation, value) : operation))
        const verdict = checkRegister(changed).kind
        verdicts.add(verdict)
        expect(verdict).toBe(bruteForce(changed) ? 'linearizable' : 'not-linearizable')
      }),
      { numRuns: 2_000 },
    )
    expect(verdicts.size).toBe(2)
  })
})

it('what is left of a rejected history is rejected by every order too, and has the writers of all values that it has readers of', () => {
  fc.assert(
    fc.property(fc.array(anyOperation, { minLength: 3, maxLength: 7 }), (history) => {
      fc.pre(checkRegister(history).kind === 'not-linearizable')
      const left = minimise(history)
      expect(bruteForce(left)).toBe(false)
      for (const operation of left) {
        // What was asked but not answered by then is no reader yet.
        if (operation.answer === undefined) continue
        const { at } = operation.answer
        const met = metValue(operation)
        const wrote = (of: RegisterHistory): RegisterHistory =>
          of.filter(({ input, answer, calledAt }) => writtenValue(input) === met && answer?.output.kind !== 'differed' && calledAt <= at)
        if (met !== undefined && met !== null) expect(wrote(left).length).toBeGreaterThanOrEqual(wrote(history).length)
      }
    }),
    { numRuns: 1_000 },
  )
})

describe('long histories:', () => {
  const LONG = { operations: 3_000, clients: 8, keys: 3, unknown: 0.02 }

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('those of a real register are accepted (seed %i)', (seed) => {
    expect(checkRegisters(randomHistory(seededRandom(seed), LONG))).toEqual({ kind: 'linearizable' })
    expect(checkRegisters(randomHistory(seededRandom(seed), { ...LONG, values: 20 }))).toEqual({ kind: 'linearizable' })
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('with one stale read they are rejected, and what is left of it shows why (seed %i)', (seed) => {
    const history = randomHistory(seededRandom(seed), LONG)
    const stale = withStaleRead(history)
    const verdict = checkRegisters(stale)
    expect(verdict.kind).toBe('not-linearizable')
    if (verdict.kind !== 'not-linearizable') return
    const left = minimise(verdict.history)
    expect(left.length).toBeLessThanOrEqual(6)
    expect(checkRegister(left).kind).toBe('not-linearizable')
  })

  it('an order that explains a history is one: legal, complete, and nothing before what was over before it began', () => {
    const history = randomHistory(seededRandom(9), { ...LONG, keys: 1 })
    const verdict = checkRegister(history)
    expect(verdict.kind).toBe('linearizable')
    if (verdict.kind !== 'linearizable') return
    let state: Value = null
    let latestCall = -Infinity
    for (const { input, answer, calledAt } of verdict.order) {
      const after = register.step(state, input, answer?.output)
      expect(after.kind).toBe('next')
      if (after.kind === 'next') state = after.state
      expect(answer?.at ?? Infinity).toBeGreaterThanOrEqual(latestCall)
      latestCall = Math.max(latestCall, calledAt)
    }
    const answered = history.filter(({ answer }) => answer !== undefined)
    expect(verdict.order.filter(({ answer }) => answer !== undefined)).toHaveLength(answered.length)
    expect(new Set(verdict.order).size).toBe(verdict.order.length)
  })

  it('fifty writes without an answer that somebody may have met cost no more than others', () => {
    const unknown = Array.from({ length: 50 }, (_, at) => write(at, undefined, `u${at}`))
    const reads = unknown.map((_, at) => read(100 + 2 * at, 101 + 2 * at, `u${49 - at}`))
    expect(checkRegister([...unknown, ...reads]).kind).toBe('linearizable')
  })

  it('what takes longer than allowed is undecided, by time and by memory', () => {
    const history = randomHistory(seededRandom(10), { ...LONG, keys: 1 })
    expect(checkRegisters(history, { steps: 500, memory: 1e9 })).toEqual({ kind: 'undecided', key: 'k1' })
    expect(checkRegisters(history, { steps: 1e9, memory: 500 })).toEqual({ kind: 'undecided', key: 'k1' })
  })
})

it('the object is an argument: a queue is judged by the same search', () => {
  const queue: Model<string, string, string> = {
    initial: '',
    step: (state, input, output) => {
      if (input !== 'take') return { kind: 'next', state: state + input }
      return output === undefined || output === state[0] ? { kind: 'next', state: state.slice(1) } : IMPOSSIBLE
    },
    key: (state) => state,
  }
  const call = (input: string, calledAt: number, output = ''): Operation<string, string> => ({
    client: 1,
    input,
    calledAt,
    answer: { at: calledAt + 1, output },
  })
  expect(check(queue, [call('a', 0), call('b', 2), call('take', 4, 'a'), call('take', 6, 'b')]).kind).toBe('linearizable')
  expect(check(queue, [call('a', 0), call('b', 2), call('take', 4, 'b'), call('take', 6, 'a')]).kind).toBe('not-linearizable')
  expect(check(queue, [call('a', 0), call('b', 1), call('take', 4, 'b'), call('take', 6, 'a')]).kind).toBe('linearizable')
})

it('a rejected history reads as a timeline that names what has no place', () => {
  const history = [write(0, 100, 'a'), read(10, 30, 'a'), read(40, 90, null)]
  const verdict = checkRegister(history)
  expect(verdict.kind).toBe('not-linearizable')
  if (verdict.kind !== 'not-linearizable') return
  expect(
    `\n${timelineText(minimise(history), verdict.stuck)}\n${timelineText([cas(1, 2, ['a', 'b'], undefined), cas(1, 2, [null, 'b'], 'c')])}`,
  ).toBe(`
  client 2  0.000           write x = a: unknown  [---...
  client 1  10.000  30.000  read x: a              []
  client 1  40.000  90.000  read x: (none)           []  <- no place for this one
  client 3  0.000         cas x a -> b: unknown       [...
  client 3  0.000  1.000  cas x (none) -> b: found c  []`)
})

const anyOperation: fc.Arbitrary<RegisterOperation> = fc
  .record({
    client: fc.nat(3),
    kind: fc.constantFrom('read' as const, 'write' as const, 'cas' as const),
    value: fc.constantFrom('a', 'b'),
    other: fc.constantFrom(null, 'a', 'b'),
    calledAt: fc.nat(8),
    lasts: fc.nat(6),
    outcome: fc.constantFrom('yes' as const, 'yes' as const, 'no' as const, 'silent' as const, 'unknown' as const),
  })
  .map(({ client, kind, value, other, calledAt, lasts, outcome }): RegisterOperation => {
    const input =
      kind === 'read'
        ? { kind, key }
        : kind === 'write'
          ? { kind, key, value }
          : { kind, key, value, expected: outcome === 'no' ? (value === 'a' ? 'b' : 'a') : other }
    if (outcome === 'unknown') return { client, input, calledAt, answer: undefined }
    const at = calledAt + lasts
    if (kind === 'read') return { client, input, calledAt, answer: { at, output: { kind: 'value', value: other } } }
    if (kind === 'write') return { client, input, calledAt, answer: { at, output: { kind: 'written' } } }
    if (outcome === 'yes') return { client, input, calledAt, answer: { at, output: { kind: 'swapped' } } }
    return { client, input, calledAt, answer: { at, output: { kind: 'differed', found: outcome === 'no' ? other : undefined } } }
  })

/** Slow and obvious: some order of some of the operations, with every answered one in it. */
function bruteForce(left: RegisterHistory, state: Value = null): boolean {
  if (left.every(({ answer }) => answer === undefined)) return true
  return left.some((operation) => {
    const others = left.filter((other) => other !== operation)
    if (others.some(({ answer }) => answer !== undefined && answer.at < operation.calledAt)) return false
    const after = register.step(state, operation.input, operation.answer?.output)
    return after.kind === 'next' && bruteForce(others, after.state)
  })
}

function readingInstead(operation: RegisterOperation, value: Value): RegisterOperation {
  const { answer, input } = operation
  return answer === undefined || input.kind !== 'read'
    ? operation
    : { ...operation, answer: { at: answer.at, output: { kind: 'value', value } } }
}

/** Some read late in the history answers with a value that was overwritten, for everybody to see, before the read began. */
function withStaleRead(history: RegisterHistory): RegisterHistory {
  for (const reading of history.slice(Math.floor(history.length / 2))) {
    if (reading.input.kind !== 'read' || reading.answer === undefined) continue
    const writes = history.filter(
      ({ input, answer }) =>
        input.kind === 'write' && input.key === reading.input.key && answer !== undefined && answer.at < reading.calledAt,
    )
    const stale = writes.find(({ answer }) => writes.some(({ calledAt }) => answer !== undefined && calledAt > answer.at))
    if (stale?.input.kind !== 'write') continue
    const { value } = stale.input
    return history.map((operation) => (operation === reading ? readingInstead(reading, value) : operation))
  }
  throw new Error('no read comes after two writes')
}
