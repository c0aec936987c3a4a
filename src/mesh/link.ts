// One admitted connection to a peer, as its long-lived stream shows it: beats, probes and mail.
import { type Clock } from '../base/clock.ts'
import { abortable, within } from '../base/deadline.ts'
import { type HostId } from '../base/ids.ts'
import { type Frame, FRAME } from './frame.ts'
import { type FrameStream } from './frame-stream.ts'
import { encodeRefusal, type Hello, parseRefusal, type Refusal } from './hello.ts'
import { BEAT_MS, type HeardAt, type SilenceDetector, TICK_MS } from './silence.ts'
import { type WireConnection } from './wire.ts'

export interface LinkOptions {
  readonly clock: Clock
  readonly detector: SilenceDetector
  readonly connection: WireConnection
  readonly stream: FrameStream
  /** Theirs. */
  readonly hello: Hello
  readonly onMail: (frame: Uint8Array) => void
  /** The peer ends what it had accepted, and says why. */
  readonly onRefusal: (refusal: Refusal) => void
}

const NOTHING = new Uint8Array(0)

/** Up once both sides accepted each other: the opener when it is welcomed, the answerer when it hears the opener's first beat. */
export class Link {
  readonly connection: WireConnection
  readonly stream: FrameStream
  readonly hello: Hello
  isUp = false
  /** When another link of the same peer was preferred. */
  retiredAt: number | undefined
  readonly #options: LinkOptions
  readonly #proofs = new Map<string, () => void>()
  #heardAt: HeardAt
  #sentAt: number

  constructor(options: LinkOptions) {
    this.#options = options
    this.connection = options.connection
    this.stream = options.stream
    this.hello = options.hello
    const now = options.clock.now()
    this.#heardAt = options.detector.heard(now)
    this.#sentAt = now
  }

  get host(): HostId {
    return this.connection.host
  }

  /** Starts to take frames. The first beat leaves before anything else, for it is what makes the other side call the link up. */
  begin(): void {
    const { clock, detector } = this.#options
    this.stream.receive({
      onFrame: (frame) => this.#take(frame),
      onBytes: () => {
        this.#heardAt = detector.heard(clock.now())
      },
    })
    this.stream.send(FRAME.beat, NOTHING, 'urgent')
    this.stream.flush()
    this.#sentAt = clock.now()
  }

  heard(): void {
    this.#heardAt = this.#options.detector.heard(this.#options.clock.now())
  }

  silentMs(now: number): number {
    return this.#options.detector.silentMs(this.#heardAt, now)
  }

  isSilent(now: number): boolean {
    return this.#options.detector.isSilent(this.#heardAt, now)
  }

  beatIfDue(now: number): void {
    if (now - this.#sentAt < BEAT_MS - TICK_MS / 2) return
    this.#sentAt = now
    this.stream.send(FRAME.beat, NOTHING, 'urgent')
  }

  mail(frame: Uint8Array, urgency: 'urgent' | 'normal'): boolean {
    this.#sentAt = this.#options.clock.now()
    return this.stream.send(FRAME.mail, frame, urgency)
  }

  /** The last word on this link. */
  refuse(refusal: Refusal): void {
    this.stream.send(FRAME.refused, encodeRefusal(refusal), 'urgent')
    this.stream.flush()
  }

  /** True when the process at the other end answers within `limitMs`: it lives now, whatever waited in buffers before. */
  async probe(nonce: Uint8Array, limitMs: number): Promise<boolean> {
    const key = Buffer.from(nonce).toString('hex')
    const answered = new Promise<void>((resolve) => this.#proofs.set(key, resolve))
    const closed = new Promise<'closed'>((resolve) => this.stream.onClose(() => resolve('closed')))
    this.stream.send(FRAME.probe, nonce, 'urgent')
    try {
      const first = await within({ clock: this.#options.clock, ms: limitMs, what: 'probing a peer' }, (signal) =>
        abortable(Promise.race([answered.then(() => 'answered' as const), closed]), signal),
      )
      return first === 'answered'
    } catch {
      return false
    } finally {
      this.#proofs.delete(key)
    }
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case FRAME.mail:
        this.#options.onMail(frame.payload)
        return
      case FRAME.probe:
        this.stream.send(FRAME.proof, frame.payload, 'urgent')
        return
      case FRAME.proof:
        this.#proofs.get(Buffer.from(frame.payload).toString('hex'))?.()
        return
      case FRAME.refused:
        this.#options.onRefusal(parseRefusal(frame.payload))
        return
      default: // A beat has done its work by arriving; what a newer version says beside is not for us.
    }
  }
}
