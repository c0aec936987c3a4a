// The order in which voters stand for election when the leader's connection closed.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { campaignDelayMs } from '../../src/consensus/succession.ts'
import { type ConfState } from '../../src/consensus/types.ts'

const NO_OTHERS = { outgoing: [], learners: [], learnersNext: [], autoLeave: false }
const random = (value: number) => ({ float: () => value, bytes: () => new Uint8Array(0) })

it('two voters never stand within 40 ms of each other, whatever chance says, and the first within 40 ms', () => {
  const anyIds = fc.uniqueArray(
    fc.maxSafeNat().map((id) => id + 1),
    { minLength: 2, maxLength: 7 },
  )
  fc.assert(
    fc.property(
      anyIds,
      fc.nat(6),
      fc.array(fc.float({ min: 0, max: Math.fround(0.999), noNaN: true }), { minLength: 7, maxLength: 7 }),
      (ids, joint, chance) => {
        const lost = ids[0] ?? 0
        const conf: ConfState = { ...NO_OTHERS, voters: ids.slice(0, joint + 1), outgoing: ids.slice(joint) }
        const delays = ids
          .filter((id) => id !== lost)
          .map((id, at) => campaignDelayMs(conf, id, lost, random(chance[at] ?? 0)) ?? Number.NaN)
          .sort((a, b) => a - b)
        expect(delays[0]).toBeGreaterThanOrEqual(20)
        expect(delays[0]).toBeLessThanOrEqual(40)
        delays.slice(1).forEach((delay, at) => expect(delay - (delays[at] ?? 0)).toBeGreaterThanOrEqual(40))
      },
    ),
  )
})

it('goes by the order of ids, without the lost one', () => {
  const conf = { ...NO_OTHERS, voters: [9, 5, 7] }
  expect([5, 7, 9].map((id) => campaignDelayMs(conf, id, 5, random(0.5)))).toEqual([30, 30, 90])
  expect([5, 7, 9].map((id) => campaignDelayMs(conf, id, 9, random(0.5)))).toEqual([30, 90, 150])
})

it('is not for learners and strangers', () => {
  const conf = { ...NO_OTHERS, voters: [1, 2, 3], learners: [4] }
  expect(campaignDelayMs(conf, 4, 1, random(0))).toBeUndefined()
  expect(campaignDelayMs(conf, 5, 1, random(0))).toBeUndefined()
})
