// Inviter's side of a join: lets strangers in, a few at a time and for seconds, to answer a challenge and nothing else.
import { type Clock } from '../base/clock.ts'
import { assert, BugError } from '../base/assert.ts'
import { within } from '../base/deadline.ts'
import { errorText, OperationError, refusal } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { type Alarms } from './alarms.ts'
import { FRAME } from './frame.ts'
import { FrameStream } from './frame-stream.ts'
import { type Hello } from './hello.ts'
import {
  encodeJson,
  JOIN_PROTOCOL,
  type JoinAsk,
  type JoinReply,
  type JoinRequest,
  MAX_JOIN_FRAME_BYTES,
  NONCE_BYTES,
  parseAsk,
  parseProof,
  refusedReply,
} from './join-messages.ts'
import { type JoinHandler } from './mesh.ts'
import { type WireConnection, type WireStream } from './wire.ts'

/** Strangers that are connected at the same time. */
export const MAX_STRANGERS = 8
/** A whole join, with the commit of the leader; then the stranger is cut off. */
export const STRANGER_MS = 10_000

export interface JoinGateOptions {
  readonly self: HostId
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly alarms: Alarms
  readonly hello: () => Hello | undefined
}

export class JoinGate {
  readonly #options: JoinGateOptions
  /** One place each, from being admitted until the connection closes or its time is over. */
  readonly #places = new Set<{ readonly host: HostId; readonly until: number; connection: WireConnection | undefined }>()
  #isOpen = false
  #handler: JoinHandler | undefined

  constructor(options: JoinGateOptions) {
    this.#options = options
  }

  setOpen(open: boolean): void {
    assert(!open || this.#handler !== undefined, 'the join gate is opened and nobody handles joins')
    this.#isOpen = open
    if (!open) this.#cut('no join token is valid any more')
  }

  handle(handler: JoinHandler): () => void {
    assert(this.#handler === undefined, 'joins have a handler already')
    this.#handler = handler
    return () => {
      this.setOpen(false)
      this.#handler = undefined
    }
  }

  /** May this stranger connect? Takes a place if so. */
  admit(host: HostId): boolean {
    const now = this.#options.clock.now()
    for (const place of this.#places) if (place.until <= now) this.#places.delete(place)
    if (!this.#isOpen || this.#options.hello() === undefined || this.#places.size >= MAX_STRANGERS) return false
    this.#places.add({ host, until: now + STRANGER_MS, connection: undefined })
    return true
  }

  /** True for a stranger that took a place and is not connected yet. */
  awaits(host: HostId): boolean {
    return [...this.#places].some((place) => place.host === host && place.connection === undefined)
  }

  /** The stranger is connected. */
  connected(connection: WireConnection): void {
    const place = [...this.#places].find(({ host, connection: taken }) => host === connection.host && taken === undefined)
    if (place === undefined) {
      connection.abort('not admitted')
      return
    }
    place.connection = connection
    const timer = this.#options.clock.after(STRANGER_MS, () => connection.abort(`the join took longer than ${STRANGER_MS} ms`))
    connection.onClose(() => {
      timer.cancel()
      this.#places.delete(place)
    })
  }

  /** True for a stranger that has a place. */
  knows(connection: WireConnection): boolean {
    return [...this.#places].some((place) => place.connection === connection)
  }

  /** Never rejects but for a bug. */
  async serve(wire: WireStream, connection: WireConnection): Promise<void> {
    const { log, alarms } = this.#options
    const { host, address } = connection
    const stream = new FrameStream(wire, { maxFrameBytes: MAX_JOIN_FRAME_BYTES, maxWaitingBytes: MAX_JOIN_FRAME_BYTES })
    const reply = await this.#answer(stream, host).catch((error: unknown) => {
      const reason = whyRefused(error)
      log.warn({ host, address, reason }, 'join refused')
      alarms.raise({ kind: 'refused', host, address, reason })
      stream.send(FRAME.joinReply, encodeJson(refusedReply(error)), 'normal')
      stream.close()
      if (error instanceof BugError) throw error
    })
    if (reply === undefined) return
    stream.send(FRAME.joinReply, encodeJson(reply), 'normal')
    stream.close()
  }

  stop(): void {
    this.#isOpen = false
    this.#cut('this host stops')
  }

  async #answer(stream: FrameStream, joiner: HostId): Promise<JoinReply> {
    const { self, clock, random } = this.#options
    const gone = new AbortController()
    stream.onClose((cause) => gone.abort(new OperationError('unreachable', cause ?? 'the joiner ended the stream')))
    return within({ clock, ms: STRANGER_MS, what: `the join of ${joiner}`, signal: gone.signal }, async (signal) => {
      const ask = parseAsk(await payloadOf(stream, FRAME.joinAsk, signal))
      this.#checkAsk(ask)
      const nonce = random.bytes(NONCE_BYTES)
      stream.send(FRAME.joinNonce, nonce, 'urgent')
      const proof = parseProof(await payloadOf(stream, FRAME.joinProof, signal))
      const { meshId, tokenId } = ask
      const request: JoinRequest = { ...proof, meshId, tokenId, inviter: self, joiner, nonce: Buffer.from(nonce).toString('base64url') }
      assert(this.#handler !== undefined, 'the join gate is open and nobody handles joins')
      return { kind: 'accepted', reply: await this.#handler(request, signal) }
    })
  }

  #checkAsk({ protocol, meshId }: JoinAsk): void {
    const mine = this.#options.hello()
    if (protocol !== JOIN_PROTOCOL) {
      const message = `the joiner speaks join protocol ${protocol}, ${JOIN_PROTOCOL} is spoken here: install the version of the mesh`
      throw refusal(message, [{ code: 'join-protocol', message }])
    }
    if (mine?.meshId !== meshId) {
      const message = `the token is for mesh ${meshId}, this host belongs to ${mine === undefined ? 'none' : `mesh ${mine.meshId}`}`
      throw refusal(message, [{ code: 'token-wrong-mesh', message, fix: 'hostmesh token create' }])
    }
  }

  #cut(cause: string): void {
    for (const { connection } of [...this.#places]) connection?.abort(cause)
    this.#places.clear()
  }
}

/** What the event log keeps: the checks that said no, not that one did. */
function whyRefused(error: unknown): string {
  const reasons = error instanceof OperationError ? error.reasons : []
  return reasons.length === 0 ? errorText(error) : reasons.map(({ message }) => message).join('; ')
}

async function payloadOf(stream: FrameStream, type: number, signal: AbortSignal): Promise<Uint8Array> {
  const frame = await stream.next(signal)
  if (frame.type !== type) throw new OperationError('usage', `frame ${frame.type} came in a join instead of ${type}`)
  return frame.payload
}
