// All streams beside the link: each begins with a hello, and belongs to a process that was accepted on a link before.
import { type Clock } from '../base/clock.ts'
import { within } from '../base/deadline.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Frame, FRAME } from './frame.ts'
import { FrameStream } from './frame-stream.ts'
import { GREETING_MS, readHello, readWelcome, refuse, refusedError, welcome } from './greeting.ts'
import { encodeHello, type Hello, judgeHello, type Refusal } from './hello.ts'
import { type StreamKind, type WireConnection, type WireStream } from './wire.ts'

export type SideKind = Exclude<StreamKind, 'link' | 'join'>

export interface StreamLimits {
  readonly maxFrameBytes: number
  readonly maxWaitingBytes: number
}

export interface SideStreamsOptions {
  readonly clock: Clock
  readonly log: Log
  readonly limits: Readonly<Record<SideKind, StreamLimits>>
  readonly hello: () => Hello | undefined
  /** True when this process of the host was accepted on a link. */
  readonly knows: (host: HostId, bootId: string) => boolean
  readonly onStream: (kind: SideKind, host: HostId, stream: FrameStream) => void
}

export class SideStreams {
  readonly #options: SideStreamsOptions
  readonly #greeted = new WeakSet<WireConnection>()

  constructor(options: SideStreamsOptions) {
    this.#options = options
  }

  /**
   * The hello is sent along, and what follows it need not wait: the answer comes first, and ends the stream when it is a refusal or comes
   * from another process than the one that is linked.
   */
  async open(kind: SideKind, connection: WireConnection, signal: AbortSignal): Promise<FrameStream> {
    const mine = this.#options.hello()
    if (mine === undefined) throw new OperationError('unreachable', 'this host belongs to no mesh')
    const wire = await connection.openStream(kind, signal)
    const stream = this.#frames(kind, wire, (answer) => this.#checkAnswer(connection.host, answer))
    stream.send(FRAME.hello, encodeHello(mine), 'urgent')
    return stream
  }

  /** True once a stream of the peer was accepted on this connection. */
  isGreeted(connection: WireConnection): boolean {
    return this.#greeted.has(connection)
  }

  /** Never rejects. */
  async accept(kind: SideKind, wire: WireStream, connection: WireConnection): Promise<void> {
    const { clock, log, onStream } = this.#options
    const { host } = connection
    const stream = this.#frames(kind, wire)
    try {
      const theirs = await within({ clock, ms: GREETING_MS, what: `the greeting of ${host}` }, (signal) => readHello(stream, signal))
      const mine = this.#options.hello()
      const refusal = this.#judge(mine, theirs, host)
      if (mine === undefined || refusal !== undefined) {
        log.info({ host, kind, reason: refusal?.message }, 'stream refused')
        refuse(stream, refusal ?? { code: 'no-mesh', message: 'this host belongs to no mesh' })
        return
      }
      this.#greeted.add(connection)
      welcome(stream, mine)
      onStream(kind, host, stream)
    } catch (error) {
      stream.abort(errorText(error))
    }
  }

  #checkAnswer(host: HostId, answer: Frame): void {
    const refusal = this.#judge(this.#options.hello(), readWelcome(answer), host)
    if (refusal !== undefined) throw refusedError(refusal)
  }

  #judge(mine: Hello | undefined, theirs: Hello, host: HostId): Refusal | undefined {
    const { knows } = this.#options
    const refusal = mine === undefined ? undefined : judgeHello(mine, theirs, host)
    if (refusal !== undefined) return refusal
    if (!knows(host, theirs.bootId)) return { code: 'no-link', message: `${host} opened a stream before it was linked` }
    return undefined
  }

  #frames(kind: SideKind, wire: WireStream, onFirst?: (frame: Frame) => void): FrameStream {
    const { limits } = this.#options
    return new FrameStream(wire, { ...limits[kind], ...(onFirst === undefined ? {} : { onFirst }) })
  }
}
