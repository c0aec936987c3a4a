// A stream and a connection of libp2p as the mesh wants them: one listener, no throws, an end with a cause.
import { type Connection, type Stream, type StreamMessageEvent } from '@libp2p/interface'
import { type Clock } from '../base/clock.ts'
import { deadline } from '../base/deadline.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { formatAddress, fromMultiaddr } from './address.ts'
import { hostIdOfPeer } from './host-id.ts'
import { type StreamKind, type WireConnection, type WireStream, type WireStreamListener } from './wire.ts'

/** Closing in order waits for what is queued, so long at most. */
const CLOSE_MS = 2000
const MAX_STREAMS = 128

export function protocolOf(kind: StreamKind): string {
  return `/hostmesh/${kind}/1`
}

export const STREAM_LIMITS = { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS }

export class Libp2pConnection implements WireConnection {
  readonly host: HostId
  readonly direction: 'in' | 'out'
  readonly address: string
  readonly libp2p: Connection
  readonly #clock: Clock
  #cause: string | undefined

  constructor(connection: Connection, clock: Clock) {
    this.libp2p = connection
    this.#clock = clock
    this.host = hostIdOfPeer(connection.remotePeer)
    this.direction = connection.direction === 'inbound' ? 'in' : 'out'
    const remote = connection.remoteAddr.toString()
    const address = fromMultiaddr(remote)
    this.address = address === undefined ? remote : formatAddress(address)
  }

  isOpen(): boolean {
    return this.libp2p.status === 'open'
  }

  streamCount(): number {
    return this.libp2p.streams.length
  }

  async openStream(kind: StreamKind, signal: AbortSignal): Promise<WireStream> {
    try {
      const stream = await this.libp2p.newStream(protocolOf(kind), { signal, maxOutboundStreams: MAX_STREAMS })
      return new Libp2pStream(stream, this.#clock)
    } catch (error) {
      signal.throwIfAborted()
      throw new OperationError('unreachable', `no ${kind} stream to ${this.address}: ${errorText(error)}`, { cause: error })
    }
  }

  close(): void {
    const limit = deadline(this.#clock, CLOSE_MS, `closing the connection to ${this.address}`)
    this.libp2p
      .close({ signal: limit.signal })
      .catch((error: unknown) => this.abort(errorText(error)))
      .finally(() => limit.done())
  }

  abort(cause: string): void {
    this.#cause ??= cause
    if (this.libp2p.status !== 'closed') this.libp2p.abort(new Error(cause))
  }

  onClose(listener: (cause: string) => void): void {
    const told = (error?: Error): void => listener(this.#cause ?? error?.message ?? 'the connection closed')
    if (this.libp2p.status !== 'open' && this.libp2p.status !== 'closing') told()
    else this.libp2p.addEventListener('close', ({ error }) => told(error), { once: true })
  }
}

export class Libp2pStream implements WireStream {
  readonly #stream: Stream
  readonly #clock: Clock
  /** Ended in order by one side, so that a close is no loss. */
  #isEnding = false

  constructor(stream: Stream, clock: Clock) {
    this.#stream = stream
    this.#clock = clock
  }

  listen(listener: WireStreamListener): void {
    const stream = this.#stream
    stream.addEventListener('message', ({ data }: StreamMessageEvent) => {
      if (data instanceof Uint8Array) listener.onData(data)
      else for (const part of data) listener.onData(part)
    })
    stream.addEventListener('drain', () => listener.onDrain())
    stream.addEventListener('remoteCloseWrite', () => {
      this.#isEnding = true
    })
    // All that the other side sent was delivered: our half ends too, or the stream would stay half open for ever.
    stream.addEventListener('end', () => this.close())
    stream.addEventListener('close', ({ error }) => {
      listener.onClose(error === undefined ? (this.#isEnding ? null : 'the connection closed') : textOf(error))
    })
    // What happened before anyone listened.
    if (stream.status !== 'open' && stream.status !== 'closing') listener.onClose('the connection closed')
    else if (stream.readableEnded) this.close()
  }

  send(bytes: Uint8Array): boolean {
    // A stream that is closing throws, and one that breaks in the middle as well: the close event tells of both.
    if (this.#stream.writeStatus !== 'writable') return true
    try {
      return this.#stream.send(bytes)
    } catch {
      return true
    }
  }

  pause(): void {
    if (this.#stream.readStatus === 'readable') this.#stream.pause()
  }

  resume(): void {
    if (this.#stream.readStatus === 'paused') this.#stream.resume()
  }

  close(): void {
    if (this.#stream.status !== 'open' || this.#stream.writeStatus !== 'writable') return
    this.#isEnding = true
    const limit = deadline(this.#clock, CLOSE_MS, 'closing a stream')
    this.#stream
      .close({ signal: limit.signal })
      .catch((error: unknown) => this.abort(errorText(error)))
      .finally(() => limit.done())
  }

  abort(cause: string): void {
    this.#stream.abort(new Error(cause))
  }
}

/** libp2p's own words say nothing of who did it. */
function textOf(error: Error): string {
  return error.name === 'StreamResetError' ? 'the peer reset the stream or its connection' : error.message
}
