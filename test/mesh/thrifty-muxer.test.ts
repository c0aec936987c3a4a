// The frames of yamux on their way to a connection: in one piece, and those that only tell of room seldom.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type MessageStream } from '@libp2p/interface'
import { thrifty } from '../../src/mesh/thrifty-muxer.ts'

const [DATA, WINDOW_UPDATE, PING] = [0, 1, 2]
const [SYN, FIN, RESET] = [1, 4, 8]
const KIB = 1024

type Sent = Parameters<MessageStream['send']>[0]

function connection(): { readonly send: (frame: Sent) => boolean; readonly sent: Sent[] } {
  const sent: Sent[] = []
  const { send } = thrifty({ send: (frame: Sent) => sent.push(frame) % 2 === 0 })
  return { send, sent }
}

function header(type: number, flags: number, stream: number, length: number): Uint8Array {
  const bytes = new Uint8Array(12)
  const view = new DataView(bytes.buffer)
  view.setUint8(1, type)
  view.setUint16(2, flags)
  view.setUint32(4, stream)
  view.setUint32(8, length)
  return bytes
}

/** As yamux hands over a frame with data: a list of pieces. */
function list(...pieces: readonly Uint8Array[]): Sent {
  const whole = Uint8Array.from(pieces.flatMap((piece) => [...piece]))
  return { subarray: () => whole, byteLength: whole.length } as unknown as Sent
}

describe('a frame', () => {
  it('with data leaves in one piece, and the answer of the connection comes back', () => {
    const { send, sent } = connection()
    const frame = list(header(DATA, 0, 1, 3), Uint8Array.of(7, 8, 9))
    expect([send(frame), send(frame)]).toEqual([false, true])
    expect(sent).toEqual([Uint8Array.of(...header(DATA, 0, 1, 3), 7, 8, 9), Uint8Array.of(...header(DATA, 0, 1, 3), 7, 8, 9)])
  })

  it('of any other kind, and what is too short to be one, leaves as it came', () => {
    const { send, sent } = connection()
    const frames = [header(PING, SYN, 0, 5), header(3, 0, 0, 0), header(WINDOW_UPDATE, SYN, 1, 9), Uint8Array.of(1, 1, 0, 0)]
    for (const frame of frames) send(frame)
    expect(sent).toEqual(frames)
  })
})

describe('room in a window', () => {
  it('is told once it is 64 KiB, of each stream by itself', () => {
    const { send, sent } = connection()
    expect(send(header(WINDOW_UPDATE, 0, 1, 40 * KIB))).toBe(true)
    expect(send(header(WINDOW_UPDATE, 0, 2, 64 * KIB - 1))).toBe(true)
    expect(sent).toEqual([])
    send(header(WINDOW_UPDATE, 0, 1, 24 * KIB))
    expect(sent).toEqual([header(WINDOW_UPDATE, 0, 1, 64 * KIB)])
    send(header(WINDOW_UPDATE, 0, 2, 1))
    expect(sent.at(-1)).toEqual(header(WINDOW_UPDATE, 0, 2, 64 * KIB))
  })

  it.each([FIN, RESET])('is forgotten with its stream (flag %i)', (flag) => {
    const { send, sent } = connection()
    send(header(WINDOW_UPDATE, 0, 1, 60 * KIB))
    send(header(WINDOW_UPDATE, flag, 1, 0))
    send(header(WINDOW_UPDATE, 0, 1, 60 * KIB))
    expect(sent).toEqual([header(WINDOW_UPDATE, flag, 1, 0)])
  })

  it('is never held back beyond a quarter of the smallest window, and none is lost', () => {
    const updates = fc.array(fc.record({ stream: fc.integer({ min: 1, max: 3 }), room: fc.integer({ min: 1, max: 100 * KIB }) }))
    fc.assert(
      fc.property(updates, (given) => {
        const { send, sent } = connection()
        for (const { stream, room } of given) send(header(WINDOW_UPDATE, 0, stream, room))
        for (const stream of [1, 2, 3]) {
          const taken = given.filter((update) => update.stream === stream).reduce((sum, { room }) => sum + room, 0)
          const views = sent.map((frame) => new DataView(frame.subarray().slice().buffer))
          const told = views.filter((view) => view.getUint32(4) === stream).reduce((sum, view) => sum + view.getUint32(8), 0)
          expect(taken - told).toBeGreaterThanOrEqual(0)
          expect(taken - told).toBeLessThan(64 * KIB)
        }
      }),
    )
  })
})
