// Server-sent events survive any cutting of the stream, and only they.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { eventParser, formatEvent, HEARTBEAT } from '../../src/api/sse.ts'

describe('an event stream', () => {
  it('gives what was written, however it is cut into pieces, heartbeats left out', () => {
    const messages = fc.array(fc.oneof(fc.json(), fc.constant(null)), { maxLength: 8 })
    fc.assert(
      fc.property(messages, fc.array(fc.nat(60), { maxLength: 30 }), (sent, cuts) => {
        const text = sent.map((data, id) => (data === null ? HEARTBEAT : formatEvent(data, id))).join('')
        const parse = eventParser()
        const got: string[] = []
        let rest = text
        for (const cut of cuts) {
          got.push(...parse(rest.slice(0, cut)))
          rest = rest.slice(cut)
        }
        got.push(...parse(rest))
        expect(got).toEqual(sent.filter((data) => data !== null))
      }),
    )
  })

  it('names the id of an event before its data, as browsers need it to resume', () => {
    expect(formatEvent('{"a":1}', 42)).toBe('id: 42\ndata: {"a":1}\n\n')
    expect(formatEvent('1')).toBe('data: 1\n\n')
  })

  it('holds an event back until it is complete', () => {
    const parse = eventParser()
    expect(parse('data: 1\n')).toEqual([])
    expect(parse('\n')).toEqual(['1'])
  })

  it('joins data of several lines, with and without the space that may follow the colon', () => {
    expect(eventParser()('data:{"a":\ndata: 1}\n\n')).toEqual(['{"a":\n1}'])
  })

  it('is refused when one event never ends', () => {
    const parse = eventParser()
    const endless = 'x'.repeat(1024 ** 2)
    const feed = (): void => {
      for (let piece = 0; piece < 5; piece += 1) parse(endless)
    }
    expect(feed).toThrow(OperationError)
  })
})
