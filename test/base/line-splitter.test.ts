// Lines come out whole, however the bytes were cut, and an endless line is refused.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineSplitter } from '../../src/base/line-splitter.ts'

describe('a line splitter', () => {
  it('gives the same lines whatever the cuts, also inside a character', () => {
    const lines = fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !/[\r\n]/.test(text)))
    fc.assert(
      fc.property(lines, fc.array(fc.nat(60), { maxLength: 20 }), fc.boolean(), (wanted, cuts, crlf) => {
        const bytes = new TextEncoder().encode(wanted.map((line) => line + (crlf ? '\r\n' : '\n')).join(''))
        const splitter = new LineSplitter(1_000)
        const found: string[] = []
        let from = 0
        for (const cut of [...cuts, bytes.length]) {
          const to = Math.min(bytes.length, from + cut)
          const chunk = bytes.slice(from, to)
          found.push(...splitter.push(chunk))
          // Whoever reads may use its buffer again.
          chunk.fill(0)
          from = to
        }
        expect(found).toEqual(wanted)
      }),
    )
  })

  it('holds back a line until its end has come', () => {
    const splitter = new LineSplitter(10)
    const push = (text: string): string[] => splitter.push(new TextEncoder().encode(text))
    expect(push('abc')).toEqual([])
    expect(push('\nde\n\nf')).toEqual(['abc', 'de', ''])
    expect(push('\r\n')).toEqual(['f'])
  })

  it('refuses a line beyond the limit, wherever its bytes came from', () => {
    const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
    expect(new LineSplitter(3).push(encode('abc\n'))).toEqual(['abc'])
    expect(() => new LineSplitter(3).push(encode('abcd'))).toThrow(expect.objectContaining({ code: 'too-large' }))
    const splitter = new LineSplitter(3)
    splitter.push(encode('ab'))
    expect(() => splitter.push(encode('cd'))).toThrow(expect.objectContaining({ code: 'too-large' }))
  })
})
