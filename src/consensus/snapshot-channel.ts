// One end of the stream of a snapshot, frame by frame; both ends give up on a silent other one.
import { type Clock } from '../base/clock.ts'
import { within } from '../base/deadline.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { encodeSnapshotFrame, type SnapshotFrame, SnapshotFrameReader } from './snapshot-frames.ts'
import { type SnapshotStream } from './types.ts'

/** Nothing at all of the other end for so long: it is taken for dead. Both say something every second at least, unless their disk hangs. */
const SILENCE_MS = 30_000
/** Frames that wait to be taken: more than either end may send without an answer, so a peer with more is broken. */
const MAX_WAITING = 64

export class SnapshotChannel {
  readonly #stream: SnapshotStream
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #frames: SnapshotFrame[] = []
  #end: OperationError | undefined
  #wake: (() => void) | undefined

  /** `signal` ends all waits. */
  constructor(stream: SnapshotStream, clock: Clock, signal: AbortSignal) {
    this.#stream = stream
    this.#clock = clock
    this.#signal = signal
    const reader = new SnapshotFrameReader()
    stream.onData((piece) => {
      if (this.#end !== undefined) return
      try {
        this.#frames.push(...reader.push(piece))
        if (this.#frames.length > MAX_WAITING) throw new OperationError('failed', 'the other end of a snapshot sends without waiting')
        this.#wake?.()
      } catch (error) {
        this.abort(errorText(error))
      }
    })
    stream.onClose((cause) => this.#ended(cause ?? 'the other end closed it'))
  }

  async send(frame: SnapshotFrame): Promise<void> {
    if (this.#end !== undefined) throw this.#end
    await this.#limited('sending a snapshot', () => this.#stream.write(encodeSnapshotFrame(frame)))
  }

  /** The next frame. Rejects with `unreachable` when the stream ended, `timeout` when the other end is silent, or the signal's reason. */
  async next(): Promise<SnapshotFrame> {
    const waiting = this.#frames.shift()
    if (waiting !== undefined) return waiting
    await this.#limited('hearing of a snapshot', async () => {
      while (this.#frames.length === 0) {
        if (this.#end !== undefined) throw this.#end
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    })
    return this.next()
  }

  close(): void {
    this.#stream.close()
  }

  abort(cause: string): void {
    this.#stream.abort(cause)
    this.#ended(cause)
  }

  #limited<T>(what: string, work: () => Promise<T>): Promise<T> {
    return within({ clock: this.#clock, ms: SILENCE_MS, what, signal: this.#signal }, work)
  }

  #ended(cause: string): void {
    this.#end ??= new OperationError('unreachable', `the stream of a snapshot ended: ${cause}`)
    this.#wake?.()
  }
}
