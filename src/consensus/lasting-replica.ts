// A replica that outlives its stores: after an error of the disk it opens them again by itself, damaged ones it gives up and says so.
import { backoffMs } from '../base/backoff.ts'
import { type Clock, sleep } from '../base/clock.ts'
import { emitter } from '../base/emitter.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { type Proposed, type ProposeOptions } from './proposals.ts'
import { type Replica, type ReplicaStatus } from './replica.ts'
import { type ConfChange, type Message, NOBODY, type NodeId, type SnapshotStream } from './types.ts'

/**
 * `reopening`: a write or sync failed; nothing that was acknowledged is lost, the stores are opened again. `damaged`: what the stores hold is
 * not what this member acknowledged; it takes no part any more, its host has to come back as another member.
 */
export type ReplicaHealth =
  | { readonly kind: 'running' }
  | { readonly kind: 'reopening'; readonly why: string }
  | { readonly kind: 'damaged'; readonly why: string }

export interface LastingReplica extends Replica {
  health(): ReplicaHealth
  onHealth(listener: (health: ReplicaHealth) => void): () => void
}

export interface LastingOptions {
  readonly id: NodeId
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** Opens the stores and starts on them; called again after each failure of the disk. `onFatal` as in ReplicaOptions. */
  readonly open: (onFatal: (error: unknown) => void) => Promise<Replica>
  /** The machine or the core failed, or another process has the stores: not to be mended by opening them again. */
  readonly onFatal: (error: unknown) => void
}

/** A full disk may have space again at any time, and whoever made it waits: soon, but without a storm of opens on a disk that is gone. */
const REOPEN = { firstMs: 250, maxMs: 15_000 }
/** Whoever ran this long failed for a new reason. */
const SETTLED_MS = 60_000

/** Never rejects for what a disk may do; rejects as `startReplica` for all else. */
export async function startLastingReplica(options: LastingOptions): Promise<LastingReplica> {
  const replica = new Lasting(options)
  await replica.start()
  return replica
}

/** What the disk is to blame for: `disk` is worth another try, `damaged` is not. */
function storeFailure(error: unknown): 'disk' | 'damaged' | undefined {
  const kind = error instanceof OperationError ? error.data['kind'] : undefined
  return kind === 'disk' || kind === 'damaged' ? kind : undefined
}

class Lasting implements LastingReplica {
  readonly #options: LastingOptions
  readonly #statusChanged = emitter<ReplicaStatus>()
  readonly #appliedMore = emitter<number>()
  readonly #healthChanged = emitter<ReplicaHealth>()
  readonly #stopping = new AbortController()
  #health: ReplicaHealth = { kind: 'running' }
  #inner: Replica | undefined
  #offs: (() => void)[] = []
  #lastStatus: ReplicaStatus
  #attempt = 0
  #openedAt = 0
  #mending: Promise<void> = Promise.resolve()

  constructor(options: LastingOptions) {
    this.#options = options
    this.#lastStatus = nothingKnown(options.id)
  }

  async start(): Promise<void> {
    try {
      await this.#open()
    } catch (error) {
      if (storeFailure(error) === undefined) throw error
      this.#failed(error)
    }
  }

  health(): ReplicaHealth {
    return this.#health
  }

  onHealth(listener: (health: ReplicaHealth) => void): () => void {
    return this.#healthChanged.on(listener)
  }

  status(): ReplicaStatus {
    if (this.#inner !== undefined) this.#lastStatus = this.#inner.status()
    return this.#lastStatus
  }

  async propose(data: Uint8Array, options: ProposeOptions): Promise<Proposed> {
    return this.#running().propose(data, options)
  }

  async proposeConfChange(change: ConfChange, options: ProposeOptions): Promise<Proposed> {
    return this.#running().proposeConfChange(change, options)
  }

  async readIndex(options: { readonly signal: AbortSignal }): Promise<number> {
    return this.#running().readIndex(options)
  }

  receive(message: Message): void {
    this.#inner?.receive(message)
  }

  receiveSnapshot(stream: SnapshotStream, from: NodeId): void {
    if (this.#inner === undefined) stream.abort('this member takes no part now')
    else this.#inner.receiveSnapshot(stream, from)
  }

  connectionLost(id: NodeId): void {
    this.#inner?.connectionLost(id)
  }

  async transferLeadership(target: NodeId, options: { readonly signal: AbortSignal }): Promise<void> {
    return this.#running().transferLeadership(target, options)
  }

  onStatus(listener: (status: ReplicaStatus) => void): () => void {
    return this.#statusChanged.on(listener)
  }

  onApplied(listener: (index: number) => void): () => void {
    return this.#appliedMore.on(listener)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the member stops'))
    await this.#mending
    await this.#close()
  }

  async #open(): Promise<void> {
    const replica = await this.#options.open((error) => this.#failed(error))
    this.#inner = replica
    this.#openedAt = this.#options.clock.now()
    this.#offs = [
      replica.onStatus((status) => this.#statusChanged.emit(status)),
      replica.onApplied((index) => this.#appliedMore.emit(index)),
    ]
    this.#become({ kind: 'running' })
    this.#statusChanged.emit(this.status())
  }

  #failed(error: unknown): void {
    const { clock, log, onFatal } = this.#options
    const failure = storeFailure(error)
    if (failure === undefined) return onFatal(error)
    if (clock.now() - this.#openedAt > SETTLED_MS) this.#attempt = 0
    const why = errorText(error)
    log.error(
      { why },
      failure === 'disk' ? 'the disk failed: the stores are opened again' : 'the stores are damaged: this member needs repair',
    )
    this.#become({ kind: failure === 'disk' ? 'reopening' : 'damaged', why })
    this.#mending = this.#mending.then(() => this.#mend())
  }

  /** Ends the failed one, and tries until the stores open, or show to be damaged. Never rejects. */
  async #mend(): Promise<void> {
    await this.#close()
    const { clock, random, log, onFatal } = this.#options
    const { signal } = this.#stopping
    while (this.#health.kind === 'reopening' && !signal.aborted) {
      try {
        await sleep(clock, backoffMs(this.#attempt, REOPEN, random), signal)
        this.#attempt += 1
        await this.#open()
        log.info({ attempt: this.#attempt }, 'the stores are open again')
        return
      } catch (error) {
        if (signal.aborted) return
        const failure = storeFailure(error)
        if (failure === undefined) return onFatal(error)
        this.#become({ kind: failure === 'disk' ? 'reopening' : 'damaged', why: errorText(error) })
      }
    }
  }

  /** Nobody is led by a member that rests: listeners hear it before its stores are closed. */
  async #close(): Promise<void> {
    const replica = this.#inner
    if (replica === undefined) return
    this.#lastStatus = resting(replica.status())
    this.#inner = undefined
    for (const off of this.#offs) off()
    this.#statusChanged.emit(this.#lastStatus)
    try {
      await replica.stop()
    } catch (error) {
      // Its disk failed; what could not be written any more was never acknowledged.
      this.#options.log.warn({ error: errorText(error) }, 'the failed stores could not be closed in order')
    }
  }

  #running(): Replica {
    if (this.#inner !== undefined) return this.#inner
    const why = this.#health.kind === 'running' ? 'it has stopped' : this.#health.why
    throw new OperationError('no-quorum', `this member takes no part now: ${why}`, { data: { kind: 'no-leader' } })
  }

  #become(health: ReplicaHealth): void {
    if (health.kind === 'running' && this.#health.kind === 'running') return
    this.#health = health
    this.#healthChanged.emit(health)
  }
}

function resting(status: ReplicaStatus): ReplicaStatus {
  return { ...status, role: 'follower', leader: NOBODY, leading: false, progress: new Map() }
}

function nothingKnown(id: NodeId): ReplicaStatus {
  const conf = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false }
  const log = { term: 0, commitIndex: 0, appliedIndex: 0, lastIndex: 0, lastTerm: 0, firstIndex: 1 }
  return { id, role: 'follower', leader: NOBODY, leading: false, conf, progress: new Map(), ...log }
}
