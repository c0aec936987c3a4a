// Applies committed entries to the state machine and keeps account of it: the state to store, the point it stands at, where the log may be cut.
import { type Clock } from '../base/clock.ts'
import { decodeConfChange } from './conf-codec.ts'
import { type PreparedSnapshot } from './snapshot-receiver.ts'
import { StateWriter } from './state-writer.ts'
import {
  type Applied,
  type ConfChange,
  type ConfState,
  type Entry,
  type SnapshotMeta,
  type StateChange,
  type StateMachine,
  type StateStore,
  type StateView,
  type StoredLog,
} from './types.ts'
import { Waypoints } from './waypoints.ts'

export interface ApplierOptions {
  readonly clock: Clock
  readonly machine: Pick<StateMachine, 'apply'>
  readonly stateStore: StateStore
  readonly log: StoredLog
  /** What store and machine hold. */
  readonly applied: SnapshotMeta
  /** Tells the core, with null for a change that the machine refused; returns the configuration from now on. */
  readonly applyConfChange: (change: ConfChange | null) => ConfState
  /** After each entry, with the machine's answer. */
  readonly onEntry: (entry: Entry, result: unknown) => void
  readonly onError: (error: unknown) => void
}

export class Applier {
  readonly #options: ApplierOptions
  readonly #writer: StateWriter
  readonly #waypoints: Waypoints
  #meta: SnapshotMeta

  constructor(options: ApplierOptions) {
    this.#options = options
    this.#meta = options.applied
    const { clock, stateStore: store, applied: meta, onError } = options
    this.#writer = new StateWriter({ clock, store, meta, onError })
    this.#waypoints = new Waypoints(options.log, options.applied)
  }

  /** The last applied entry, and the configuration after it. */
  get meta(): SnapshotMeta {
    return this.#meta
  }

  /** In memory at once; the store follows. The entries are durable in the log by now. */
  apply(committed: readonly Entry[]): void {
    if (committed.length === 0) return
    const changes: StateChange[] = []
    for (const entry of committed) {
      const { applied, conf } = this.#applyOne(entry)
      this.#meta = { index: entry.index, term: entry.term, conf }
      this.#waypoints.applied(this.#meta)
      if (applied !== undefined) changes.push(...applied.changes)
      this.#options.onEntry(entry, applied?.result)
    }
    this.#writer.add(this.#meta, changes)
  }

  /** Puts a received snapshot in the place of the state, durably. Nothing else may be under way. */
  async install({ meta, staging, loader }: PreparedSnapshot): Promise<void> {
    await this.#writer.install(meta, staging)
    loader.finish(meta)
    this.#meta = meta
    this.#waypoints.startAt(meta)
  }

  /** Of the state as it is now, or later. */
  async view(): Promise<StateView> {
    await this.#writer.durable()
    return this.#options.stateStore.view()
  }

  /** Where to cut the log so that it starts after `index`, once the state beyond is durable; undefined when the configuration there is not known. */
  async cutPoint(index: number): Promise<SnapshotMeta | undefined> {
    const meta = this.#waypoints.at(index)
    if (meta !== undefined) await this.#writer.durable()
    return meta
  }

  logWasCut(meta: SnapshotMeta): void {
    this.#waypoints.startAt(meta)
  }

  /** Resolves when all that was applied is written, if the store still takes it. */
  async flush(): Promise<void> {
    await this.#writer.flush()
  }

  #applyOne(entry: Entry): { readonly applied: Applied | undefined; readonly conf: ConfState } {
    const { index, term, kind } = entry
    const { machine, applyConfChange } = this.#options
    if (kind === 'normal') return { applied: entry.data.length === 0 ? undefined : machine.apply(entry), conf: this.#meta.conf }
    const change = decodeConfChange(entry.data)
    const applied = change.context.length === 0 ? undefined : machine.apply({ index, term, kind, data: change.context })
    return { applied, conf: applyConfChange(applied?.accept === false ? null : change) }
  }
}
