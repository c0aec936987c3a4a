// Writes the applied state behind the log: one batch at a time, changes that pile up meanwhile become one batch.
import { type SnapshotMeta, type StateChange, type StateStore, type StoredState } from './types.ts'

interface Waiter {
  resolve(meta: SnapshotMeta): void
  reject(error: unknown): void
}

/**
 * A crash may lose what is still in memory here: the log has it all and applies it again. Bounded by the state itself, as later changes of
 * a key replace earlier ones.
 */
export class StateWriter {
  readonly #store: StateStore
  readonly #onError: (error: unknown) => void
  #meta: SnapshotMeta
  #changes = new Map<string, Uint8Array | undefined>()
  #dirty = false
  #waiters: Waiter[] = []
  #running: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  /** `meta`: what the store holds. `onError` is called once; nothing is written after it. */
  constructor(store: StateStore, meta: SnapshotMeta, onError: (error: unknown) => void) {
    this.#store = store
    this.#meta = meta
    this.#onError = onError
  }

  /** `changes` lead to the state as of `meta`. */
  add(meta: SnapshotMeta, changes: readonly StateChange[]): void {
    this.#meta = meta
    for (const { key, value } of changes) this.#changes.set(key, value)
    this.#dirty = true
    this.#start()
  }

  /** Resolves with the newest meta that was added, once it is durable. */
  durable(): Promise<SnapshotMeta> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
      this.#start()
    })
  }

  /** Replaces the whole state, durably. */
  async replace(state: StoredState): Promise<void> {
    await this.idle()
    if (this.#failure !== undefined) throw this.#failure.error
    await this.#store.replace(state)
    this.#meta = state.meta
  }

  /** Resolves when nothing is under way, after a failure too. */
  async idle(): Promise<void> {
    await this.#running
  }

  #start(): void {
    // It begins in a later microtask and its last step takes itself away, so no change can slip in between end and restart.
    this.#running ??= Promise.resolve().then(() => this.#drain())
  }

  async #drain(): Promise<void> {
    while (this.#dirty || this.#waiters.length > 0) {
      const meta = this.#meta
      const changes = [...this.#changes].map(([key, value]) => ({ key, value }))
      const waiters = this.#waiters
      this.#changes = new Map()
      this.#waiters = []
      this.#dirty = false
      try {
        if (this.#failure !== undefined) throw this.#failure.error
        await this.#store.write(meta, changes, { sync: waiters.length > 0 })
        for (const waiter of waiters) waiter.resolve(meta)
      } catch (error) {
        for (const waiter of waiters) waiter.reject(error)
        if (this.#failure === undefined) this.#onError(error)
        this.#failure ??= { error }
      }
    }
    this.#running = undefined
  }
}
