// Rounds of reads, as the leader keeps them.
import { describe, expect, test } from 'vitest'
import { MAX_WAITING_READS, ReadRounds } from '../../src/consensus/read-index.ts'
import { confOf } from './member.ts'

const three = confOf([1, 2, 3])

describe('ReadRounds, on leader 1 of voters 1 2 3', () => {
  test('a read is confirmed by a quorum’s answer to its round, with the commit index of when the round began', () => {
    const rounds = new ReadRounds()
    rounds.add({ from: 1, requestId: 70 })
    const round = rounds.begin(5)
    expect(rounds.takeConfirmed(three, 1)).toEqual([])
    rounds.answered(2, round)
    expect(rounds.takeConfirmed(three, 1)).toMatchObject([{ from: 1, requestId: 70, index: 5 }])
    expect(rounds.takeConfirmed(three, 1)).toEqual([])
  })

  test('a read never joins a round that has begun', () => {
    const rounds = new ReadRounds()
    rounds.add({ from: 1, requestId: 1 })
    const first = rounds.begin(5)
    rounds.add({ from: 1, requestId: 2 })
    rounds.answered(2, first)
    expect(rounds.takeConfirmed(three, 1)).toMatchObject([{ requestId: 1 }])
    const second = rounds.begin(8)
    rounds.answered(3, first)
    expect(rounds.takeConfirmed(three, 1)).toEqual([])
    rounds.answered(3, second)
    expect(rounds.takeConfirmed(three, 1)).toMatchObject([{ requestId: 2, index: 8 }])
  })

  test('no round has the number of another, also not after leadership was lost and won again', () => {
    const rounds = new ReadRounds()
    const numbers = Array.from({ length: 6 }, (_, count) => {
      if (count === 3) rounds.clear()
      rounds.add({ from: 1, requestId: count })
      return rounds.begin(1)
    })
    expect(new Set(numbers).size).toBe(6)
    expect(numbers).not.toContain(0)
  })

  test('a later round confirms the earlier ones too, in the order they came', () => {
    const rounds = new ReadRounds()
    rounds.add({ from: 2, requestId: 1 })
    rounds.begin(5)
    rounds.add({ from: 3, requestId: 2 })
    rounds.answered(2, rounds.begin(6))
    expect(rounds.takeConfirmed(three, 1)).toMatchObject([
      { from: 2, requestId: 1, index: 5 },
      { from: 3, requestId: 2, index: 6 },
    ])
  })

  test('a round without new reads goes on asking for the old ones, and without any it is no round', () => {
    const rounds = new ReadRounds()
    expect(rounds.begin(1)).toBe(0)
    rounds.add({ from: 1, requestId: 1 })
    const first = rounds.begin(1)
    const second = rounds.begin(9)
    expect(second).toBeGreaterThan(first)
    rounds.answered(2, second)
    expect(rounds.takeConfirmed(three, 1)).toMatchObject([{ index: 1 }])
    expect(rounds.begin(9)).toBe(0)
  })

  test('asked are the fewest that make a quorum of both halves; nobody can say whom before enough have answered', () => {
    const rounds = new ReadRounds()
    const joint = { ...confOf([1, 2, 3], [9]), outgoing: [1, 4, 5] }
    rounds.add({ from: 1, requestId: 1 })
    const round = rounds.begin(1)
    rounds.answered(9, round)
    rounds.answered(2, round)
    expect(rounds.whomToAsk(joint, 1)).toBeUndefined()
    expect(rounds.whomToAsk(three, 1)).toEqual(new Set([2]))
    rounds.answered(5, round)
    rounds.answered(4, round)
    expect(rounds.whomToAsk(joint, 1)).toEqual(new Set([2, 5]))
    expect(rounds.whomToAsk(confOf([1], [9]), 1)).toEqual(new Set())
    rounds.clear()
    expect(rounds.whomToAsk(three, 1)).toBeUndefined()
  })

  test('learners and strangers confirm nothing, a sole voter confirms by itself', () => {
    const rounds = new ReadRounds()
    rounds.add({ from: 1, requestId: 1 })
    const round = rounds.begin(1)
    rounds.answered(4, round)
    rounds.answered(5, round)
    expect(rounds.takeConfirmed(confOf([1, 2, 3], [4]), 1)).toEqual([])
    expect(rounds.takeConfirmed(confOf([1], [4]), 1)).toHaveLength(1)
  })

  test('after clear nothing of before is confirmed by anyone', () => {
    const rounds = new ReadRounds()
    rounds.add({ from: 1, requestId: 1 })
    const round = rounds.begin(1)
    rounds.add({ from: 1, requestId: 2 })
    rounds.clear()
    rounds.answered(2, round)
    expect(rounds.hasNext).toBe(false)
    expect(rounds.takeConfirmed(three, 1)).toEqual([])
  })

  test('holds a limited number of reads', () => {
    const rounds = new ReadRounds()
    for (let requestId = 1; requestId <= MAX_WAITING_READS; requestId++) rounds.add({ from: 1, requestId })
    expect(rounds.add({ from: 1, requestId: 0 })).toBe(false)
    rounds.begin(1)
    expect(rounds.add({ from: 1, requestId: 0 })).toBe(false)
  })
})
