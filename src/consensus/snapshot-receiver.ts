// A follower's side of snapshots: stages what arrives, checks it as a whole, makes the new state ready, and only then tells the core of it.
import { type Clock } from '../base/clock.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { type Log } from '../base/log.ts'
import { feed } from './state-feed.ts'
import { sameDigest } from './state-tally.ts'
import { SnapshotChannel } from './snapshot-channel.ts'
import { type Refusal, type SnapshotFrame, type SnapshotMessage } from './snapshot-frames.ts'
import {
  type NodeId,
  type SnapshotMeta,
  type SnapshotOffer,
  type SnapshotStream,
  type StateDigest,
  type StateLoader,
  type StateMachine,
  type StateStaging,
  type StateStore,
} from './types.ts'

/** While it works on a complete state it says so this often, so that the leader does not take it for dead. */
const SAY_MS = 1_000

/** A whole state, ready to take the place of the present one in one step. */
export interface PreparedSnapshot {
  readonly meta: SnapshotMeta
  readonly staging: StateStaging
  readonly loader: StateLoader
}

/** `ended`: the member stops or failed. What is staged must stay as it is, since an installation of it may be under way. */
export type DeliveryOutcome = 'installed' | 'unwanted' | 'ended'

export interface SnapshotReceiverOptions {
  readonly id: NodeId
  readonly clock: Clock
  readonly log: Log
  readonly stateStore: Pick<StateStore, 'stage'>
  readonly machine: Pick<StateMachine, 'restore'>
  readonly status: () => { readonly term: number; readonly commitIndex: number }
  /**
   * Tells the core. Always resolves, once that is done. `prepared` undefined: the core has all of it already, and only answers the leader.
   */
  readonly deliver: (message: SnapshotMessage, prepared: PreparedSnapshot | undefined) => Promise<DeliveryOutcome>
  /** This member's disk or state machine failed. */
  readonly onError: (error: unknown) => void
}

export class SnapshotReceiver {
  readonly #options: SnapshotReceiverOptions
  /** The one transfer that is taken; a later one ends it. */
  #current: AbortController | undefined
  #running: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options
  }

  /** Takes a stream that `from` opened. */
  receive(stream: SnapshotStream, from: NodeId): void {
    if (this.#stopped) {
      stream.abort('this member has stopped')
      return
    }
    const controller = new AbortController()
    // The leader knows best: if it opened another stream, the former one is broken, or that of a leader before.
    this.#current?.abort(new OperationError('unreachable', 'a later stream took its place'))
    this.#current = controller
    this.#running = this.#running.then(() => this.#converse(stream, from, controller.signal))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#current?.abort(new OperationError('unreachable', 'this member has stopped'))
    await this.#running
  }

  /** Never rejects. */
  async #converse(stream: SnapshotStream, from: NodeId, signal: AbortSignal): Promise<void> {
    const channel = new SnapshotChannel(stream, this.#options.clock, signal)
    try {
      await this.#take(channel, from, signal)
      channel.close()
    } catch (error) {
      this.#options.log.info({ error: errorText(error) }, 'a snapshot was not received to its end')
      channel.abort(errorText(error))
    }
  }

  async #take(channel: SnapshotChannel, from: NodeId, signal: AbortSignal): Promise<void> {
    const { log, clock, status, deliver } = this.#options
    const begun = clock.now()
    const first = await channel.next()
    if (first.kind !== 'offer' || first.message.from !== from) throw unexpected(first)
    const { message, offer } = first
    const { term, commitIndex } = status()
    if (message.to !== this.#options.id || message.term < term) return refuse(channel, 'stale')
    if (offer.meta.index <= commitIndex) {
      await deliver(message, undefined)
      await channel.send({ kind: 'done' })
      return
    }
    const staging = await this.#own(signal, this.#options.stateStore.stage(offer))
    await this.#fill(channel, staging, offer, signal)
    const { loader, digest } = await this.#prepare(channel, staging, signal)
    if (!sameDigest(digest, offer.digest)) {
      await this.#own(signal, staging.discard())
      return refuse(channel, 'not-what-was-offered')
    }
    const {
      meta,
      digest: { bytes },
    } = offer
    const outcome = await deliver({ ...message, snapshot: meta }, { meta, staging, loader })
    if (outcome === 'ended') throw new OperationError('unreachable', 'this member takes no part any more')
    if (outcome === 'unwanted') await this.#own(signal, staging.discard())
    log.info({ index: meta.index, bytes, outcome, ms: Math.round(clock.now() - begun) }, 'a snapshot was received')
    await channel.send({ kind: 'done' })
  }

  async #fill(channel: SnapshotChannel, staging: StateStaging, { digest }: SnapshotOffer, signal: AbortSignal): Promise<void> {
    await channel.send({ kind: 'resume', bytes: staging.bytes, after: staging.lastKey })
    while (staging.bytes < digest.bytes) {
      const frame = await channel.next()
      if (frame.kind !== 'chunk' || frame.bytes !== staging.bytes) throw unexpected(frame)
      await this.#own(signal, staging.add(frame.pairs))
      await channel.send({ kind: 'staged', bytes: staging.bytes })
    }
  }

  /** From what lies on disk, not from what came: the digest then speaks for both. */
  async #prepare(
    channel: SnapshotChannel,
    staging: StateStaging,
    signal: AbortSignal,
  ): Promise<{ loader: StateLoader; digest: StateDigest }> {
    const { clock, machine } = this.#options
    const loader = machine.restore()
    const take = feed(clock, loader)
    let saidAt = clock.now()
    const digest = await this.#own(
      signal,
      staging.read(async (pairs) => {
        signal.throwIfAborted()
        await take(pairs)
        if (clock.now() - saidAt < SAY_MS) return
        saidAt = clock.now()
        // All is here: a leader that hears no more of it is no reason to stop.
        channel.send({ kind: 'staged', bytes: staging.bytes }).catch(() => {})
      }),
    )
    return { loader, digest }
  }

  /** What fails here is this member's own, unless it was told to stop. */
  async #own<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      if (!signal.aborted) this.#options.onError(error)
      throw error
    }
  }
}

async function refuse(channel: SnapshotChannel, why: Refusal): Promise<void> {
  await channel.send({ kind: 'refused', why })
}

function unexpected(frame: SnapshotFrame): OperationError {
  const where = 'bytes' in frame ? ` at byte ${frame.bytes}` : ''
  return new OperationError('failed', `the leader of a snapshot sent ${frame.kind}${where} out of turn`, { data: { kind: 'malformed' } })
}
