// Frames over one stream: what one piece of work sends leaves as one write, urgent frames first, and a full stream drops only what may be dropped.
import { BugError } from '../base/assert.ts'
import { abortable } from '../base/deadline.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { encodeFrames, type Frame, FRAME_HEADER_BYTES, FrameReader, type FrameType } from './frame.ts'
import { type WireStream } from './wire.ts'

/** What is handed to the stream in one piece: behind it an urgent frame waits, so it is small. */
const WRITE_BYTES = 64 * 1024
/** Of a long frame; well below what a stream buffers before it breaks. */
const MAX_PIECE_BYTES = 256 * 1024
/** Urgent frames that may wait on a full stream: thousands of votes and beats. A peer that takes none of them is dead or about to be. */
const MAX_URGENT_BYTES = 1024 * 1024

export interface FrameStreamOptions {
  /** The longest payload that is accepted. */
  readonly maxFrameBytes: number
  /** Frames that are not urgent are refused while more than this waits. */
  readonly maxWaitingBytes: number
  /** Gets the first frame instead of the stream's user; a throw ends the stream with its message. */
  readonly onFirst?: (frame: Frame) => void
}

export interface FrameListener {
  readonly onFrame: (frame: Frame) => void
  /** Any bytes at all, also parts of a frame. */
  readonly onBytes?: () => void
}

export class FrameStream {
  readonly #wire: WireStream
  readonly #reader: FrameReader
  readonly #maxWaitingBytes: number
  readonly #urgent: Frame[] = []
  readonly #waiting: Frame[] = []
  #urgentBytes = 0
  #waitingBytes = 0
  /** The rest of a frame that is longer than one write: nothing may come between. */
  #rest: Uint8Array | undefined
  #flushSet = false
  #full = false
  #ending = false
  #closed: { readonly cause: string | null } | undefined
  /** Frames that came before anyone wanted them; the stream is paused meanwhile, so there are few. */
  readonly #held: Frame[] = []
  #onFirst: ((frame: Frame) => void) | undefined
  #listener: FrameListener | undefined
  #wanted: PromiseWithResolvers<Frame> | undefined
  readonly #onClose: ((cause: string | null) => void)[] = []
  readonly #onRoom: (() => void)[] = []

  /** Listens from this moment on. */
  constructor(wire: WireStream, options: FrameStreamOptions) {
    this.#wire = wire
    this.#reader = new FrameReader(options.maxFrameBytes)
    this.#maxWaitingBytes = options.maxWaitingBytes
    this.#onFirst = options.onFirst
    wire.listen({
      onData: (bytes) => this.#onData(bytes),
      onDrain: () => {
        this.#full = false
        this.flush()
      },
      onClose: (cause) => this.#finish(cause),
    })
  }

  get isOpen(): boolean {
    return this.#closed === undefined && !this.#ending
  }

  /** All that was sent is handed over. */
  get isIdle(): boolean {
    return !this.#hasWork && !this.#full
  }

  /** Queues a frame for the end of the running piece of work. False: dropped, the stream is full or gone. */
  send(type: FrameType, payload: Uint8Array, urgency: 'urgent' | 'normal'): boolean {
    if (!this.isOpen) return false
    const bytes = FRAME_HEADER_BYTES + payload.length
    if (urgency === 'urgent') {
      if (this.#urgentBytes + bytes > MAX_URGENT_BYTES) return false
      this.#urgentBytes += bytes
      this.#urgent.push({ type, payload })
    } else {
      if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > this.#maxWaitingBytes) return false
      this.#waitingBytes += bytes
      this.#waiting.push({ type, payload })
    }
    this.#flushSoon()
    return true
  }

  /** Writes what is queued now, as far as the stream takes it. */
  flush(): void {
    while (!this.#full && this.#closed === undefined && this.#hasWork) {
      const bytes = this.#rest ?? encodeFrames(this.#takeWrite())
      this.#rest = bytes.length > MAX_PIECE_BYTES ? bytes.subarray(MAX_PIECE_BYTES) : undefined
      if (!this.#wire.send(bytes.subarray(0, MAX_PIECE_BYTES))) this.#full = true
    }
    if (this.#full || this.#closed !== undefined) return
    for (const resolve of this.#onRoom.splice(0)) resolve()
    if (this.#ending) this.#wire.close()
  }

  /** Resolves when all that was sent is handed over; rejects with `unreachable` when the stream ends first. */
  async room(): Promise<void> {
    if (this.#closed === undefined && this.isIdle) return
    if (this.#closed === undefined) await new Promise<void>((resolve) => this.#onRoom.push(resolve))
    if (this.#closed !== undefined) throw new OperationError('unreachable', `the stream is gone: ${this.#closed.cause ?? 'ended'}`)
  }

  /** The next frame, for a conversation in steps; rejects with `unreachable` when the stream ends first. */
  async next(signal: AbortSignal): Promise<Frame> {
    const held = this.#held.shift()
    if (held !== undefined) return held
    if (this.#closed !== undefined) throw ended(this.#closed.cause)
    this.#wanted = Promise.withResolvers<Frame>()
    this.#wire.resume()
    try {
      return await abortable(this.#wanted.promise, signal)
    } finally {
      this.#wanted = undefined
    }
  }

  /** All frames from now on, those that waited first. A listener that throws OperationError ends the stream. */
  receive(listener: FrameListener): void {
    this.#listener = listener
    for (const frame of this.#held.splice(0)) this.#deliver(listener, frame)
    if (this.#closed === undefined) this.#wire.resume()
  }

  pause(): void {
    this.#wire.pause()
  }

  resume(): void {
    if (this.#closed === undefined) this.#wire.resume()
  }

  /** Sends what is queued, then ends the stream in order. */
  close(): void {
    if (!this.isOpen) return
    this.#ending = true
    this.flush()
  }

  abort(cause: string): void {
    if (this.#closed === undefined) this.#wire.abort(cause)
    this.#finish(cause)
  }

  /** At once when it is closed already. */
  onClose(listener: (cause: string | null) => void): void {
    if (this.#closed === undefined) this.#onClose.push(listener)
    else listener(this.#closed.cause)
  }

  get #hasWork(): boolean {
    return this.#rest !== undefined || this.#urgent.length + this.#waiting.length > 0
  }

  /** As soon as what runs now is done: to wait for the whole turn costs each hop of a message another round of the event loop. */
  #flushSoon(): void {
    if (this.#flushSet) return
    this.#flushSet = true
    queueMicrotask(() => {
      this.#flushSet = false
      this.flush()
    })
  }

  /** Frames of one write: all urgent ones, then others up to WRITE_BYTES (one at least). */
  #takeWrite(): Frame[] {
    const frames = this.#urgent.splice(0)
    let bytes = this.#urgentBytes
    this.#urgentBytes = 0
    let count = 0
    for (const { payload } of this.#waiting) {
      if (frames.length + count > 0 && bytes + payload.length > WRITE_BYTES) break
      bytes += FRAME_HEADER_BYTES + payload.length
      count += 1
    }
    for (const frame of this.#waiting.splice(0, count)) {
      this.#waitingBytes -= FRAME_HEADER_BYTES + frame.payload.length
      frames.push(frame)
    }
    return frames
  }

  #onData(bytes: Uint8Array): void {
    if (this.#closed !== undefined) return
    this.#listener?.onBytes?.()
    const frames = this.#parse(bytes)
    for (const frame of frames) {
      if (this.#closed !== undefined) return
      if (this.#onFirst !== undefined) this.#deliverFirst(this.#onFirst, frame)
      else if (this.#listener !== undefined) this.#deliver(this.#listener, frame)
      else if (this.#wanted !== undefined) this.#answer(this.#wanted, frame)
      else this.#held.push(frame)
    }
    if (this.#listener === undefined && this.#held.length > 0) this.#wire.pause()
  }

  #answer(wanted: PromiseWithResolvers<Frame>, frame: Frame): void {
    this.#wanted = undefined
    wanted.resolve(frame)
  }

  #parse(bytes: Uint8Array): Frame[] {
    try {
      return this.#reader.read(bytes)
    } catch (error) {
      this.abort(errorText(error))
      return []
    }
  }

  #deliverFirst(onFirst: (frame: Frame) => void, frame: Frame): void {
    this.#onFirst = undefined
    this.#deliver({ onFrame: onFirst }, frame)
  }

  /** What a peer sends may end its stream, never this process; a broken invariant of ours still ends it. */
  #deliver(listener: FrameListener, frame: Frame): void {
    if (this.#closed !== undefined) return
    try {
      listener.onFrame(frame)
    } catch (error) {
      if (error instanceof BugError) throw error
      this.abort(errorText(error))
    }
  }

  #finish(cause: string | null): void {
    if (this.#closed !== undefined) return
    this.#closed = { cause }
    this.#urgent.length = 0
    this.#waiting.length = 0
    this.#wanted?.reject(ended(cause))
    for (const resolve of this.#onRoom.splice(0)) resolve()
    for (const listener of this.#onClose.splice(0)) listener(cause)
  }
}

function ended(cause: string | null): OperationError {
  return new OperationError('unreachable', cause ?? 'the other side ended the stream')
}
