// Frames: what goes in comes out, and whatever comes in, nothing worse than an OperationError comes out.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { OperationError } from '../../src/base/errors.ts'
import { decodeMessage, encodeMessage } from '../../src/consensus/codec.ts'
import { type Message } from '../../src/consensus/types.ts'
import { anyEntriesAfter, anyMessage } from '../fixture/raft-arbitraries.ts'

const anyGeneration = fc.integer({ min: 0, max: 0xffff_ffff })

/** The error of decoding, or undefined. Anything but a malformed frame fails the test. */
function errorOf(bytes: Uint8Array): OperationError | undefined {
  try {
    decodeMessage(bytes)
    return undefined
  } catch (error) {
    expect(error).toBeInstanceOf(OperationError)
    expect(error).toMatchObject({ code: 'failed', data: { kind: 'malformed' } })
    return error as OperationError
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

const APPEND: Message = {
  kind: 'append',
  from: 1,
  to: 2,
  term: 3,
  index: 4,
  logTerm: 2,
  commit: 4,
  entries: [
    { index: 5, term: 2, kind: 'normal', data: Uint8Array.of(0xaa, 0xbb) },
    { index: 6, term: 3, kind: 'config', data: new Uint8Array(0) },
  ],
}

describe('a frame', () => {
  it('comes out as it went in, with its generation, for every kind of message', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(anyMessage, anyGeneration, (message, generation) => {
        seen.add(message.kind)
        expect(decodeMessage(encodeMessage(message, generation))).toEqual({ message, generation })
      }),
      { numRuns: 500 },
    )
    expect(seen.size).toBe(14)
  })

  it('has the layout that members of other versions know', () => {
    expect(hex(encodeMessage(APPEND, 7))).toBe(
      [
        '01 05 00 00 00000007 0000000000000001 0000000000000002 0000000000000003',
        '0000000000000004 0000000000000002 0000000000000004 00000002',
        '00000002 01 000000 0000000000000005 0000000000000002 aabb',
        '00000000 02 000000 0000000000000006 0000000000000003',
      ]
        .join('')
        .replaceAll(' ', ''),
    )
    const conf = { voters: [1], outgoing: [], learners: [], learnersNext: [], autoLeave: false }
    const envelope = { from: 1, to: 2, term: 3 }
    const heads: readonly (readonly [string, Message])[] = [
      ['01010100', { ...envelope, kind: 'pre-vote', index: 1, logTerm: 1, force: true, held: 0, commit: 0, commitTerm: 0 }],
      ['01010000', { ...envelope, kind: 'pre-vote', index: 1, logTerm: 1, force: false, held: 0, commit: 0, commitTerm: 0 }],
      ['01020100', { ...envelope, kind: 'pre-vote-response', reject: true, held: 0, commit: 0, commitTerm: 0 }],
      ['01030100', { ...envelope, kind: 'vote', index: 1, logTerm: 1, force: true, held: 0, commit: 0, commitTerm: 0 }],
      ['01040100', { ...envelope, kind: 'vote-response', reject: true, held: 0, commit: 0, commitTerm: 0 }],
      ['01060100', { ...envelope, kind: 'append-response', index: 1, reject: true, hintIndex: 1, hintTerm: 1 }],
      ['01070000', { ...envelope, kind: 'heartbeat', commit: 1, readContext: 1, held: 0, holdings: [] }],
      ['01080000', { ...envelope, kind: 'heartbeat-response', readContext: 1 }],
      ['01090000', { ...envelope, kind: 'snapshot', snapshot: { index: 1, term: 1, conf } }],
      ['010a0000', { ...envelope, kind: 'propose', entries: [] }],
      ['010b0000', { ...envelope, kind: 'read-index', requestId: 1 }],
      ['010c0000', { ...envelope, kind: 'read-index-response', requestId: 1, index: 1 }],
      ['010d0000', { ...envelope, kind: 'transfer-leader', target: 1 }],
      ['010e0000', { ...envelope, kind: 'timeout-now' }],
    ]
    for (const [head, message] of heads) expect(hex(encodeMessage(message, 0).subarray(0, 4)), message.kind).toBe(head)
  })

  it('is canonical: bytes that can be read are the bytes that would be written', () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, at, change) => {
        const bytes = encodeMessage(message, 3)
        bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ change
        if (errorOf(bytes) !== undefined) return
        const frame = decodeMessage(bytes)
        expect(hex(encodeMessage(frame.message, frame.generation))).toBe(hex(bytes))
      }),
      { numRuns: 2000 },
    )
  })

  it('that was cut short anywhere, or is followed by anything, is refused', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const bytes = encodeMessage(message, 3)
        for (let length = 0; length < bytes.length; length += 1)
          expect(errorOf(bytes.subarray(0, length)), `cut at ${length}`).toBeDefined()
        expect(errorOf(Uint8Array.of(...bytes, 0))).toBeDefined()
      }),
    )
  })

  it('of random bytes is refused or read, behind a right header too', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 16 }), (bytes, kind) => {
        errorOf(bytes)
        errorOf(Uint8Array.of(1, kind, 0, 0, ...bytes))
      }),
      { numRuns: 3000 },
    )
  })

  it('may lie anywhere in a larger buffer', () => {
    const bytes = encodeMessage(APPEND, 9)
    const buffer = new Uint8Array(bytes.length + 13).fill(0xff)
    buffer.set(bytes, 5)
    expect(decodeMessage(buffer.subarray(5, 5 + bytes.length))).toEqual({ message: APPEND, generation: 9 })
  })

  it('leaves nothing behind that points into the bytes it was read from', () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const bytes = encodeMessage(message, 1)
        const decoded = decodeMessage(bytes)
        bytes.fill(0xee)
        expect(decoded.message).toEqual(message)
      }),
    )
  })
})

describe('a hostile frame', () => {
  /** A frame of `kind` with this body. */
  const frame = (kind: number, ...body: readonly number[]): Uint8Array =>
    Uint8Array.of(1, kind, 0, 0, 0, 0, 0, 0, ...u64(1), ...u64(2), ...u64(3), ...body)
  const u32 = (value: number): number[] => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255]
  const u64 = (value: number): number[] => [...u32(Math.floor(value / 2 ** 32)), ...u32(value >>> 0)]

  it.each<readonly [string, Uint8Array, RegExp]>([
    ['of another format', Uint8Array.of(2, 14), /format: 2 instead of 1/],
    ['of an unknown kind', frame(15), /unknown code 15/],
    ['of kind 0', frame(0), /unknown code 0/],
    ['from nobody', Uint8Array.of(1, 14, 0, 0, 0, 0, 0, 0, ...u64(0), ...u64(2), ...u64(3)), /from: it is 0/],
    ['to nobody', Uint8Array.of(1, 14, 0, 0, 0, 0, 0, 0, ...u64(1), ...u64(0), ...u64(3)), /to: it is 0/],
    [
      'with a term beyond 2^53',
      Uint8Array.of(1, 14, 0, 0, 0, 0, 0, 0, ...u64(1), ...u64(2), 0, 0x20, 0, 0, 0, 0, 0, 0),
      /term: it is larger/,
    ],
    ['with four billion entries', frame(5, ...u64(0), ...u64(0), ...u64(0), ...u32(0xffff_ffff)), /cannot fit/],
    [
      'with an entry of four billion bytes',
      frame(5, ...u64(0), ...u64(0), ...u64(0), ...u32(1), ...u32(0xffff_ffff), 1, 0, 0, 0, ...u64(1), ...u64(1)),
      /bytes wanted, 0 left/,
    ],
    ['with four billion proposals', frame(10, ...u32(0xffff_ffff)), /cannot fit/],
    ['with four billion voters', frame(9, ...u64(1), ...u64(1), 0, ...u32(0xffff_ffff)), /cannot fit/],
    [
      'with a gap before its entries',
      frame(5, ...u64(4), ...u64(1), ...u64(0), ...u32(1), ...u32(0), 1, 0, 0, 0, ...u64(6), ...u64(1)),
      /6 after 4/,
    ],
    [
      'with an entry of an earlier term',
      frame(5, ...u64(4), ...u64(2), ...u64(0), ...u32(1), ...u32(0), 1, 0, 0, 0, ...u64(5), ...u64(1)),
      /1 after 2/,
    ],
    [
      'with an entry of an unknown kind',
      frame(5, ...u64(0), ...u64(0), ...u64(0), ...u32(1), ...u32(0), 3, 0, 0, 0, ...u64(1), ...u64(1)),
      /entry kind: unknown code 3/,
    ],
    [
      'with a flag that its kind has not',
      Uint8Array.of(1, 14, 1, 0, 0, 0, 0, 0, ...u64(1), ...u64(2), ...u64(3)),
      /flags: 1 has no meaning/,
    ],
  ])('%s is refused by name', (_name, bytes, message) => {
    expect(errorOf(bytes)?.message).toMatch(message)
  })
})

describe('as a bug is refused', () => {
  it('a number that no frame can hold', () => {
    for (const term of [-1, 1.5, 2 ** 53, Number.NaN]) {
      expect(() => encodeMessage({ kind: 'timeout-now', from: 1, to: 2, term }, 0)).toThrow(BugError)
    }
  })
  it('a generation that is no uint32', () => {
    for (const generation of [-1, 0.5, 2 ** 32])
      expect(() => encodeMessage({ kind: 'timeout-now', from: 1, to: 2, term: 1 }, generation)).toThrow(BugError)
  })
})

it('entries of one message share one buffer of no more than the message', () => {
  fc.assert(
    fc.property(anyEntriesAfter(4, 2), (entries) => {
      const bytes = encodeMessage({ ...APPEND, entries }, 1)
      const { message } = decodeMessage(bytes)
      const buffers = new Set(message.kind === 'append' ? message.entries.map(({ data }) => data.buffer) : [])
      expect(buffers.size).toBeLessThanOrEqual(1)
      for (const buffer of buffers) expect(buffer.byteLength).toBeLessThan(bytes.length)
    }),
  )
})
