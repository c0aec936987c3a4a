// A leader's side of snapshots: which follower gets one and from which view, its stream, and how far back the log must stay meanwhile.
import { type Clock } from '../base/clock.ts'
import { within } from '../base/deadline.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { type ReplicaLimits } from './replica-options.ts'
import { SnapshotChannel } from './snapshot-channel.ts'
import { type SnapshotFrame, type SnapshotMessage } from './snapshot-frames.ts'
import {
  type NodeId,
  type ReplicaStatus,
  type SnapshotMeta,
  type SnapshotOffer,
  type StatePair,
  type StateView,
  type Transport,
} from './types.ts'

/** Opening a stream may include a dial and a TLS handshake. */
const OPEN_MS = 5_000
/** Sent and not yet staged by the follower: fills 1 Gbit/s over 8 ms, and bounds what a slow disk piles up in its memory. */
const WINDOW_BYTES = 1024 * 1024
/** A view is kept so long for a follower whose stream broke; after that it has to begin anew. A restart of an agent takes seconds. */
const HOLD_MS = 30_000
/** After its snapshot a follower must show progress in the log so often, or the log is not kept for it any longer. */
const FOLLOW_MS = 10_000
/** Before the next try after one that got nothing across; doubled each time, up to the second number. */
const RETRY_MS: readonly [number, number] = [200, 5_000]

export interface SnapshotSenderOptions {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly transport: Pick<Transport, 'openSnapshot'>
  readonly limits: Pick<ReplicaLimits, 'snapshotChunkBytes' | 'snapshotsAtATime' | 'keepEntries'>
  /** The last applied entry. */
  readonly applied: () => SnapshotMeta
  /** Of the state up to there, or later. */
  readonly view: () => Promise<StateView>
  /** How an offer ended: for the core. */
  readonly report: (to: NodeId, ok: boolean) => void
  /** The state on disk cannot be read. */
  readonly onError: (error: unknown) => void
}

interface Outgoing {
  readonly to: NodeId
  /** `sending`: offered to the core, or on its way. `held`: the stream broke. `following`: the state is there, the log goes on. */
  phase: 'sending' | 'held' | 'following'
  /** The follower will need the entries behind this one. */
  pin: number
  offer: SnapshotOffer | undefined
  view: StateView | undefined
  /** When it came into this phase, or last made progress in it. */
  since: number
  failures: number
  readonly controller: AbortController
}

export class SnapshotSender {
  readonly #options: SnapshotSenderOptions
  readonly #outgoing = new Map<NodeId, Outgoing>()
  readonly #running = new Set<Promise<void>>()

  constructor(options: SnapshotSenderOptions) {
    this.#options = options
  }

  get isIdle(): boolean {
    return this.#outgoing.size === 0
  }

  /** The log must start after this entry, or before. Infinity when nobody needs it. */
  get pinned(): number {
    return Math.min(...[...this.#outgoing.values()].map(({ pin }) => pin), Number.POSITIVE_INFINITY)
  }

  /** For the core: a point that can be sent to `to` now; `send` must follow. */
  offer(to: NodeId): SnapshotMeta | undefined {
    const { clock } = this.#options
    const known = this.#outgoing.get(to)
    if (known?.phase === 'sending') return undefined
    if (known?.phase === 'held') {
      if (clock.now() - known.since < retryMs(known.failures)) return undefined
      known.phase = 'sending'
      return known.offer?.meta ?? this.#options.applied()
    }
    if (known !== undefined) this.#drop(known, 'it asked for another snapshot')
    if (!this.#makeRoom()) return undefined
    const meta = this.#options.applied()
    this.#outgoing.set(to, {
      to,
      phase: 'sending',
      pin: meta.index,
      offer: undefined,
      view: undefined,
      since: clock.now(),
      failures: 0,
      controller: new AbortController(),
    })
    return meta
  }

  /** What the core has to say to a follower that was offered a snapshot: it arrives there with the state. */
  send(message: SnapshotMessage): void {
    const outgoing = this.#outgoing.get(message.to)
    if (outgoing?.phase !== 'sending') return this.#options.report(message.to, false)
    const running = this.#run(outgoing, message).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** To be called every tick, with what the leader knows of its followers. */
  tick(progress: ReplicaStatus['progress']): void {
    const now = this.#options.clock.now()
    for (const outgoing of this.#outgoing.values()) {
      const match = progress.get(outgoing.to)?.match
      if (match === undefined) this.#drop(outgoing, 'it is no member any more')
      else if (outgoing.phase === 'held' && now - outgoing.since >= HOLD_MS) this.#drop(outgoing, `it did not come back for ${HOLD_MS} ms`)
      else if (outgoing.phase === 'following') this.#follow(outgoing, match, now)
    }
  }

  /** Whoever needs the log from before `index` has taken too long: what the log keeps for it has a limit. */
  unpin(index: number): void {
    for (const outgoing of this.#outgoing.values()) {
      if (outgoing.pin < index) this.#drop(outgoing, `the log cannot be kept for it any longer, from entry ${outgoing.pin} on`)
    }
  }

  /** It leads no longer. */
  dropAll(): void {
    for (const outgoing of this.#outgoing.values()) this.#drop(outgoing, 'this member leads no longer')
  }

  async stop(): Promise<void> {
    this.dropAll()
    await Promise.all(this.#running)
  }

  #follow(outgoing: Outgoing, match: number, now: number): void {
    const { applied, limits } = this.#options
    // From here on the tail that is kept for everybody is enough, with room to spare.
    const isNear = match >= applied().index - limits.keepEntries / 2
    if (isNear || (match <= outgoing.pin && now - outgoing.since >= FOLLOW_MS)) this.#outgoing.delete(outgoing.to)
    else if (match > outgoing.pin) Object.assign(outgoing, { pin: match, since: now })
  }

  /** Of those under way, and those that may come back, there are only so many; who may come back yields to who is there. */
  #makeRoom(): boolean {
    const busy = [...this.#outgoing.values()].filter(({ phase }) => phase !== 'following')
    if (busy.length < this.#options.limits.snapshotsAtATime) return true
    const held = busy.filter(({ phase }) => phase === 'held').sort((a, b) => a.since - b.since)[0]
    if (held === undefined) return false
    this.#drop(held, 'another follower needs one')
    return true
  }

  /** Every way out of here reports once, and leaves the view held or closed. */
  async #run(outgoing: Outgoing, message: SnapshotMessage): Promise<void> {
    const { clock, log, report } = this.#options
    const { to } = outgoing
    const begun = clock.now()
    let ok = false
    try {
      const { view, offer } = await this.#look(outgoing)
      const sentBytes = await this.#transfer(outgoing, view, { ...message, snapshot: offer.meta }, offer)
      ok = true
      log.info({ to, index: offer.meta.index, bytes: sentBytes, ms: Math.round(clock.now() - begun) }, 'a snapshot was sent')
    } catch (error) {
      outgoing.failures += 1
      log.info({ to, error: errorText(error) }, 'a snapshot was not sent to its end')
      if (isOver(error)) this.#drop(outgoing, errorText(error))
    }
    await this.#settle(outgoing, ok)
    report(to, ok)
  }

  async #settle(outgoing: Outgoing, ok: boolean): Promise<void> {
    const isWanted = this.#outgoing.get(outgoing.to) === outgoing
    outgoing.since = this.#options.clock.now()
    outgoing.phase = ok ? 'following' : 'held'
    if (ok || !isWanted) await this.#close(outgoing)
  }

  async #look(outgoing: Outgoing): Promise<{ view: StateView; offer: SnapshotOffer }> {
    if (outgoing.view !== undefined && outgoing.offer !== undefined) return { view: outgoing.view, offer: outgoing.offer }
    const view = await this.#readable(this.#options.view())
    outgoing.view = view
    const id = Math.floor(this.#options.random.float() * 2 ** 52)
    outgoing.offer = { id, meta: view.meta, digest: view.digest }
    outgoing.pin = view.meta.index
    outgoing.controller.signal.throwIfAborted()
    return { view, offer: outgoing.offer }
  }

  async #transfer(outgoing: Outgoing, view: StateView, message: SnapshotMessage, offer: SnapshotOffer): Promise<number> {
    const { clock, transport } = this.#options
    const { signal } = outgoing.controller
    const stream = await within({ clock, ms: OPEN_MS, what: `opening the stream of a snapshot to ${outgoing.to}`, signal }, (limit) =>
      transport.openSnapshot(outgoing.to, limit),
    )
    const channel = new SnapshotChannel(stream, clock, signal)
    try {
      await channel.send({ kind: 'offer', message, offer })
      const sent = await this.#stream(outgoing, view, channel)
      channel.close()
      return sent
    } catch (error) {
      channel.abort(errorText(error))
      throw error
    }
  }

  /** Sends until the follower says that it has all; the bytes sent. */
  async #stream(outgoing: Outgoing, view: StateView, channel: SnapshotChannel): Promise<number> {
    const first = await channel.next()
    if (first.kind === 'done') return 0
    if (first.kind !== 'resume') throw unexpected(first)
    let staged = first.bytes
    let sent = first.bytes
    const hear = async (): Promise<boolean> => {
      const frame = await channel.next()
      if (frame.kind === 'done') return true
      if (frame.kind !== 'staged') throw unexpected(frame)
      if (frame.bytes > staged) outgoing.failures = 0
      staged = frame.bytes
      return false
    }
    const pages = view.pages({ bytes: this.#options.limits.snapshotChunkBytes, after: first.after })[Symbol.asyncIterator]()
    try {
      for (;;) {
        const page = await this.#readable(pages.next())
        if (page.done === true) break
        await channel.send({ kind: 'chunk', bytes: sent, pairs: page.value })
        sent += sizeOf(page.value)
        while (sent - staged > WINDOW_BYTES) if (await hear()) return sent - first.bytes
      }
    } finally {
      await pages.return?.()
    }
    while (!(await hear()));
    return sent - first.bytes
  }

  /** What fails here is this member's disk, not the follower. */
  async #readable<T>(reading: Promise<T>): Promise<T> {
    try {
      return await reading
    } catch (error) {
      this.#options.onError(error)
      throw error
    }
  }

  #drop(outgoing: Outgoing, why: string): void {
    if (this.#outgoing.get(outgoing.to) !== outgoing) return
    this.#outgoing.delete(outgoing.to)
    const { to, phase } = outgoing
    if (phase !== 'following') this.#options.log.info({ to, why }, 'a snapshot was given up')
    // One that is on its way ends by this, and closes its view itself.
    outgoing.controller.abort(new OperationError('failed', `the snapshot was given up: ${why}`))
    if (phase === 'held') void this.#close(outgoing)
  }

  async #close(outgoing: Outgoing): Promise<void> {
    const { view } = outgoing
    outgoing.view = undefined
    await view?.close()
  }
}

function sizeOf(pairs: readonly StatePair[]): number {
  const encoder = new TextEncoder()
  return pairs.reduce((sum, { key, value }) => sum + encoder.encode(key).length + value.length, 0)
}

function retryMs(failures: number): number {
  const [first, last] = RETRY_MS
  return Math.min(first * 2 ** (failures - 1), last)
}

/** This view will never do. */
function isOver(error: unknown): boolean {
  return error instanceof OperationError && (error.data['kind'] === 'not-what-was-offered' || error.data['kind'] === 'stale')
}

function unexpected(frame: SnapshotFrame): OperationError {
  if (frame.kind === 'refused') {
    return new OperationError('refused', `the follower refused the snapshot: ${frame.why}`, { data: { kind: frame.why } })
  }
  return new OperationError('failed', `the follower of a snapshot answered with ${frame.kind}`, { data: { kind: 'malformed' } })
}
