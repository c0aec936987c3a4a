// Quorum arithmetic: tables, and a count one by one to compare with.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { committedIndex, majority, voteResult } from '../../src/consensus/quorum.ts'

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 7 })
const someVoters = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 7 })
const acknowledged = fc.dictionary(fc.integer({ min: 1, max: 9 }).map(String), fc.integer({ min: 0, max: 12 }))
const ballots = fc.dictionary(fc.integer({ min: 1, max: 9 }).map(String), fc.boolean())

describe('majority', () => {
  test.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [6, 4],
    [7, 4],
  ])('of %i voters is %i', (voters, needed) => {
    expect(majority(voters)).toBe(needed)
  })
})

describe('committedIndex', () => {
  const acks = (...pairs: [number, number][]) => {
    const map = new Map(pairs)
    return (id: number) => map.get(id)
  }

  test.each([
    ['one voter decides alone', [1], [], [[1, 7]], 7],
    [
      'two voters need both',
      [1, 2],
      [],
      [
        [1, 7],
        [2, 5],
      ],
      5,
    ],
    [
      'of three voters the second highest counts',
      [1, 2, 3],
      [],
      [
        [1, 9],
        [2, 5],
        [3, 7],
      ],
      7,
    ],
    ['a voter not heard of counts as nothing', [1, 2, 3], [], [[1, 9]], 0],
    [
      'of four voters three must have it',
      [1, 2, 3, 4],
      [],
      [
        [1, 9],
        [2, 8],
        [3, 7],
        [4, 6],
      ],
      7,
    ],
    [
      'of five voters three must have it',
      [1, 2, 3, 4, 5],
      [],
      [
        [1, 9],
        [2, 8],
        [3, 7],
        [4, 6],
        [5, 5],
      ],
      7,
    ],
    [
      'who is no voter does not count',
      [1, 2, 3],
      [],
      [
        [1, 9],
        [4, 9],
        [5, 9],
      ],
      0,
    ],
    [
      'a joint configuration needs both halves',
      [1, 2, 3],
      [3, 4, 5],
      [
        [1, 9],
        [2, 9],
        [3, 1],
        [4, 1],
        [5, 2],
      ],
      1,
    ],
  ] as [string, number[], number[], [number, number][], number][])('%s', (_, voters, outgoing, given, expected) => {
    expect(committedIndex({ voters, outgoing }, acks(...given))).toBe(expected)
  })

  test('of two voterless halves anything is committed, which no caller may take for an index of its log', () => {
    expect(committedIndex({ voters: [], outgoing: [] }, () => 3)).toBe(Number.POSITIVE_INFINITY)
  })

  test('is the highest index that more than half of each half has, counted one by one', () => {
    fc.assert(
      fc.property(someVoters, ids, acknowledged, (voters, outgoing, given) => {
        const has = (id: number, index: number) => (given[String(id)] ?? 0) >= index
        const isCommitted = (index: number) =>
          [voters, outgoing].every((half) => half.length === 0 || half.filter((id) => has(id, index)).length * 2 > half.length)
        let slow = 0
        while (slow < 20 && isCommitted(slow + 1)) slow++
        expect(committedIndex({ voters, outgoing }, (id) => given[String(id)])).toBe(slow)
      }),
    )
  })

  test('never depends on the order of the voters', () => {
    fc.assert(
      fc.property(someVoters, acknowledged, (voters, given) => {
        const index = (order: readonly number[]) => committedIndex({ voters: order, outgoing: [] }, (id) => given[String(id)])
        expect(index(voters.toReversed())).toBe(index(voters))
      }),
    )
  })
})

describe('voteResult', () => {
  const votes = (...pairs: [number, boolean][]) => new Map(pairs)

  test.each([
    ['nobody has voted', [1, 2, 3], [], [], 'pending'],
    ['one of three is not enough', [1, 2, 3], [], [[1, true]], 'pending'],
    [
      'two of three win',
      [1, 2, 3],
      [],
      [
        [1, true],
        [2, true],
      ],
      'won',
    ],
    [
      'two of three against lose',
      [1, 2, 3],
      [],
      [
        [1, false],
        [2, false],
      ],
      'lost',
    ],
    [
      'two of four do not win',
      [1, 2, 3, 4],
      [],
      [
        [1, true],
        [2, true],
      ],
      'pending',
    ],
    [
      'two of four against lose',
      [1, 2, 3, 4],
      [],
      [
        [1, false],
        [2, false],
      ],
      'lost',
    ],
    [
      'a stranger’s vote is none',
      [1, 2, 3],
      [],
      [
        [1, true],
        [7, true],
      ],
      'pending',
    ],
    [
      'one half won, the other open',
      [1, 2],
      [3, 4],
      [
        [1, true],
        [2, true],
        [3, true],
      ],
      'pending',
    ],
    [
      'one half won, the other lost',
      [1, 2],
      [3, 4],
      [
        [1, true],
        [2, true],
        [3, false],
      ],
      'lost',
    ],
    [
      'both halves won',
      [1, 2],
      [2, 3],
      [
        [1, true],
        [2, true],
        [3, true],
      ],
      'won',
    ],
  ] as [string, number[], number[], [number, boolean][], string][])('%s', (_, voters, outgoing, given, expected) => {
    expect(voteResult({ voters, outgoing }, votes(...given))).toBe(expected)
  })

  test('is decided when and only when no vote still to come can change it', () => {
    fc.assert(
      fc.property(someVoters, ids, ballots, (voters, outgoing, given) => {
        const known = new Map(Object.entries(given).map(([id, vote]) => [Number(id), vote]))
        // With all open votes for or against it, what would a plain count say?
        const wins = (open: boolean) =>
          [voters, outgoing].every((half) => half.length === 0 || half.filter((id) => known.get(id) ?? open).length * 2 > half.length)
        const expected = wins(false) ? 'won' : wins(true) ? 'pending' : 'lost'
        expect(voteResult({ voters, outgoing }, known)).toBe(expected)
      }),
    )
  })

  test('two candidates never both win, whatever anyone votes, if everyone votes once', () => {
    fc.assert(
      fc.property(someVoters, ids, ballots, (voters, outgoing, given) => {
        const first = new Map(Object.entries(given).map(([id, vote]) => [Number(id), vote]))
        const second = new Map([...first].map(([id, vote]) => [id, !vote]))
        const results = [first, second].map((side) => voteResult({ voters, outgoing }, side))
        expect(results).not.toEqual(['won', 'won'])
      }),
    )
  })
})
