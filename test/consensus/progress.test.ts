// What a leader knows of one member: acknowledgements, rejections, states, the commit index it was sent.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { Inflights } from '../../src/consensus/inflights.ts'
import { Progress } from '../../src/consensus/progress.ts'

function fresh(options: { next?: number; match?: number; window?: number } = {}): Progress {
  const inflights = new Inflights(options.window ?? 10, 1000)
  const progress = new Progress({ next: options.next ?? 5, learner: false, recentActive: false, inflights })
  if (options.match !== undefined) progress.maybeUpdate(options.match)
  return progress
}

describe('acknowledgements', () => {
  test('move match and next forward, never back, and end a pause', () => {
    const progress = fresh({ next: 5 })
    progress.paused = true
    expect(progress.maybeUpdate(7)).toBe(true)
    expect([progress.match, progress.next, progress.paused]).toEqual([7, 8, false])
    expect(progress.maybeUpdate(7)).toBe(false)
    expect(progress.maybeUpdate(3)).toBe(false)
    expect([progress.match, progress.next]).toEqual([7, 8])
  })

  test('of less than what is under way leave next where it is', () => {
    const progress = fresh({ next: 9 })
    progress.maybeUpdate(4)
    expect([progress.match, progress.next]).toEqual([4, 9])
  })
})

describe('rejections', () => {
  test('in probe move next to behind the hint, and end the pause', () => {
    const progress = fresh({ next: 10 })
    progress.paused = true
    expect(progress.maybeDecreaseTo(9, 4)).toBe(true)
    expect([progress.next, progress.paused]).toEqual([5, false])
  })

  test('never move next up, nor to what is acknowledged', () => {
    const progress = fresh({ next: 10, match: 6 })
    expect(progress.maybeDecreaseTo(9, 20)).toBe(true)
    expect(progress.next).toBe(9)
    expect(progress.maybeDecreaseTo(8, 2)).toBe(true)
    expect(progress.next).toBe(7)
  })

  test('in probe of another append than the one that is out are old news', () => {
    const progress = fresh({ next: 10 })
    progress.paused = true
    expect(progress.maybeDecreaseTo(5, 1)).toBe(false)
    expect([progress.next, progress.paused]).toEqual([10, true])
  })

  test('in replicate go back to what is acknowledged, unless they are older than that', () => {
    const progress = fresh({ next: 5, match: 6 })
    progress.becomeReplicate()
    progress.sentEntries(3, 30)
    expect(progress.maybeDecreaseTo(6, 2)).toBe(false)
    expect(progress.next).toBe(10)
    expect(progress.maybeDecreaseTo(8, 2)).toBe(true)
    expect(progress.next).toBe(7)
  })
})

describe('states', () => {
  test('probe sends one append and pauses; an empty one costs nothing', () => {
    const progress = fresh({ next: 5 })
    progress.sentEntries(0, 0)
    expect(progress.isPaused).toBe(false)
    progress.sentEntries(2, 20)
    expect([progress.isPaused, progress.next]).toEqual([true, 5])
  })

  test('replicate goes on until its window is full, and pauses then', () => {
    const progress = fresh({ match: 4, window: 2 })
    progress.becomeReplicate()
    progress.sentEntries(1, 10)
    expect([progress.next, progress.isPaused]).toEqual([6, false])
    progress.sentEntries(3, 10)
    expect([progress.next, progress.isPaused, progress.inflights.count]).toEqual([9, true, 2])
  })

  test('snapshot sends nothing, and goes on behind it when it has arrived, from before it when not', () => {
    const progress = fresh({ match: 4 })
    progress.becomeSnapshot(20)
    expect([progress.isPaused, progress.next]).toEqual([true, 21])
    expect(() => progress.sentEntries(1, 1)).toThrow(BugError)
    progress.becomeProbe()
    expect([progress.isPaused, progress.next]).toEqual([false, 21])
    progress.becomeSnapshot(30)
    progress.pendingSnapshot = 0
    progress.becomeProbe()
    expect(progress.next).toBe(5)
  })

  test('each change of state empties the window', () => {
    const progress = fresh({ match: 4, window: 1 })
    progress.becomeReplicate()
    progress.sentEntries(1, 10)
    progress.becomeProbe()
    expect([progress.inflights.count, progress.isPaused, progress.next]).toEqual([0, false, 5])
  })
})

describe('the commit index', () => {
  test('is worth sending only if the member could use it and was not sent it', () => {
    const progress = fresh({ match: 8 })
    progress.becomeReplicate()
    expect(progress.canBumpCommit(0)).toBe(false)
    expect(progress.canBumpCommit(5)).toBe(true)
    progress.sentCommit(5)
    expect(progress.canBumpCommit(5)).toBe(false)
    expect(progress.canBumpCommit(6)).toBe(true)
    progress.sentCommit(8)
    expect(progress.canBumpCommit(9), 'it has only 8 entries').toBe(false)
  })

  test('counts as not sent again where the append that carried it was refused or lost', () => {
    const progress = fresh({ next: 9, match: 3 })
    progress.becomeReplicate()
    progress.sentEntries(5, 5)
    progress.sentCommit(8)
    progress.becomeProbe()
    progress.maybeUpdate(6)
    expect(progress.canBumpCommit(8)).toBe(true)
  })
})

test('a promoted member stays as known as it was', () => {
  const progress = fresh({ match: 4, window: 1 })
  progress.becomeReplicate()
  progress.sentEntries(1, 10)
  progress.sentCommit(4)
  const promoted = progress.as(true)
  expect(promoted).toMatchObject({ learner: true, match: 4, next: 6, state: 'replicate', paused: true, pendingSnapshot: 0 })
  expect(promoted.inflights.count).toBe(1)
  expect(promoted.canBumpCommit(4)).toBe(false)
  expect(progress.as(false)).toBe(progress)
})

test('next stays above match, whatever happens in whatever order', () => {
  const event = fc.record({ kind: fc.nat(6), index: fc.integer({ min: 0, max: 30 }), hint: fc.integer({ min: 0, max: 30 }) })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const progress = fresh({ next: 10, window: 3 })
      for (const { kind, index, hint } of events) {
        const { match } = progress
        if (kind === 0) progress.maybeUpdate(index)
        if (kind === 1) progress.maybeDecreaseTo(index, hint)
        if (kind === 2) progress.becomeProbe()
        if (kind === 3) progress.becomeReplicate()
        if (kind === 4) progress.becomeSnapshot(Math.max(index, progress.match))
        if (kind === 5) progress.maybeDecreaseTo(progress.next - 1, hint)
        if (kind === 6 && !progress.isPaused && !progress.inflights.full) progress.sentEntries(hint % 3, 10)
        expect(progress.next).toBeGreaterThan(progress.match)
        expect(progress.match).toBeGreaterThanOrEqual(match)
      }
    }),
  )
})
