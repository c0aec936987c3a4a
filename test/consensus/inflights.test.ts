// The window of appends under way.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { Inflights } from '../../src/consensus/inflights.ts'

describe('Inflights', () => {
  test('is full at the number of messages it may hold', () => {
    const window = new Inflights(2, 1000)
    window.add(1, 10)
    expect(window.full).toBe(false)
    window.add(2, 10)
    expect(window.full).toBe(true)
  })

  test('is full once the bytes it may hold are reached, and the message that reaches them is taken', () => {
    const window = new Inflights(10, 100)
    window.add(1, 99)
    expect(window.full).toBe(false)
    window.add(2, 500)
    expect(window.full).toBe(true)
  })

  test('refuses to go beyond its limit', () => {
    const window = new Inflights(1, 100)
    window.add(1, 1)
    expect(() => window.add(2, 1)).toThrow(BugError)
  })

  test('an acknowledgement frees everything up to it and nothing behind it', () => {
    const window = new Inflights(3, 1000)
    for (const index of [2, 5, 9]) window.add(index, 1)
    window.freeUpTo(1)
    expect(window.count).toBe(3)
    window.freeUpTo(5)
    expect(window.count).toBe(1)
    window.freeUpTo(8)
    expect(window.count).toBe(1)
    window.freeUpTo(9)
    expect(window.count).toBe(0)
  })

  test('reset makes it empty', () => {
    const window = new Inflights(1, 10)
    window.add(1, 10)
    window.reset()
    expect(window.full).toBe(false)
    window.add(1, 10)
    expect(window.count).toBe(1)
  })

  test('holds exactly what was sent and not acknowledged, whatever comes in which order', () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('add'), step: fc.integer({ min: 1, max: 3 }), bytes: fc.integer({ min: 0, max: 40 }) }),
      fc.record({ kind: fc.constant('free'), step: fc.integer({ min: 0, max: 20 }), bytes: fc.constant(0) }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(action, { maxLength: 40 }), (limit, actions) => {
        const window = new Inflights(limit, 60)
        let held: { index: number; bytes: number }[] = []
        let last = 0
        for (const { kind, step, bytes } of actions) {
          const isFull = held.length >= limit || held.reduce((sum, message) => sum + message.bytes, 0) >= 60
          expect(window.full).toBe(isFull)
          expect(window.count).toBe(held.length)
          if (kind === 'free') {
            window.freeUpTo(last - step)
            held = held.filter((message) => message.index > last - step)
          } else if (!isFull) {
            last += step
            window.add(last, bytes)
            held.push({ index: last, bytes })
          }
        }
      }),
    )
  })
})
