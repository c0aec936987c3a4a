// One member of a simulated group: its core, a disk that may forget what was not synced, and the point up to which it has applied.
import { present } from '../../src/base/assert.ts'
import { type Random } from '../../src/base/random.ts'
import { decodeConfChange } from '../../src/consensus/conf-codec.ts'
import { DEFAULTS, type RaftConfig } from '../../src/consensus/raft-config.ts'
import { Raft } from '../../src/consensus/raft.ts'
import { type Entry, type HardState, type Message, type ReadState, type Ready, type SnapshotMeta } from '../../src/consensus/types.ts'

/** A disk's content at one moment. */
interface DiskState {
  readonly hardState: HardState
  readonly snapshot: SnapshotMeta
  readonly entries: readonly Entry[]
}

/** What the world is told of; it checks each of them. */
export interface Witness {
  saved(member: SimulatedMember, entries: readonly Entry[]): void
  sending(member: SimulatedMember, messages: readonly Message[]): void
  applying(member: SimulatedMember, entry: Entry): void
  /** The state up to there came as a snapshot. */
  restored(member: SimulatedMember, meta: SnapshotMeta): void
  reading(member: SimulatedMember, read: ReadState): void
}

/** A change with this context is refused by the state machine of every member alike. */
export const REFUSED_CHANGE = Uint8Array.of(9)

export class SimulatedMember {
  readonly id: number
  readonly #config: Partial<RaftConfig>
  readonly #random: Random
  readonly #witness: Witness
  raft: Raft | undefined
  /** Written, and what of it a crash cannot take back. */
  #disk: DiskState
  #synced: DiskState
  /** The applied state, now and as of its last sync. Its content follows from the index, as all members apply the same. */
  applied: SnapshotMeta
  #appliedSynced: SnapshotMeta
  #inFlight: Ready | undefined
  /** The log in memory: what the core appended, on disk or not. */
  #memory: Entry[] = []
  #readsWaiting: ReadState[] = []

  constructor(options: { id: number; start: SnapshotMeta; config: Partial<RaftConfig>; random: Random; witness: Witness }) {
    this.id = options.id
    this.#config = options.config
    this.#random = options.random
    this.#witness = options.witness
    this.#disk = { hardState: { term: options.start.term, vote: 0, commit: options.start.index }, snapshot: options.start, entries: [] }
    this.#synced = this.#disk
    this.applied = options.start
    this.#appliedSynced = options.start
    this.restart()
  }

  get isUp(): boolean {
    return this.raft !== undefined
  }

  get isBusy(): boolean {
    return this.#inFlight !== undefined
  }

  get durable(): DiskState {
    return this.#synced
  }

  /** The entry as the core holds it, from memory; undefined if compacted or not there. */
  entryAt(index: number): Entry | undefined {
    return this.#memory[index - this.#memoryFirst()]
  }

  /** The last index the synced disk accounts for. */
  get durableLast(): number {
    return this.#synced.entries.at(-1)?.index ?? this.#synced.snapshot.index
  }

  durableTermAt(index: number): number | undefined {
    if (index === this.#synced.snapshot.index) return this.#synced.snapshot.term
    return this.#synced.entries[index - this.#synced.snapshot.index - 1]?.term
  }

  restart(): void {
    const { hardState, snapshot, entries } = this.#disk
    // A snapshot is saved with the state before the log: where the state is ahead of the log, the log starts after it.
    const isAhead = this.applied.index > (entries.at(-1)?.index ?? snapshot.index)
    if (isAhead) this.#disk = { hardState, snapshot: this.applied, entries: [] }
    if (isAhead) this.#synced = this.#disk
    this.#memory = [...this.#disk.entries]
    this.raft = new Raft(
      {
        ...DEFAULTS,
        id: this.id,
        random: () => this.#random.float(),
        applied: this.applied.index,
        conf: this.applied.conf,
        snapshot: () => this.applied,
        ...this.#config,
      },
      this.#disk,
    )
  }

  /** Whatever was not synced may be gone; a write under way may have come through all the same. */
  crash(): void {
    const ready = this.#inFlight
    if (ready !== undefined && this.#random.float() < 0.3) this.#write(ready)
    else if (this.#random.float() < 0.5) this.#disk = this.#synced
    this.#synced = this.#disk
    if (this.#random.float() < 0.5 && this.#appliedSynced.index >= this.#disk.snapshot.index) this.applied = this.#appliedSynced
    this.#appliedSynced = this.applied
    this.#inFlight = undefined
    this.#readsWaiting = []
    this.raft = undefined
  }

  /** Takes a Ready: what may leave at once leaves. */
  begin(): void {
    const ready = present(this.raft, 'core').ready()
    this.#inFlight = ready
    this.#remember(ready)
    this.#witness.sending(this, ready.messages)
  }

  /** The Ready's write is done: promises leave, entries are applied. */
  finish(): void {
    const raft = present(this.raft, 'core')
    const ready = present(this.#inFlight, 'Ready')
    this.#inFlight = undefined
    this.#write(ready)
    this.#witness.saved(this, ready.entries)
    this.#witness.sending(this, ready.messagesAfterSync)
    if (ready.snapshot !== undefined) this.#restore(ready.snapshot)
    for (const entry of ready.committed) this.#apply(raft, entry)
    this.#readsWaiting.push(...ready.readStates)
    const served = this.#readsWaiting.filter(({ index }) => index <= this.applied.index)
    this.#readsWaiting = this.#readsWaiting.filter(({ index }) => index > this.applied.index)
    for (const read of served) this.#witness.reading(this, read)
    raft.advance()
  }

  compact(keep: number): void {
    const raft = present(this.raft, 'core')
    const index = raft.status().appliedIndex - keep
    const term = index < raft.status().firstIndex ? undefined : this.entryAt(index)?.term
    if (term === undefined) return
    // The log is cut only up to what the state holds durably.
    this.#appliedSynced = this.applied
    const compacted = { index, term, conf: this.applied.conf }
    this.#disk = { ...this.#disk, snapshot: compacted, entries: this.#disk.entries.filter((entry) => entry.index > index) }
    this.#synced = this.#disk
    raft.compacted(compacted)
    this.#memory = this.#memory.filter((entry) => entry.index > index)
  }

  #apply(raft: Raft, entry: Entry): void {
    this.#witness.applying(this, entry)
    let { conf } = this.applied
    if (entry.kind === 'config') {
      const change = decodeConfChange(entry.data)
      const isRefused = change.context.length === REFUSED_CHANGE.length && change.changes.length > 0
      conf = raft.applyConfChange(isRefused ? null : change)
    }
    this.applied = { index: entry.index, term: entry.term, conf }
  }

  #restore(meta: SnapshotMeta): void {
    this.applied = { index: meta.index, term: meta.term, conf: meta.conf }
    this.#appliedSynced = this.applied
    this.#witness.restored(this, this.applied)
  }

  #write(ready: Ready): void {
    let { hardState, snapshot, entries } = this.#disk
    if (ready.hardState !== undefined) hardState = ready.hardState
    if (ready.snapshot !== undefined) {
      // State first, then log: see restart.
      snapshot = { index: ready.snapshot.index, term: ready.snapshot.term, conf: ready.snapshot.conf }
      this.applied = snapshot
      this.#appliedSynced = snapshot
      entries = []
    }
    const first = ready.entries[0]
    if (first !== undefined) entries = [...entries.filter(({ index }) => index < first.index), ...ready.entries]
    this.#disk = { hardState, snapshot, entries }
    if (ready.mustSync) this.#synced = this.#disk
  }

  #remember(ready: Ready): void {
    if (ready.snapshot !== undefined) this.#memory = []
    const first = ready.entries[0]
    if (first !== undefined) this.#memory = [...this.#memory.filter(({ index }) => index < first.index), ...ready.entries]
  }

  #memoryFirst(): number {
    return this.#memory[0]?.index ?? Number.POSITIVE_INFINITY
  }
}
