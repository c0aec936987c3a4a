// One member of a simulated group: its core, a log that may forget what was not synced, and a state that lags behind it on disk.
import { present } from '../../src/base/assert.ts'
import { between, type Random } from '../../src/base/random.ts'
import { decodeConfChange } from '../../src/consensus/conf-codec.ts'
import { DEFAULTS, type RaftConfig } from '../../src/consensus/raft-config.ts'
import { Raft, type RaftStatus } from '../../src/consensus/raft.ts'
import { recover } from '../../src/consensus/recovery.ts'
import {
  type Entry,
  type HardState,
  type Message,
  type NodeId,
  type ReadState,
  type Ready,
  type SnapshotMeta,
  type StoredLog,
} from '../../src/consensus/types.ts'
import { Waypoints } from '../../src/consensus/waypoints.ts'
import { type Coverage } from './simulated-coverage.ts'

/** An applied state: `sum` stands for its content, and depends on every entry applied. */
export interface AppliedState {
  readonly meta: SnapshotMeta
  readonly sum: number
  /** It came as a snapshot and nothing was applied since. */
  readonly replaced: boolean
}

/** What the world is told of; it checks each of them. */
export interface Witness {
  saved(member: SimulatedMember, entries: readonly Entry[]): void
  sending(member: SimulatedMember, messages: readonly Message[]): void
  /** Before the entry is applied. */
  applying(member: SimulatedMember, entry: Entry): void
  /** After it is. */
  applied(member: SimulatedMember, entry: Entry): void
  /** The state as it is was given to others, or the log was cut there. */
  snapshotted(member: SimulatedMember, meta: SnapshotMeta, sum: number | undefined): void
  /** The state up to there came as a snapshot; returns its content. */
  restored(member: SimulatedMember, meta: SnapshotMeta): number
  reading(member: SimulatedMember, read: ReadState): void
}

export interface MemberOptions {
  readonly id: NodeId
  readonly start: SnapshotMeta
  readonly config: Partial<RaftConfig>
  readonly random: Random
  readonly witness: Witness
  readonly coverage: Coverage
}

/** A change with this context is refused by the state machine of every member alike. */
export const REFUSED_CHANGE = Uint8Array.of(9)

/** States written and not synced, of which a crash leaves any one. */
const MAX_UNSYNCED_STATES = 20

export class SimulatedMember {
  readonly id: NodeId
  readonly config: RaftConfig
  readonly #options: MemberOptions
  readonly #random: Random
  readonly #witness: Witness
  raft: Raft | undefined
  /** The log on disk: the last synced one, then each write since. */
  #logs: readonly [StoredLog, ...StoredLog[]]
  /** The state on disk: the last synced one, then each that was written since. */
  #states: readonly [AppliedState, ...AppliedState[]]
  #waypoints: Waypoints
  #inFlight: Ready | undefined
  /** The log in memory: what the core appended, on disk or not. */
  #memory: readonly Entry[] = []
  #readsWaiting: readonly ReadState[] = []

  constructor(options: MemberOptions) {
    const { id, start, random, witness } = options
    this.id = id
    this.#options = options
    this.#random = random
    this.#witness = witness
    this.config = { ...DEFAULTS, id, random: () => random.float(), snapshot: () => this.#snapshot(), ...options.config }
    this.#logs = [{ hardState: { term: start.term, vote: 0, commit: start.index }, snapshot: start, entries: [] }]
    this.#states = [{ meta: start, sum: 0, replaced: false }]
    this.#waypoints = new Waypoints(this.#logs[0], start)
    this.restart()
  }

  get isUp(): boolean {
    return this.raft !== undefined
  }

  /** A write is under way. */
  get isBusy(): boolean {
    return this.#inFlight !== undefined
  }

  get core(): Raft {
    return present(this.raft, `core of ${this.id}`)
  }

  status(): RaftStatus {
    return this.core.status()
  }

  /** Term and vote that no crash can take back. */
  get durable(): HardState {
    return this.#logs[0].hardState
  }

  /** The last index the synced disk accounts for. */
  get durableLast(): number {
    const { entries, snapshot } = this.#logs[0]
    return entries.at(-1)?.index ?? snapshot.index
  }

  /** The term on the synced disk at `index`. */
  durableTermAt(index: number): number | undefined {
    const { entries, snapshot } = this.#logs[0]
    return index === snapshot.index ? snapshot.term : entries[index - snapshot.index - 1]?.term
  }

  /** What is applied. */
  get state(): AppliedState {
    return this.#states.at(-1) ?? this.#states[0]
  }

  get applied(): SnapshotMeta {
    return this.state.meta
  }

  /** The entry as the core holds it, from memory; undefined if compacted or not there. */
  entryAt(index: number): Entry | undefined {
    const first = this.#memory[0]
    return first === undefined ? undefined : this.#memory[index - first.index]
  }

  restart(): void {
    const { meta, replaced } = this.state
    const { log, restart } = recover(this.#logs[0], { meta, replaced })
    if (restart !== undefined) this.#logs = [log]
    this.#memory = log.entries
    this.#waypoints = new Waypoints(log, meta)
    this.raft = new Raft({ ...this.config, applied: meta.index, conf: meta.conf }, log)
  }

  /** Whatever was not synced may be gone; a write under way may have come through all the same. */
  crash(): void {
    const ready = this.#inFlight
    const written = ready !== undefined && this.#random.float() < 0.4
    if (ready?.snapshot !== undefined && (written || this.#random.float() < 0.5)) this.#replaceState(ready.snapshot)
    if (written) this.#write(ready)
    const log = this.#pick(this.#logs)
    const lost = log !== this.#logs.at(-1) || (ready?.mustSync === true && !written)
    if (lost) this.#options.coverage['crashes that lost writes']++
    this.#logs = [log]
    // The log is never cut behind a state that a crash could take back.
    this.#states = [this.#pick(this.#states.filter(({ meta }) => meta.index >= log.snapshot.index))]
    this.#inFlight = undefined
    this.#readsWaiting = []
    this.raft = undefined
  }

  /** Takes a Ready: what may leave at once leaves. */
  begin(): void {
    const ready = this.core.ready()
    this.#inFlight = ready
    this.#remember(ready)
    this.#witness.sending(this, ready.messages)
  }

  /** The Ready's write is done: promises leave, entries are applied. */
  finish(): void {
    const raft = this.core
    const ready = present(this.#inFlight, 'Ready')
    this.#inFlight = undefined
    if (ready.snapshot !== undefined) this.#replaceState(ready.snapshot)
    this.#write(ready)
    this.#witness.saved(this, ready.entries)
    this.#witness.sending(this, ready.messagesAfterSync)
    for (const entry of ready.committed) this.#apply(raft, entry)
    this.#serve(ready.readStates)
    raft.advance()
  }

  /** Cuts the log `keep` entries behind what is applied. */
  compact(keep: number): void {
    const index = this.applied.index - keep
    if (index < this.core.status().firstIndex) return
    const meta = this.#waypoints.at(index)
    if (meta === undefined) return
    this.#options.coverage.compactions++
    this.#witness.snapshotted(this, meta, undefined)
    // The log is cut only up to what the state holds durably.
    this.#states = [this.state]
    const { hardState, entries } = this.#logs.at(-1) ?? this.#logs[0]
    this.#logs = [{ hardState, snapshot: meta, entries: entries.filter((entry) => entry.index > index) }]
    this.#waypoints.startAt(meta)
    this.core.compacted(meta)
    this.#memory = this.#memory.filter((entry) => entry.index > index)
  }

  #snapshot(): ReturnType<RaftConfig['snapshot']> {
    const { meta, sum } = this.state
    this.#witness.snapshotted(this, meta, sum)
    return meta
  }

  #serve(reads: readonly ReadState[]): void {
    const all = [...this.#readsWaiting, ...reads]
    this.#readsWaiting = all.filter(({ index }) => index > this.applied.index)
    for (const read of all) if (read.index <= this.applied.index) this.#witness.reading(this, read)
  }

  #apply(raft: Raft, entry: Entry): void {
    this.#witness.applying(this, entry)
    let { conf } = this.applied
    if (entry.kind === 'config') {
      const change = decodeConfChange(entry.data)
      const isRefused = change.context.length === REFUSED_CHANGE.length && change.changes.length > 0
      conf = raft.applyConfChange(isRefused ? null : change)
    }
    const meta = { index: entry.index, term: entry.term, conf }
    this.#waypoints.applied(meta)
    this.#pushState({ meta, sum: nextSum(this.state.sum, entry), replaced: false })
    this.#witness.applied(this, entry)
  }

  #replaceState({ index, term, conf }: SnapshotMeta): void {
    const meta = { index, term, conf }
    this.#states = [{ meta, sum: this.#witness.restored(this, meta), replaced: true }]
    this.#waypoints.startAt(meta)
  }

  /** The state is written behind the log and synced now and then. */
  #pushState(state: AppliedState): void {
    const kept = this.#states.length < MAX_UNSYNCED_STATES ? this.#states : this.#states.slice(1)
    this.#states = [kept[0] ?? state, ...kept.slice(1), state]
  }

  #write(ready: Ready): void {
    let { hardState, snapshot, entries } = this.#logs.at(-1) ?? this.#logs[0]
    if (ready.hardState !== undefined) hardState = ready.hardState
    if (ready.snapshot !== undefined) {
      snapshot = { index: ready.snapshot.index, term: ready.snapshot.term, conf: ready.snapshot.conf }
      entries = []
    }
    const first = ready.entries[0]
    if (first !== undefined) entries = [...entries.filter(({ index }) => index < first.index), ...ready.entries]
    const log = { hardState, snapshot, entries }
    this.#logs = ready.mustSync ? [log] : [...this.#logs, log]
  }

  #remember(ready: Ready): void {
    if (ready.snapshot !== undefined) this.#memory = []
    const first = ready.entries[0]
    if (first === undefined) return
    const kept = this.#memory.filter(({ index }) => index < first.index)
    if (kept.length < this.#memory.length) this.#options.coverage.truncations++
    this.#memory = [...kept, ...ready.entries]
  }

  #pick<T>(list: readonly T[]): T {
    return present(list[between(this.#random, 0, list.length - 1)], 'choice')
  }
}

/** Another sum for other entries, or the same ones in another order. */
function nextSum(sum: number, { index, term, data }: Entry): number {
  let next = Math.imul(sum ^ index, 0x01000193) ^ term
  for (const byte of data) next = Math.imul(next ^ byte, 0x01000193)
  return next
}
