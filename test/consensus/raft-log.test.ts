// The log in memory: tables, and a plain list that is rewritten step by step to compare with.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { hasCode, OperationError } from '../../src/base/errors.ts'
import { RaftLog } from '../../src/consensus/raft-log.ts'
import { type Entry, type StoredLog } from '../../src/consensus/types.ts'
import { confOf, entriesOf, snapshotAt } from './member.ts'

function stored(options: { terms?: readonly number[]; snapshot?: { index: number; term: number }; commit?: number }): StoredLog {
  const snapshot = { index: 0, term: 0, conf: confOf([1]), ...options.snapshot }
  return {
    hardState: { term: 9, vote: 0, commit: options.commit ?? 0 },
    snapshot,
    entries: entriesOf(options.terms ?? [], snapshot.index + 1),
  }
}

function logOf(terms: readonly number[], options: { commit?: number; applied?: number } = {}): RaftLog {
  return new RaftLog(stored({ terms, commit: options.commit ?? 0 }), options.applied ?? 0)
}

function termsOf(log: RaftLog): (number | undefined)[] {
  return Array.from({ length: log.lastIndex - log.firstIndex + 1 }, (_, offset) => log.term(log.firstIndex + offset))
}

/** `[index, term]` of entries. */
function idsOf(entries: readonly Entry[]): [number, number][] {
  return entries.map(({ index, term }) => [index, term])
}

test('never gives more than 4,000 entries at once, however small they are', () => {
  const log = logOf(
    Array.from({ length: 4001 }, () => 1),
    { commit: 4001 },
  )
  expect(log.entriesFrom(1, Number.POSITIVE_INFINITY)).toHaveLength(4000)
  expect(log.takeCommitted(Number.POSITIVE_INFINITY)).toHaveLength(4000)
  expect(idsOf(log.takeCommitted(Number.POSITIVE_INFINITY))).toEqual([[4001, 1]])
})

describe('opening', () => {
  test('knows first, last and terms, and the term of the snapshot before the first', () => {
    const log = new RaftLog(stored({ snapshot: { index: 5, term: 2 }, terms: [2, 3] }), 5)
    expect([log.firstIndex, log.lastIndex, log.lastTerm]).toEqual([6, 7, 3])
    expect([4, 5, 6, 7, 8].map((index) => log.term(index))).toEqual([undefined, 2, 2, 3, undefined])
  })

  test('takes the commit index from whatever proves most', () => {
    expect(logOf([1, 1, 1], { commit: 2 }).committed).toBe(2)
    expect(logOf([1, 1, 1], { commit: 1, applied: 3 }).committed).toBe(3)
    expect(new RaftLog(stored({ snapshot: { index: 5, term: 1 } }), 0).committed).toBe(5)
  })

  test('hands nothing out again that is saved, nor what is applied', () => {
    const log = logOf([1, 1, 1], { commit: 3, applied: 2 })
    expect(log.hasUnsaved()).toBe(false)
    expect(idsOf(log.takeCommitted(1000))).toEqual([[3, 1]])
  })

  test('refuses a log that ends before what was committed or applied, as damaged', () => {
    for (const [commit, applied] of [
      [4, 0],
      [0, 4],
    ] as const) {
      const open = () => logOf([1, 1, 1], { commit, applied })
      expect(open).toThrow(OperationError)
      expect(open).toThrow('it ends at 3, but 4 was committed')
    }
  })

  test('refuses a log with a hole, as damaged', () => {
    const holed = { ...stored({ terms: [1, 1, 1] }), entries: entriesOf([1, 1, 1]).filter(({ index }) => index !== 2) }
    expect(() => new RaftLog(holed, 0)).toThrow('entry 3 stands where 2 belongs')
  })
})

describe('isUpToDate (section 5.4.1)', () => {
  const log = logOf([1, 1, 2])

  test.each([
    ['a later term, though shorter', 1, 3, true],
    ['the same term and length', 3, 2, true],
    ['the same term and longer', 4, 2, true],
    ['the same term and shorter', 2, 2, false],
    ['an earlier term, though longer', 9, 1, false],
  ])('%s', (_, index, term, expected) => {
    expect(log.isUpToDate(index, term)).toBe(expected)
  })
})

describe('maybeAppend (section 5.3)', () => {
  test.each([
    ['at the end', 3, 2, [3], [1, 1, 2, 3], 4],
    ['entries already held change nothing', 1, 1, [1], [1, 1, 2], 2],
    ['none at all change nothing', 2, 1, [], [1, 1, 2], 2],
    ['a conflict cuts it and all behind it', 1, 1, [3], [1, 3], 2],
    ['only the part in conflict is replaced', 0, 0, [1, 1, 3, 3], [1, 1, 3, 3], 4],
  ])('%s', (_, index, term, terms, expected, last) => {
    const log = logOf([1, 1, 2])
    expect(log.maybeAppend(index, term, entriesOf(terms, index + 1))).toBe(last)
    expect(termsOf(log)).toEqual(expected)
  })

  test.each([
    ['another term there', 3, 1],
    ['nothing there', 4, 2],
  ])('is refused with %s, and changes nothing', (_, index, term) => {
    const log = logOf([1, 1, 2])
    expect(log.maybeAppend(index, term, entriesOf([5], index + 1))).toBeUndefined()
    expect(termsOf(log)).toEqual([1, 1, 2])
  })

  test('never replaces a committed entry', () => {
    const log = logOf([1, 1, 2], { commit: 2 })
    expect(() => log.maybeAppend(1, 1, entriesOf([5], 2))).toThrow(BugError)
  })
})

describe('findConflictByTerm', () => {
  test.each([
    [[1, 3, 3, 3, 5, 5, 5, 5, 5], 6, 2, { index: 1, term: 1 }],
    [[1, 3, 3, 4, 4, 5, 5, 5, 6], 8, 3, { index: 3, term: 3 }],
    [[2, 2], 2, 1, { index: 0, term: 0 }],
    [[2, 2], 2, 2, { index: 2, term: 2 }],
  ])('in %j from %i with term %i', (terms, index, term, expected) => {
    expect(logOf(terms).findConflictByTerm(index, term)).toEqual(expected)
  })

  test('stops at what is compacted, with an unknown term', () => {
    const log = new RaftLog(stored({ snapshot: { index: 5, term: 4 }, terms: [4] }), 5)
    expect(log.findConflictByTerm(6, 1)).toEqual({ index: 4, term: 0 })
  })
})

describe('commitTo', () => {
  test('never goes back', () => {
    const log = logOf([1, 1, 1], { commit: 2 })
    log.commitTo(1)
    expect(log.committed).toBe(2)
  })

  test('beyond its end says that the log has lost what it held', () => {
    try {
      logOf([1]).commitTo(2)
      expect.unreachable()
    } catch (error) {
      expect(hasCode(error, 'failed') && error.data['kind']).toBe('damaged')
    }
  })
})

describe('what goes out to be saved and applied', () => {
  test('each new entry goes out once to be saved, and again if it replaces one that went out', () => {
    const log = logOf([1])
    log.append(entriesOf([2, 2], 2))
    expect(idsOf(log.takeUnsaved())).toEqual([
      [2, 2],
      [3, 2],
    ])
    expect(log.hasUnsaved()).toBe(false)
    log.append(entriesOf([3], 3))
    expect(idsOf(log.takeUnsaved())).toEqual([[3, 3]])
  })

  test('committed entries go out once each, at most so many bytes at a time, but at least one', () => {
    const log = logOf([1, 1, 1], { commit: 3 })
    expect(idsOf(log.takeCommitted(1))).toEqual([[1, 1]])
    expect(idsOf(log.takeCommitted(1000))).toEqual([
      [2, 1],
      [3, 1],
    ])
    expect(log.hasCommitted()).toBe(false)
  })

  test('a snapshot replaces everything, and holds committed entries back until it is applied', () => {
    const log = logOf([1, 1, 1], { commit: 1 })
    const snapshot = snapshotAt(9, 4, confOf([1]))
    log.restore(snapshot)
    expect([log.firstIndex, log.lastIndex, log.lastTerm, log.committed]).toEqual([10, 9, 4, 9])
    log.append(entriesOf([5], 10))
    log.commitTo(10)
    expect(log.takeCommitted(1000)).toEqual([])
    log.snapshotApplied(snapshot)
    expect(idsOf(log.takeCommitted(1000))).toEqual([[10, 5]])
    expect(log.applied).toBe(9)
  })

  test('a snapshot that was overtaken by a newer one does not count as that one', () => {
    const log = logOf([])
    const [older, newer] = [snapshotAt(3, 1, confOf([1])), snapshotAt(7, 1, confOf([1]))]
    log.restore(older)
    log.restore(newer)
    log.snapshotApplied(older)
    expect(log.pendingSnapshot).toBe(newer)
  })

  test('compaction drops what is before, keeps the term of its last entry, and never happens twice', () => {
    const log = logOf([1, 2, 3], { commit: 3, applied: 3 })
    log.compact(2)
    log.compact(1)
    expect([log.firstIndex, log.lastIndex, log.term(1), log.term(2), log.term(3)]).toEqual([3, 3, undefined, 2, 3])
    expect(() => log.entriesFrom(2, 10)).toThrow(BugError)
  })
})

describe('against a plain array', () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), at: fc.nat(8), terms: fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 4 }) }),
    fc.record({ kind: fc.constant('commit' as const), at: fc.nat(4), terms: fc.constant([]) }),
    fc.record({ kind: fc.constant('apply' as const), at: fc.constant(0), terms: fc.constant([]) }),
    fc.record({ kind: fc.constant('compact' as const), at: fc.nat(3), terms: fc.constant([]) }),
    fc.record({ kind: fc.constant('save' as const), at: fc.constant(0), terms: fc.constant([]) }),
  )

  test('terms, saved entries and applied entries stay the same as those of a list that is rewritten step by step', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
        const log = logOf([])
        let all: number[] = []
        let disk: number[] = []
        let first = 1
        // As a Ready does: nothing is applied that was not handed out to be saved.
        const save = (): void => {
          const saved = log.takeUnsaved()
          const start = saved[0]
          if (start !== undefined) disk = [...disk.slice(0, start.index - 1), ...saved.map(({ term }) => term)]
          expect(disk).toEqual(all)
        }
        for (const { kind, at, terms } of actions) {
          const committed = log.committed
          if (kind === 'append') {
            // A leader's entries: their terms never fall along the log, and never touch what is committed.
            const from = Math.max(committed, all.length - at) + 1
            const base = all[from - 2] ?? 1
            let term = base
            const added = terms.map((rise) => (term += rise))
            log.append(entriesOf(added, from))
            if (added.length > 0) all = [...all.slice(0, from - 1), ...added]
          } else if (kind === 'commit') {
            log.commitTo(Math.min(all.length, committed + at))
          } else if (kind === 'apply') {
            save()
            const taken = log.takeCommitted(1_000_000)
            expect(taken.map(({ term }) => term)).toEqual(all.slice(log.applied, committed))
            log.appliedTo(committed)
          } else if (kind === 'compact') {
            log.compact(Math.max(0, log.applied - at))
            first = Math.max(first, log.applied - at + 1)
          } else {
            save()
          }
          expect([log.firstIndex, log.lastIndex]).toEqual([first, all.length])
          expect(termsOf(log)).toEqual(all.slice(first - 1))
        }
      }),
    )
  })
})
