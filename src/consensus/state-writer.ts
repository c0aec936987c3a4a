// Writes the applied state behind the log: one batch at a time, changes that pile up meanwhile become one batch.
import { type Clock, type Timer } from '../base/clock.ts'
import { type SnapshotMeta, type StateChange, type StateStaging, type StateStore } from './types.ts'

/**
 * How long applied changes wait for company. A crash makes the log apply at most so much again; without it, every lone proposal costs a second
 * batch (measured with one client: a fifth of the CPU, a third of the median latency).
 */
const GATHER_MS = 50

interface Waiter {
  resolve(meta: SnapshotMeta): void
  reject(error: unknown): void
}

export interface StateWriterOptions {
  readonly clock: Clock
  readonly store: StateStore
  /** What the store holds. */
  readonly meta: SnapshotMeta
  /** Called once; nothing is written after it. */
  readonly onError: (error: unknown) => void
}

/**
 * A crash may lose what is still in memory here: the log has it all and applies it again. Bounded by the state itself, as later changes of
 * a key replace earlier ones.
 */
export class StateWriter {
  readonly #options: StateWriterOptions
  #meta: SnapshotMeta
  #changes = new Map<string, Uint8Array | undefined>()
  #dirty = false
  #waiters: Waiter[] = []
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(options: StateWriterOptions) {
    this.#options = options
    this.#meta = options.meta
  }

  /** `changes` lead to the state as of `meta`. */
  add(meta: SnapshotMeta, changes: readonly StateChange[]): void {
    this.#meta = meta
    for (const { key, value } of changes) this.#changes.set(key, value)
    this.#dirty = true
    this.#startLater()
  }

  /** Resolves with the newest meta that was added, once it is durable. */
  durable(): Promise<SnapshotMeta> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.#start()
    })
  }

  /** Puts a staged state in the place of the present one, durably. */
  async install(meta: SnapshotMeta, staging: Pick<StateStaging, 'install'>): Promise<void> {
    await this.flush()
    if (this.#failure !== undefined) throw this.#failure.error
    await staging.install()
    this.#meta = meta
  }

  /** Resolves when nothing waits and nothing is under way, after a failure too. */
  async flush(): Promise<void> {
    if (this.#dirty) this.#start()
    while (this.#running !== undefined) {
      await this.#running
      if (this.#dirty) this.#start()
    }
  }

  #startLater(): void {
    if (this.#running === undefined) this.#timer ??= this.#options.clock.after(GATHER_MS, () => this.#start())
  }

  #start(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    // It begins in a later microtask and its last step takes itself away, so no change can slip in between end and restart.
    this.#running ??= Promise.resolve().then(() => this.#drain())
  }

  async #drain(): Promise<void> {
    do await this.#writeOnce()
    while (this.#waiters.length > 0)
    this.#running = undefined
    if (this.#dirty) this.#startLater()
  }

  async #writeOnce(): Promise<void> {
    const meta = this.#meta
    const changes = [...this.#changes].map(([key, value]) => ({ key, value }))
    const waiters = this.#waiters
    this.#changes = new Map()
    this.#waiters = []
    this.#dirty = false
    try {
      if (this.#failure !== undefined) throw this.#failure.error
      await this.#options.store.write(meta, changes, { sync: waiters.length > 0 })
      for (const waiter of waiters) waiter.resolve(meta)
    } catch (error) {
      for (const waiter of waiters) waiter.reject(error)
      if (this.#failure !== undefined) return
      this.#failure = { error }
      this.#options.onError(error)
    }
  }
}
