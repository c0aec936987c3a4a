// Frames survive any cutting of the stream; hostile lengths end it.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeFrames, type Frame, FRAME, FRAME_HEADER_BYTES, FrameReader } from '../../src/mesh/frame.ts'

const frame = fc.record({ type: fc.integer({ min: 0, max: 255 }), payload: fc.uint8Array({ maxLength: 40 }) })

describe('a frame reader', () => {
  it('gives back the frames that were written, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (frames, cuts) => {
        const reader = new FrameReader(40)
        const read = pieces(encodeFrames(frames), cuts).flatMap((piece) => reader.read(piece))
        expect(read).toEqual(frames)
      }),
    )
  })

  it('holds back a frame until its last byte is there', () => {
    const reader = new FrameReader(10)
    const bytes = encodeFrames([{ type: FRAME.mail, payload: Uint8Array.of(1, 2, 3) }])
    expect(reader.read(bytes.subarray(0, -1))).toEqual([])
    expect(reader.read(bytes.subarray(-1))).toEqual([{ type: FRAME.mail, payload: Uint8Array.of(1, 2, 3) }])
  })

  it('gives an empty frame as soon as its header is there', () => {
    const reader = new FrameReader(0)
    const bytes = encodeFrames([{ type: FRAME.beat, payload: new Uint8Array(0) }])
    expect(bytes).toHaveLength(FRAME_HEADER_BYTES)
    expect(reader.read(bytes)).toEqual([{ type: FRAME.beat, payload: new Uint8Array(0) }])
  })

  it('copies payloads: a chunk that is used again changes nothing', () => {
    const bytes = encodeFrames([{ type: FRAME.mail, payload: Uint8Array.of(5) }])
    const [read] = new FrameReader(10).read(bytes)
    bytes.fill(0)
    expect(read?.payload).toEqual(Uint8Array.of(5))
  })

  it('takes the longest payload that is allowed and refuses one byte more, before any of it is there', () => {
    const longest: Frame = { type: FRAME.mail, payload: new Uint8Array(100) }
    expect(new FrameReader(100).read(encodeFrames([longest]))).toEqual([longest])
    expect(() => new FrameReader(99).read(encodeFrames([longest]).subarray(0, FRAME_HEADER_BYTES))).toThrow(
      expect.objectContaining({ code: 'too-large', message: expect.stringMatching(/100 bytes.*at most 99/) }),
    )
  })
})

it('frame types are numbers for ever: each only once, and none was changed', () => {
  expect(Object.values(FRAME)).toEqual(Array.from({ length: 18 }, (_, index) => index + 1))
})

function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const all: Uint8Array[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const length = cuts[turn % cuts.length] ?? 1
    all.push(bytes.subarray(at, at + length))
    at += length
  }
  return all
}
