// Configuration changes as bytes: they come back, and what was never written is refused.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { decodeConfChange, encodeConfChange } from '../../src/consensus/conf-codec.ts'
import { type ConfChange, type ConfChangeStep } from '../../src/consensus/types.ts'

const anyChange: fc.Arbitrary<ConfChange> = fc.record({
  transition: fc.constantFrom<ConfChange['transition'][]>('auto', 'implicit', 'explicit'),
  changes: fc.array(
    fc.record({
      kind: fc.constantFrom<ConfChangeStep['kind'][]>('add-voter', 'add-learner', 'remove', 'update'),
      node: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    }),
    { maxLength: 6 },
  ),
  context: fc.uint8Array({ maxLength: 30 }),
})

describe('a configuration change as bytes', () => {
  test('comes back as it was, with ids up to the largest safe integer', () => {
    fc.assert(
      fc.property(anyChange, (change) => {
        expect(decodeConfChange(encodeConfChange(change))).toEqual(change)
      }),
    )
  })

  test('comes back also from the middle of a larger buffer', () => {
    const change: ConfChange = { transition: 'implicit', changes: [{ kind: 'remove', node: 7 }], context: Uint8Array.of(1, 2) }
    const encoded = encodeConfChange(change)
    const buffer = new Uint8Array(encoded.length + 8).fill(255)
    buffer.set(encoded, 4)
    expect(decodeConfChange(buffer.subarray(4, 4 + encoded.length))).toEqual(change)
  })

  test('leaving a joint configuration takes no bytes at all', () => {
    expect(encodeConfChange({ transition: 'auto', changes: [], context: new Uint8Array(0) })).toHaveLength(0)
    expect(decodeConfChange(new Uint8Array(0))).toEqual({ transition: 'auto', changes: [], context: new Uint8Array(0) })
  })

  test('has the bytes that were written when version 1 was made', () => {
    const change: ConfChange = { transition: 'explicit', changes: [{ kind: 'add-learner', node: 5 }], context: Uint8Array.of(9) }
    expect([...encodeConfChange(change)]).toEqual([1, 2, 0, 1, 1, 0x40, 0x14, 0, 0, 0, 0, 0, 0, 9])
  })

  test.each([
    ['a version of the future', [2, 0, 0, 0], 'version 2'],
    ['a cut head', [1, 0], '2 bytes'],
    ['an unknown transition', [1, 3, 0, 0], 'transition 3'],
    ['a cut list', [1, 0, 0, 1, 0], '1 steps need 13'],
    ['an unknown step', [1, 0, 0, 1, 9, 0x40, 0x14, 0, 0, 0, 0, 0, 0], 'step kind 9'],
    ['node 0', [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], 'node 0'],
  ])('refuses %s, naming what it found', (_, bytes, found) => {
    const decode = () => decodeConfChange(Uint8Array.from(bytes))
    expect(decode).toThrow(OperationError)
    expect(decode).toThrow(found)
  })

  test('never fails otherwise than by OperationError, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (data) => {
        try {
          decodeConfChange(data)
        } catch (error) {
          expect(error).toBeInstanceOf(OperationError)
        }
      }),
    )
  })
})
