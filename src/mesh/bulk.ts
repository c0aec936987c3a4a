// The second connection to a peer, made when it is first needed: what is long must not delay what is urgent.
import { type Clock } from '../base/clock.ts'
import { abortable, deadline } from '../base/deadline.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type FrameStream } from './frame-stream.ts'
import { type Link } from './link.ts'
import { type SideKind, type SideStreams } from './side-streams.ts'
import { type WireConnection } from './wire.ts'

/** A connection that carries nothing is closed after this long: its dial costs some 10 ms when it is needed again. */
const IDLE_MS = 30_000
const ADDRESS_MS = 1500

export interface BulkOptions {
  readonly clock: Clock
  readonly sides: SideStreams
  /** The link to the peer; undefined while it is down. */
  readonly link: (host: HostId) => Link | undefined
  readonly addresses: (host: HostId) => readonly string[]
  readonly dial: (host: HostId, address: string, signal: AbortSignal) => Promise<WireConnection>
}

interface Line {
  readonly opening: Promise<WireConnection>
  readonly controller: AbortController
  connection: WireConnection | undefined
  usedAt: number
}

/** Each host dials its own second connections and alone opens streams on them, so two hosts never have to agree on one. */
export class Bulk {
  readonly #options: BulkOptions
  readonly #lines = new Map<HostId, Line>()

  constructor(options: BulkOptions) {
    this.#options = options
  }

  /** Rejects with `unreachable` while the peer is not linked. */
  async open(kind: SideKind, host: HostId, signal: AbortSignal): Promise<FrameStream> {
    const { clock, sides } = this.#options
    const line = this.#line(host)
    const connection = await abortable(line.opening, signal)
    line.usedAt = clock.now()
    return sides.open(kind, connection, signal)
  }

  /** To be called every TICK_MS. */
  tick(): void {
    const now = this.#options.clock.now()
    for (const line of this.#lines.values()) {
      if (line.connection === undefined) continue
      if (line.connection.streamCount() > 0) line.usedAt = now
      else if (now - line.usedAt >= IDLE_MS) line.connection.close()
    }
  }

  drop(host: HostId, cause: string): void {
    const line = this.#lines.get(host)
    this.#lines.delete(host)
    line?.controller.abort(new OperationError('unreachable', cause))
    line?.connection?.abort(cause)
  }

  dropAll(cause: string): void {
    for (const host of [...this.#lines.keys()]) this.drop(host, cause)
  }

  #line(host: HostId): Line {
    const existing = this.#lines.get(host)
    if (existing !== undefined) return existing
    const link = this.#options.link(host)
    if (link === undefined) throw new OperationError('unreachable', `host ${host} is not connected`, { data: { host } })
    const controller = new AbortController()
    const opening = this.#dial(link, controller.signal)
    const line: Line = { opening, controller, connection: undefined, usedAt: this.#options.clock.now() }
    this.#lines.set(host, line)
    const forget = (): void => {
      if (this.#lines.get(host) === line) this.#lines.delete(host)
    }
    opening.then((connection) => {
      if (controller.signal.aborted) return
      // The link itself when nothing else could be dialled: then there is nothing to close when idle.
      if (connection !== link.connection) line.connection = connection
      connection.onClose(forget)
    }, forget)
    return line
  }

  /** A peer that can reach this host but not be reached (a firewall) is served over its link. */
  async #dial(link: Link, signal: AbortSignal): Promise<WireConnection> {
    const { clock, dial, addresses } = this.#options
    const { host, connection } = link
    const dialled = connection.direction === 'out' ? [connection.address] : []
    for (const address of new Set([...dialled, ...addresses(host)])) {
      const limit = deadline(clock, ADDRESS_MS, `dialling ${address}`, signal)
      try {
        return await dial(host, address, limit.signal)
      } catch (error) {
        signal.throwIfAborted()
        if (!connection.isOpen()) throw new OperationError('unreachable', errorText(error), { data: { host }, cause: error })
      } finally {
        limit.done()
      }
    }
    return connection
  }
}
