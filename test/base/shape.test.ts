// Shapes put together: what they take, what they refuse, and how they name the place.
import { describe, expect, it } from 'vitest'
import { asText } from '../../src/base/parse.ts'
import { anything, finite, list, literal, nullable, object, optional, record, text, variant, whole } from '../../src/base/shape.ts'

describe('an object', () => {
  const shape = object<{ readonly a: number; readonly b?: string }>({ a: whole(), b: optional(text(3)) })

  it('has all its fields, the optional ones where they are', () => {
    expect(shape({ a: 1 }, 'x')).toEqual({ a: 1 })
    expect(shape({ a: 1, b: 'two' }, 'x')).toEqual({ a: 1, b: 'two' })
    expect(Object.hasOwn(shape({ a: 1, b: undefined }, 'x'), 'b')).toBe(false)
  })

  it.each([
    [{ a: 1, c: 1 }, 'x.c must be absent, found 1'],
    [{ b: 'two' }, 'x.a must be a whole number'],
    [{ a: 1, b: null }, 'x.b must be a text, found null'],
    [[], 'x must be an object, found []'],
    [null, 'x must be an object, found null'],
    [JSON.parse('{"a":1,"__proto__":{"b":"two"}}'), 'x.__proto__ must be absent'],
  ])('%j is none', (value: unknown, message) => expect(() => shape(value, 'x')).toThrow(message))
})

describe('a list', () => {
  const shape = list(whole(0), 2)
  it('has a longest length, and names the place of a fault', () => {
    expect(shape([1, 2], 'x')).toEqual([1, 2])
    expect(() => shape([1, 2, 3], 'x')).toThrow('x must be a list of at most 2')
    expect(() => shape([1, -1], 'x')).toThrow('x[1] must be a whole number from 0')
    expect(() => shape({ length: 0 }, 'x')).toThrow('x must be a list')
  })
})

it('a record has free keys and values of one shape', () => {
  const shape = record(nullable(text(5)))
  expect(shape({ a: 'b', c: null }, 'x')).toEqual({ a: 'b', c: null })
  expect(() => shape({ a: 5 }, 'x')).toThrow('x.a must be a text')
})

it('text has a longest length', () => {
  expect(text(3)('abc', 'x')).toBe('abc')
  expect(() => text(3)('abcd', 'x')).toThrow('x must be a text of at most 3 characters')
})

it('whole numbers have limits, inclusive, and are exact', () => {
  expect([1, 3].map((value) => whole(1, 3)(value, 'x'))).toEqual([1, 3])
  for (const value of [0, 4, 1.5, '2', Number.NaN]) expect(() => whole(1, 3)(value, 'x')).toThrow('x must be a whole number from 1 to 3')
  expect(() => whole()(2 ** 53, 'x')).toThrow('x must be a whole number')
})

it('finite numbers may be fractions, nothing else', () => {
  expect(finite(1.5, 'x')).toBe(1.5)
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, '1']) expect(() => finite(value, 'x')).toThrow('x must be a number')
})

it('a literal is one of its values, by type as well', () => {
  expect(literal<'a' | 1>('a', 1)(1, 'x')).toBe(1)
  expect(() => literal<'a' | 1>('a', 1)('1', 'x')).toThrow('x must be one of a, 1, found "1"')
})

it('anything is anything', () => expect([anything(null), anything('x')]).toEqual([null, 'x']))

describe('a variant', () => {
  type Animal = { readonly kind: 'cat'; readonly lives: number } | { readonly kind: 'dog'; readonly name: string }
  const shapes = {
    cat: object({ kind: literal('cat'), lives: whole(0, 9) }),
    dog: object({ kind: literal('dog'), name: asText }),
  }
  const shape = variant<Animal, 'kind'>('kind', shapes)

  it('is read by the shape of its kind', () => {
    expect(shape({ kind: 'cat', lives: 9 }, 'x')).toEqual({ kind: 'cat', lives: 9 })
    expect(() => shape({ kind: 'dog', lives: 9 }, 'x')).toThrow('x.lives must be absent')
  })

  it("of an unknown kind is refused, by an error of one's own where one is given", () => {
    expect(() => shape({ kind: 'cow' }, 'x')).toThrow('x.kind must be one of cat, dog, found "cow"')
    expect(() => shape({ kind: 'toString' }, 'x')).toThrow('x.kind must be one of cat, dog')
    expect(() => variant<Animal, 'kind'>('kind', shapes, (kind) => new RangeError(`no ${kind}`))({ kind: 'cow' }, 'x')).toThrow(
      new RangeError('no cow'),
    )
  })
})
