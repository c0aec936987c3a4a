// Frames over a stream: coalesced, urgent first, dropped only where allowed, held until wanted, ended with a cause.
import { beforeEach, describe, expect, it } from 'vitest'
import { assert, BugError } from '../../src/base/assert.ts'
import { OperationError } from '../../src/base/errors.ts'
import { encodeFrames, type Frame, FRAME, FrameReader } from '../../src/mesh/frame.ts'
import { FrameStream } from '../../src/mesh/frame-stream.ts'
import { type WireStream, type WireStreamListener } from '../../src/mesh/wire.ts'
import { manualClock, type ManualClock } from '../fixture/manual-clock.ts'

/** A stream whose other end is the test: it takes writes as long as `takes` is true. */
class ScriptedStream implements WireStream {
  takes = true
  readonly writes: Uint8Array[] = []
  readonly calls: string[] = []
  #listener: WireStreamListener | undefined

  get far(): WireStreamListener {
    assert(this.#listener !== undefined, 'nobody listens')
    return this.#listener
  }

  listen(listener: WireStreamListener): void {
    this.#listener = listener
  }

  send(bytes: Uint8Array): boolean {
    this.writes.push(bytes.slice())
    return this.takes
  }

  pause(): void {
    this.calls.push('pause')
  }

  resume(): void {
    this.calls.push('resume')
  }

  close(): void {
    this.calls.push('close')
  }

  abort(cause: string): void {
    this.calls.push(`abort ${cause}`)
  }

  /** Frames in each write. */
  sent(): Frame[][] {
    const reader = new FrameReader(10_000_000)
    return this.writes.map((bytes) => reader.read(bytes))
  }
}

let clock: ManualClock
let wire: ScriptedStream
let stream: FrameStream

beforeEach(() => {
  clock = manualClock()
  wire = new ScriptedStream()
  stream = new FrameStream(wire, { maxFrameBytes: 1_000_000, maxWaitingBytes: 1000 })
})

describe('sending', () => {
  it('what one piece of work sends leaves as one write when it is done, urgent frames first, each kind in order', async () => {
    for (const number of [1, 2]) stream.send(FRAME.mail, Uint8Array.of(number), 'normal')
    for (const number of [3, 4]) stream.send(FRAME.mail, Uint8Array.of(number), 'urgent')
    expect(wire.writes).toEqual([])
    await clock.drain()
    expect(wire.sent().map((frames) => frames.map(({ payload }) => payload[0]))).toEqual([[3, 4, 1, 2]])
    stream.send(FRAME.beat, new Uint8Array(0), 'urgent')
    await clock.drain()
    expect(wire.sent()).toHaveLength(2)
  })

  it('a full stream gets nothing more until it drained, then urgent frames first', async () => {
    wire.takes = false
    stream.send(FRAME.mail, Uint8Array.of(1), 'normal')
    await clock.drain()
    expect(wire.writes).toHaveLength(1)
    stream.send(FRAME.mail, Uint8Array.of(2), 'normal')
    stream.send(FRAME.mail, Uint8Array.of(3), 'urgent')
    await clock.drain()
    expect(wire.writes).toHaveLength(1)
    wire.takes = true
    wire.far.onDrain()
    expect(wire.sent()[1]?.map(({ payload }) => payload[0])).toEqual([3, 2])
  })

  it('frames that may be dropped are dropped when too much waits; urgent ones still go', () => {
    expect(stream.send(FRAME.mail, new Uint8Array(600), 'normal')).toBe(true)
    expect(stream.send(FRAME.mail, new Uint8Array(390), 'normal')).toBe(true)
    expect(stream.send(FRAME.mail, new Uint8Array(1), 'normal')).toBe(false)
    expect(stream.send(FRAME.mail, new Uint8Array(5000), 'urgent')).toBe(true)
  })

  it('one frame that is longer than all that may wait still goes when nothing waits', () => {
    expect(stream.send(FRAME.mail, new Uint8Array(5000), 'normal')).toBe(true)
    expect(stream.send(FRAME.mail, new Uint8Array(1), 'normal')).toBe(false)
  })

  it('room for waiting frames comes back as they are written', async () => {
    stream.send(FRAME.mail, new Uint8Array(900), 'normal')
    await clock.drain()
    expect(stream.send(FRAME.mail, new Uint8Array(900), 'normal')).toBe(true)
  })

  it('even urgent frames have a limit, a megabyte, which is theirs again after a write', async () => {
    expect(stream.send(FRAME.mail, new Uint8Array(1024 * 1024 - 5), 'urgent')).toBe(true)
    expect(stream.send(FRAME.mail, new Uint8Array(0), 'urgent')).toBe(false)
    await clock.drain()
    expect(stream.send(FRAME.mail, new Uint8Array(0), 'urgent')).toBe(true)
  })

  it('writes are small, so that an urgent frame never waits behind much', async () => {
    const wide = new FrameStream(wire, { maxFrameBytes: 1_000_000, maxWaitingBytes: 10_000_000 })
    for (let number = 0; number < 100; number += 1) wide.send(FRAME.mail, new Uint8Array(10_000), 'normal')
    await clock.drain()
    expect(wire.sent().flat()).toHaveLength(100)
    expect(Math.max(...wire.writes.map(({ length }) => length))).toBeLessThanOrEqual(64 * 1024 + 5)
  })

  it('a long frame goes out in pieces that wait for the drain, with nothing in between', async () => {
    wire.takes = false
    const payload = Uint8Array.from({ length: 600_000 }, (_, index) => index % 251)
    stream.send(FRAME.mail, payload, 'normal')
    await clock.drain()
    expect(wire.writes.map(({ length }) => length)).toEqual([256 * 1024])
    stream.send(FRAME.beat, new Uint8Array(0), 'urgent')
    wire.far.onDrain()
    wire.far.onDrain()
    wire.far.onDrain()
    const frames = wire.sent().flat()
    expect(frames.map(({ type }) => type)).toEqual([FRAME.mail, FRAME.beat])
    expect(frames[0]?.payload).toEqual(payload)
  })

  it('a closed stream takes nothing', () => {
    wire.far.onClose('gone')
    expect(stream.send(FRAME.beat, new Uint8Array(0), 'urgent')).toBe(false)
    expect(stream.isOpen).toBe(false)
  })
})

describe('room', () => {
  it('is there at once when nothing waits', async () => {
    await expect(stream.room()).resolves.toBeUndefined()
  })

  it('comes when all was handed over', async () => {
    wire.takes = false
    stream.send(FRAME.data, Uint8Array.of(1), 'normal')
    let there = false
    const room = stream.room().then(() => {
      there = true
    })
    await clock.drain()
    expect(there).toBe(false)
    wire.takes = true
    wire.far.onDrain()
    await room
    expect(there).toBe(true)
  })

  it('never comes when the stream ends first, which is an error', async () => {
    wire.takes = false
    stream.send(FRAME.data, Uint8Array.of(1), 'normal')
    const room = stream.room()
    wire.far.onClose('the peer is gone')
    await expect(room).rejects.toMatchObject({ code: 'unreachable', message: expect.stringContaining('the peer is gone') })
    await expect(stream.room()).rejects.toMatchObject({ code: 'unreachable' })
  })
})

describe('receiving', () => {
  const never = new AbortController().signal
  const arrive = (...numbers: readonly number[]): void =>
    wire.far.onData(encodeFrames(numbers.map((number) => ({ type: FRAME.mail, payload: Uint8Array.of(number) }))))

  it('step by step, then by a listener, without losing or reordering a frame that came in between', async () => {
    const first = stream.next(never)
    arrive(1, 2, 3)
    expect((await first).payload[0]).toBe(1)
    expect((await stream.next(never)).payload[0]).toBe(2)
    const got: unknown[] = []
    stream.receive({ onFrame: ({ payload }) => got.push(payload[0]) })
    arrive(4)
    expect(got).toEqual([3, 4])
  })

  it('pauses the stream while nobody takes frames, and lets it go on when somebody does', () => {
    arrive(1)
    expect(wire.calls).toEqual(['pause'])
    stream.receive({ onFrame: () => {} })
    expect(wire.calls).toEqual(['pause', 'resume'])
  })

  it('tells of bytes even when they complete no frame', () => {
    let heard = 0
    stream.receive({ onFrame: () => {}, onBytes: () => (heard += 1) })
    wire.far.onData(Uint8Array.of(0))
    expect(heard).toBe(1)
  })

  it('waits no longer than its signal allows, and a later frame is not lost to that wait', async () => {
    const controller = new AbortController()
    const waiting = stream.next(controller.signal)
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    arrive(1)
    expect((await stream.next(never)).payload[0]).toBe(1)
  })

  it('ends the stream on a frame that is too long, and hears no more of it', () => {
    const got: unknown[] = []
    stream.receive({ onFrame: (frame) => got.push(frame) })
    wire.far.onData(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1))
    arrive(1)
    expect(got).toEqual([])
    expect(wire.calls.at(-1)).toMatch(/^abort .*4294967295 bytes/)
  })

  it('ends the stream when its listener refuses a frame, but lets a bug of ours through', () => {
    stream.receive({
      onFrame: ({ payload }) => {
        if (payload[0] === 1) throw new OperationError('usage', 'nonsense')
        if (payload[0] === 2) throw new BugError('broken')
      },
    })
    expect(() => arrive(2)).toThrow(BugError)
    arrive(1)
    expect(wire.calls.at(-1)).toBe('abort nonsense')
    expect(stream.isOpen).toBe(false)
  })

  it('fails a waiting step with the cause when the stream ends; what came before the end is still there', async () => {
    arrive(1)
    wire.far.onClose('reset')
    expect((await stream.next(never)).payload[0]).toBe(1)
    await expect(stream.next(never)).rejects.toMatchObject({ code: 'unreachable', message: 'reset' })
  })
})

describe('the first frame', () => {
  const judged = (onFirst: (frame: Frame) => void): FrameStream =>
    new FrameStream(wire, { maxFrameBytes: 1000, maxWaitingBytes: 1000, onFirst })
  const twoFrames = encodeFrames([
    { type: FRAME.welcome, payload: Uint8Array.of(1) },
    { type: FRAME.mail, payload: Uint8Array.of(2) },
  ])

  it('goes to whom it is for, all others to the user', async () => {
    const first: Frame[] = []
    const judging = judged((frame) => first.push(frame))
    wire.far.onData(twoFrames)
    expect(first.map(({ type }) => type)).toEqual([FRAME.welcome])
    expect((await judging.next(new AbortController().signal)).type).toBe(FRAME.mail)
  })

  it('ends the stream, with the reason, before the user gets anything', async () => {
    const judging = judged(() => {
      throw new OperationError('refused', 'not you')
    })
    wire.far.onData(twoFrames)
    expect(wire.calls).toEqual(['abort not you'])
    await expect(judging.next(new AbortController().signal)).rejects.toMatchObject({ code: 'unreachable', message: 'not you' })
  })
})

describe('ending', () => {
  it('in order sends what waits first, also on a full stream', async () => {
    wire.takes = false
    stream.send(FRAME.data, Uint8Array.of(1), 'normal')
    await clock.drain()
    stream.send(FRAME.data, Uint8Array.of(2), 'normal')
    stream.close()
    expect(wire.calls).toEqual([])
    expect(stream.send(FRAME.data, Uint8Array.of(3), 'normal')).toBe(false)
    wire.takes = true
    wire.far.onDrain()
    expect(
      wire
        .sent()
        .flat()
        .map(({ payload }) => payload[0]),
    ).toEqual([1, 2])
    expect(wire.calls).toEqual(['close'])
  })

  it('tells every listener once, those that come later too', () => {
    const causes: unknown[] = []
    stream.onClose((cause) => causes.push(cause))
    stream.abort('mine')
    wire.far.onClose('theirs')
    stream.onClose((cause) => causes.push(cause))
    expect(causes).toEqual(['mine', 'mine'])
    expect(wire.calls).toEqual(['abort mine'])
  })
})
