// Byte streams between hosts, each with a purpose and a header: opened, answered or refused, then bytes both ways.
import { assert, BugError } from '../base/assert.ts'
import { type Clock } from '../base/clock.ts'
import { within } from '../base/deadline.ts'
import { fromWireError, OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { packBody, packFailure, parseWireError, unpackBody } from './body.ts'
import { type Bulk } from './bulk.ts'
import { type Frame, FRAME } from './frame.ts'
import { type FrameStream } from './frame-stream.ts'
import { GREETING_MS } from './greeting.ts'
import { type ByteStream, type RequestOptions, type StreamHandler } from './mesh.ts'

/** Of one data frame: what waits behind it waits that long. Writes are cut to it. */
const MAX_DATA_BYTES = 64 * 1024
export const BYTE_STREAM = { maxFrameBytes: 1024 * 1024, maxWaitingBytes: 4 * 1024 * 1024 }

export interface ByteStreamsOptions {
  readonly clock: Clock
  readonly bulk: Bulk
}

export class ByteStreams {
  readonly #options: ByteStreamsOptions
  readonly #handlers = new Map<string, StreamHandler>()

  constructor(options: ByteStreamsOptions) {
    this.#options = options
  }

  handle(purpose: string, handler: StreamHandler): () => void {
    assert(!this.#handlers.has(purpose), `streams for ${purpose} have a handler already`)
    this.#handlers.set(purpose, handler)
    return () => void this.#handlers.delete(purpose)
  }

  async open(host: HostId, purpose: string, header: unknown, { deadlineMs, signal }: RequestOptions): Promise<ByteStream> {
    const { clock, bulk } = this.#options
    const payload = packBody([purpose, header])
    const what = `opening a stream for ${purpose} to ${host}`
    return within({ clock, ms: deadlineMs, what, signal }, async (limit) => {
      const stream = await bulk.open('bytes', host, limit)
      try {
        stream.send(FRAME.open, payload, 'normal')
        readOpened(await stream.next(limit))
        return new FramedBytes(host, stream)
      } catch (error) {
        stream.abort('it was not opened')
        throw error
      }
    })
  }

  /** A peer opened a stream; its hello was accepted. Never rejects but for a bug. */
  async serve(host: HostId, stream: FrameStream): Promise<void> {
    try {
      const frame = await within({ clock: this.#options.clock, ms: GREETING_MS, what: `the header of a stream of ${host}` }, (signal) =>
        stream.next(signal),
      )
      const [purpose, header] = readOpen(frame)
      const handler = this.#handlers.get(purpose)
      if (handler === undefined) throw new OperationError('not-found', `this host has no streams for ${purpose}`, { data: { purpose } })
      const bytes = new FramedBytes(host, stream)
      await bytes.accept(() => handler(bytes, header))
    } catch (error) {
      stream.send(FRAME.failure, packFailure(error), 'normal')
      stream.close()
      if (error instanceof BugError) throw error
    }
  }
}

class FramedBytes implements ByteStream {
  readonly host: HostId
  readonly #stream: FrameStream
  /** The answerer's first bytes may not come before it accepted. */
  #pending: PromiseWithResolvers<void> | undefined
  #isReading = false

  constructor(host: HostId, stream: FrameStream) {
    this.host = host
    this.#stream = stream
  }

  /** Lets `decide` take the stream or refuse it by throwing. */
  async accept(decide: () => Promise<void>): Promise<void> {
    const pending = Promise.withResolvers<void>()
    this.#pending = pending
    try {
      await decide()
      this.#stream.send(FRAME.opened, new Uint8Array(0), 'normal')
    } finally {
      this.#pending = undefined
      pending.resolve()
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#pending?.promise
    for (let at = 0; at < bytes.length; at += MAX_DATA_BYTES) {
      // A slow reader fills the stream, and then the next piece waits here.
      await this.#stream.room()
      this.#stream.send(FRAME.data, bytes.subarray(at, at + MAX_DATA_BYTES), 'normal')
    }
    this.#stream.flush()
    await this.#stream.room()
  }

  onData(listener: (bytes: Uint8Array) => void): void {
    assert(!this.#isReading, 'a byte stream has one reader')
    this.#isReading = true
    this.#stream.receive({
      onFrame: (frame) => {
        if (frame.type === FRAME.data) listener(frame.payload)
      },
    })
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  close(): void {
    this.#stream.close()
  }

  abort(cause: string): void {
    this.#stream.abort(cause)
  }

  onClose(listener: (cause: string | null) => void): void {
    this.#stream.onClose(listener)
  }
}

function readOpen(frame: Frame): [string, unknown] {
  const body = frame.type === FRAME.open ? unpackBody(frame.payload) : undefined
  const items: readonly unknown[] = Array.isArray(body) ? body : []
  const [purpose, header] = items
  if (typeof purpose !== 'string') throw new OperationError('usage', 'the header of a stream is malformed')
  return [purpose, header]
}

function readOpened(frame: Frame): void {
  if (frame.type === FRAME.failure) throw fromWireError(parseWireError(unpackBody(frame.payload)))
  if (frame.type !== FRAME.opened) throw new OperationError('failed', `frame ${frame.type} came instead of an answer to the header`)
}
