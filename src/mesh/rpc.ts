// Requests between linked hosts: one long-lived stream a direction, ids, a deadline on each, errors by code.
import { type Clock } from '../base/clock.ts'
import { assert, BugError } from '../base/assert.ts'
import { abortable, deadline, within } from '../base/deadline.ts'
import { errorText, fromWireError, OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { MAX_BODY_BYTES, packBody, packFailure, parseWireError, unpackBody } from './body.ts'
import { type Frame, FRAME } from './frame.ts'
import { type FrameStream } from './frame-stream.ts'
import { type RequestHandler, type RequestOptions } from './mesh.ts'

export const RPC_STREAM = { maxFrameBytes: MAX_BODY_BYTES + 64 * 1024, maxWaitingBytes: 64 * 1024 * 1024 }

/** Requests of one peer that are being carried out: a caller with more than that runs wild. */
const MAX_HANDLING = 1024
/** Requests to one peer that wait for their answer. */
const MAX_WAITING = 4096
/** A peer that opens no stream in this time is dead, and its link soon down. */
const OPEN_MS = 5000

export interface RpcOptions {
  readonly clock: Clock
  readonly log: Log
  /** Opens a greeted stream to the peer, over its link of this moment. Rejects with `unreachable` or `refused`. */
  readonly open: (host: HostId, signal: AbortSignal) => Promise<FrameStream>
  /** What a channel belongs to: another link makes another channel. Undefined while the peer is down. */
  readonly linkOf: (host: HostId) => object | undefined
}

interface Serving {
  readonly host: HostId
  readonly stream: FrameStream
  readonly handling: Map<number, AbortController>
  readonly id: number
  readonly body: Uint8Array
}

interface Channel {
  readonly link: object
  readonly opening: Promise<FrameStream>
  stream: FrameStream | undefined
  readonly waiting: Map<number, PromiseWithResolvers<unknown>>
  nextId: number
}

export class Rpc {
  readonly #options: RpcOptions
  /** Undefined: taken back, perhaps for a moment. */
  readonly #handlers = new Map<string, RequestHandler | undefined>()
  readonly #channels = new Map<HostId, Channel>()

  constructor(options: RpcOptions) {
    this.#options = options
  }

  handle(method: string, handler: RequestHandler): () => void {
    assert(this.#handlers.get(method) === undefined, `method ${method} has a handler already`)
    this.#handlers.set(method, handler)
    return () => void this.#handlers.set(method, undefined)
  }

  async request(host: HostId, method: string, body: unknown, { deadlineMs, signal }: RequestOptions): Promise<unknown> {
    const payload = packBody([method, deadlineMs, body])
    const limit = deadline(this.#options.clock, deadlineMs, `${method} on ${host}`, signal)
    try {
      limit.signal.throwIfAborted()
      const channel = this.#channel(host)
      const stream = await notSent(abortable(channel.opening, limit.signal))
      return await this.#ask({ channel, stream, host, payload, signal: limit.signal })
    } finally {
      limit.done()
    }
  }

  /** A peer opened its channel to us; its hello was accepted. */
  serve(host: HostId, stream: FrameStream): void {
    const handling = new Map<number, AbortController>()
    stream.onClose((cause) => {
      for (const controller of handling.values())
        controller.abort(new OperationError('unreachable', cause ?? 'the asker closed its stream'))
    })
    stream.receive({
      onFrame: (frame) => {
        if (frame.type === FRAME.cancel) handling.get(idOf(frame.payload))?.abort(new OperationError('timeout', 'the asker gave up'))
        if (frame.type === FRAME.request)
          void this.#serve({ host, stream, handling, id: idOf(frame.payload), body: frame.payload.subarray(4) })
      },
    })
  }

  #channel(host: HostId): Channel {
    const link = this.#options.linkOf(host)
    if (link === undefined) throw new OperationError('unreachable', `host ${host} is not connected`, { data: { host, sent: false } })
    const existing = this.#channels.get(host)
    if (existing !== undefined && existing.link === link) return existing
    const { clock, open } = this.#options
    const opening = within({ clock, ms: OPEN_MS, what: `a stream for requests to ${host}` }, (signal) => open(host, signal))
    const channel: Channel = { link, opening, stream: undefined, waiting: new Map(), nextId: 1 }
    this.#channels.set(host, channel)
    if (existing !== undefined) closeIfIdle(existing)
    // A channel that cannot be opened is tried again by the next request.
    channel.opening.then(
      (stream) => this.#attach(host, channel, stream),
      () => this.#release(host, channel),
    )
    return channel
  }

  #attach(host: HostId, channel: Channel, stream: FrameStream): void {
    channel.stream = stream
    stream.onClose((cause) => {
      this.#release(host, channel)
      const message = `the connection to host ${host} ended before it answered: ${cause ?? 'it closed the stream'}`
      const error = new OperationError('unreachable', message, { data: { host, sent: true } })
      for (const waiter of channel.waiting.values()) waiter.reject(error)
      channel.waiting.clear()
    })
    stream.receive({
      onFrame: (frame) => {
        if (frame.type === FRAME.reply) this.#take(channel, frame, ({ resolve }, value) => resolve(value))
        if (frame.type === FRAME.failure) this.#take(channel, frame, ({ reject }, value) => reject(fromWireError(parseWireError(value))))
        if (this.#channels.get(host) !== channel) closeIfIdle(channel)
      },
    })
  }

  #take(channel: Channel, { payload }: Frame, settle: (waiter: PromiseWithResolvers<unknown>, value: unknown) => void): void {
    const id = idOf(payload)
    const waiter = channel.waiting.get(id)
    if (waiter === undefined) return
    channel.waiting.delete(id)
    settle(waiter, unpackBody(payload.subarray(4)))
  }

  async #ask(call: { channel: Channel; stream: FrameStream; host: HostId; payload: Uint8Array; signal: AbortSignal }): Promise<unknown> {
    const { channel, stream, host, payload, signal } = call
    if (channel.waiting.size >= MAX_WAITING) throw busy(host, `${MAX_WAITING} requests wait for it already`)
    const id = channel.nextId
    channel.nextId = (id % 0xffff_ffff) + 1
    const waiter = Promise.withResolvers<unknown>()
    channel.waiting.set(id, waiter)
    try {
      if (!stream.send(FRAME.request, withId(id, payload), 'normal')) throw busy(host, 'its stream is full or closed')
      return await abortable(waiter.promise, signal)
    } catch (error) {
      if (signal.aborted) stream.send(FRAME.cancel, withId(id, NOTHING), 'urgent')
      throw error
    } finally {
      channel.waiting.delete(id)
    }
  }

  #release(host: HostId, channel: Channel): void {
    if (this.#channels.get(host) === channel) this.#channels.delete(host)
  }

  async #serve(call: Serving): Promise<void> {
    const { host, stream, handling, id, body } = call
    const controller = new AbortController()
    try {
      if (handling.size >= MAX_HANDLING) throw new OperationError('failed', `${MAX_HANDLING} requests of ${host} are under way already`)
      handling.set(id, controller)
      const reply = packBody(await this.#run(host, body, controller.signal))
      if (!stream.send(FRAME.reply, withId(id, reply), 'normal')) this.#options.log.info({ host, id }, 'reply dropped: the asker is gone')
    } catch (error) {
      stream.send(FRAME.failure, withId(id, packFailure(error)), 'normal')
      if (error instanceof BugError) throw error
      if (!(error instanceof OperationError))
        this.#options.log.error({ host, error: errorText(error), stack: stackOf(error) }, 'request failed')
    } finally {
      if (handling.get(id) === controller) handling.delete(id)
    }
  }

  async #run(from: HostId, payload: Uint8Array, asker: AbortSignal): Promise<unknown> {
    const body = unpackBody(payload)
    const items: readonly unknown[] = Array.isArray(body) ? body : []
    const [method, deadlineMs, argument] = items
    if (typeof method !== 'string' || typeof deadlineMs !== 'number') throw new OperationError('usage', 'a request is malformed')
    if (!this.#handlers.has(method)) throw new OperationError('not-found', `this host knows no method ${method}`, { data: { method } })
    const handler = this.#handlers.get(method)
    if (handler === undefined)
      throw new OperationError('unreachable', `this host does not answer ${method} now`, { data: { method, sent: false } })
    const limit = deadline(this.#options.clock, deadlineMs, method, asker)
    try {
      return await abortable(handler(argument, { from, signal: limit.signal }), limit.signal)
    } finally {
      limit.done()
    }
  }
}

const NOTHING = new Uint8Array(0)

/** A channel of an earlier link lives until its last answer is there. */
function closeIfIdle({ stream, waiting }: Channel): void {
  if (waiting.size === 0) stream?.close()
}

function withId(id: number, body: Uint8Array): Uint8Array {
  const payload = new Uint8Array(4 + body.length)
  new DataView(payload.buffer).setUint32(0, id)
  payload.set(body, 4)
  return payload
}

function idOf(payload: Uint8Array): number {
  if (payload.length < 4) throw new OperationError('usage', 'a frame of a request has no id')
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0)
}

function busy(host: HostId, why: string): OperationError {
  return new OperationError('unreachable', `host ${host} takes no request now: ${why}`, { data: { host, sent: false } })
}

/** Whatever fails before the request was handed over did not happen; a deadline stays a deadline. */
async function notSent<T>(opening: Promise<T>): Promise<T> {
  try {
    return await opening
  } catch (error) {
    if (!(error instanceof OperationError)) throw error
    throw new OperationError(error.code, error.message, { data: { ...error.data, sent: false }, reasons: error.reasons, cause: error })
  }
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error ? error.stack : undefined
}
