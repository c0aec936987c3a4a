// Waiting for a condition: what counts as an answer, and what a wait in vain says.
import { describe, expect, it } from 'vitest'
import { waitFor } from './wait-for.ts'

describe('waitFor', () => {
  it('gives the first answer that is neither undefined nor false, though the look threw before', async () => {
    const looks = [() => undefined, () => false, () => fail('not there'), () => 0]
    expect(await waitFor('a number', () => looks.shift()?.(), { everyMs: 1 })).toBe(0)
    expect(looks).toEqual([])
  })

  it('looks once at least, whatever the limit', async () => {
    expect(await waitFor('what is there', () => Promise.resolve('here'), { limitMs: 0 })).toBe('here')
  })

  it('fails after the limit, with what it waited for and what it saw last', async () => {
    await expect(waitFor('the tide', () => fail('no sea here'), { limitMs: 5, everyMs: 1 })).rejects.toThrow(
      'waited 5 ms for the tide; last: no sea here',
    )
    await expect(waitFor('the tide', () => false, { limitMs: 5, everyMs: 1 })).rejects.toThrow('waited 5 ms for the tide; last: false')
  })
})

function fail(message: string): never {
  throw new Error(message)
}
