// Frames to peers, as Raft needs them: small ones on the link by urgency, large ones on the second connection.
import { type Clock } from '../base/clock.ts'
import { type Emitter, emitter } from '../base/emitter.ts'
import { within } from '../base/deadline.ts'
import { errorText } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Bulk } from './bulk.ts'
import { FRAME } from './frame.ts'
import { type FrameStream } from './frame-stream.ts'
import { type Link } from './link.ts'

/** What is longer waits on the link behind nothing and nothing behind it: it takes the second connection. */
const LARGE_BYTES = 256 * 1024
/** A snapshot in one frame is the longest; a longer one is to be cut by its sender. */
export const MAIL_STREAM = { maxFrameBytes: 256 * 1024 * 1024, maxWaitingBytes: 256 * 1024 * 1024 }
const OPEN_MS = 5000
/** Snapshots come alone, long after each other. */
const IDLE_MS = 5000

export interface MailboxOptions {
  readonly clock: Clock
  readonly log: Log
  readonly bulk: Bulk
  readonly link: (host: HostId) => Link | undefined
}

interface Mailing {
  stream: FrameStream | undefined
  /** Until the stream is open. */
  readonly waiting: Uint8Array[]
  waitingBytes: number
  usedAt: number
}

export class Mailbox {
  readonly #options: MailboxOptions
  readonly #events: Emitter<{ readonly from: HostId; readonly frame: Uint8Array }> = emitter()
  readonly #mailings = new Map<HostId, Mailing>()

  constructor(options: MailboxOptions) {
    this.#options = options
  }

  send(host: HostId, frame: Uint8Array, priority: 'urgent' | 'bulk'): boolean {
    const link = this.#options.link(host)
    if (link === undefined) return false
    if (priority === 'bulk' && frame.length > LARGE_BYTES) return this.#sendLarge(host, frame)
    return link.mail(frame, priority === 'urgent' ? 'urgent' : 'normal')
  }

  on(listener: (from: HostId, frame: Uint8Array) => void): () => void {
    return this.#events.on(({ from, frame }) => listener(from, frame))
  }

  received(from: HostId, frame: Uint8Array): void {
    this.#events.emit({ from, frame })
  }

  /** A peer opened a stream for its large frames. */
  serve(host: HostId, stream: FrameStream): void {
    stream.receive({
      onFrame: (frame) => {
        if (frame.type === FRAME.mail) this.received(host, frame.payload)
      },
    })
  }

  /** To be called every TICK_MS: a stream that is not needed would keep its connection. */
  tick(): void {
    const now = this.#options.clock.now()
    for (const { stream, usedAt } of this.#mailings.values()) if (stream?.isIdle === true && now - usedAt >= IDLE_MS) stream.close()
  }

  #sendLarge(host: HostId, frame: Uint8Array): boolean {
    const mailing = this.#mailings.get(host) ?? this.#start(host)
    mailing.usedAt = this.#options.clock.now()
    if (mailing.stream !== undefined) return mailing.stream.send(FRAME.mail, frame, 'normal')
    if (mailing.waitingBytes > 0 && mailing.waitingBytes + frame.length > MAIL_STREAM.maxWaitingBytes) return false
    mailing.waiting.push(frame)
    mailing.waitingBytes += frame.length
    return true
  }

  #start(host: HostId): Mailing {
    const { clock, bulk, log } = this.#options
    const mailing: Mailing = { stream: undefined, waiting: [], waitingBytes: 0, usedAt: clock.now() }
    this.#mailings.set(host, mailing)
    within({ clock, ms: OPEN_MS, what: `a stream for large frames to ${host}` }, (signal) => bulk.open('mail', host, signal)).then(
      (stream) => this.#attach(host, mailing, stream),
      (error: unknown) => {
        log.info({ host, error: errorText(error), dropped: mailing.waiting.length }, 'large frames dropped')
        this.#forget(host, mailing)
      },
    )
    return mailing
  }

  #attach(host: HostId, mailing: Mailing, stream: FrameStream): void {
    mailing.stream = stream
    stream.onClose((cause) => {
      this.#options.log.debug({ host, cause }, 'stream for large frames ended')
      this.#forget(host, mailing)
    })
    // Nothing comes back on it.
    stream.receive({ onFrame: () => {} })
    for (const frame of mailing.waiting.splice(0)) stream.send(FRAME.mail, frame, 'normal')
  }

  #forget(host: HostId, mailing: Mailing): void {
    if (this.#mailings.get(host) === mailing) this.#mailings.delete(host)
  }
}
