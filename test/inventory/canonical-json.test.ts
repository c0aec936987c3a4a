// One value, one text: whatever order its keys came in.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, inKeyOrder } from '../../src/inventory/canonical-json.ts'

const records = fc.dictionary(fc.string(), fc.jsonValue())

describe('values with keys in any order', () => {
  it('have one text, whichever way they were made', () => {
    fc.assert(
      fc.property(records, (record) => {
        const reversed = Object.fromEntries(Object.entries(record).toReversed())
        expect(canonicalJson(reversed)).toBe(canonicalJson(record))
        expect(JSON.stringify(inKeyOrder(reversed))).toBe(canonicalJson(record))
      }),
    )
  })

  it('keep what they hold, nested objects and lists too', () => {
    const value = { b: [{ z: 1, a: null }], a: { d: 'x', c: [2, 1] } }
    expect(inKeyOrder(value)).toEqual(value)
    expect(JSON.stringify(inKeyOrder(value))).toBe('{"a":{"c":[2,1],"d":"x"},"b":[{"a":null,"z":1}]}')
  })
})
