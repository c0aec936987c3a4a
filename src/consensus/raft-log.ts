// The log as the core sees it: the whole un-compacted tail in memory, so that every question is answered at once.
import { assert } from '../base/assert.ts'
import { OperationError } from '../base/errors.ts'
import { type Entry, type SnapshotMeta, type StoredLog } from './types.ts'

/** An entry's share of a message or batch beside its data: index, term, kind, length. */
const ENTRY_HEAD_BYTES = 24
/** However small they are: encoding, storing or applying more would hold up the event loop. */
const MAX_ENTRIES_AT_ONCE = 4000

/**
 * Indexes: snapshot <= applied <= applying <= committed <= last, and applying <= handedOut: entries up to there were given to the driver to
 * be saved. A Ready in flight can be overtaken by a truncation; the new entries go out with the next Ready, which overwrites the old.
 */
export class RaftLog {
  #snapshotIndex: number
  #snapshotTerm: number
  #entries: Entry[]
  #handedOut: number
  #pendingSnapshot: SnapshotMeta | undefined
  #committed: number
  #applying: number
  #applied: number

  /** Throws OperationError `failed`, `data.kind` `damaged`, when the stored parts contradict each other. */
  constructor(stored: StoredLog, applied: number) {
    this.#snapshotIndex = stored.snapshot.index
    this.#snapshotTerm = stored.snapshot.term
    this.#entries = [...stored.entries]
    this.#entries.forEach((entry, offset) => {
      if (entry.index !== this.firstIndex + offset) throw damaged(`entry ${entry.index} stands where ${this.firstIndex + offset} belongs`)
    })
    this.#handedOut = this.lastIndex
    // The commit index is only a hint on disk: the snapshot, and what was applied, prove more.
    this.#committed = Math.max(stored.hardState.commit, this.#snapshotIndex, applied)
    if (this.#committed > this.lastIndex) throw damaged(`it ends at ${this.lastIndex}, but ${this.#committed} was committed`)
    this.#applied = Math.max(applied, this.#snapshotIndex)
    this.#applying = this.#applied
  }

  get firstIndex(): number {
    return this.#snapshotIndex + 1
  }

  get lastIndex(): number {
    return this.#snapshotIndex + this.#entries.length
  }

  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#snapshotTerm
  }

  get committed(): number {
    return this.#committed
  }

  get applied(): number {
    return this.#applied
  }

  /** A received snapshot that is not yet saved and applied. */
  get pendingSnapshot(): SnapshotMeta | undefined {
    return this.#pendingSnapshot
  }

  /** Undefined outside of [firstIndex - 1, lastIndex]. */
  term(index: number): number | undefined {
    return index === this.#snapshotIndex ? this.#snapshotTerm : this.#entries[index - this.firstIndex]?.term
  }

  matchTerm(index: number, term: number): boolean {
    return this.term(index) === term
  }

  /** Paper, section 5.4.1: the later last term wins, then the longer log. */
  isUpToDate(index: number, term: number): boolean {
    return term > this.lastTerm || (term === this.lastTerm && index >= this.lastIndex)
  }

  /** From `from` on, as many as `maxBytes` and MAX_ENTRIES_AT_ONCE allow, but one at least if there is one. `from` must not be compacted. */
  entriesFrom(from: number, maxBytes: number, to = this.lastIndex): Entry[] {
    assert(from >= this.firstIndex, `log: entry ${from} was asked for, the first is ${this.firstIndex}`)
    const taken: Entry[] = []
    let bytes = 0
    for (let index = from; index <= to; index++) {
      const entry = this.#entries[index - this.firstIndex]
      assert(entry !== undefined, `log: entry ${index} was asked for, the last is ${this.lastIndex}`)
      bytes += ENTRY_HEAD_BYTES + entry.data.length
      if (taken.length > 0 && (bytes > maxBytes || taken.length >= MAX_ENTRIES_AT_ONCE)) break
      taken.push(entry)
    }
    return taken
  }

  /** Appends, cutting what stood at the first new index and behind it. Committed entries are never cut. */
  append(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    assert(first.index > this.#committed, `log: entry ${first.index} would replace a committed one (${this.#committed})`)
    assert(first.index <= this.lastIndex + 1, `log: entry ${first.index} leaves a gap behind ${this.lastIndex}`)
    if (first.index <= this.lastIndex) this.#entries.length = first.index - this.firstIndex
    this.#entries.push(...entries)
    this.#handedOut = Math.min(this.#handedOut, first.index - 1)
  }

  /** A leader's append: undefined if the logs differ at `prevIndex`, else the last index now known to match. Entries already held stay (section 5.3). */
  maybeAppend(prevIndex: number, prevTerm: number, entries: readonly Entry[]): number | undefined {
    if (!this.matchTerm(prevIndex, prevTerm)) return undefined
    const conflict = entries.findIndex((entry) => !this.matchTerm(entry.index, entry.term))
    if (conflict !== -1) this.append(entries.slice(conflict))
    return prevIndex + entries.length
  }

  /**
   * The highest index up to `index` whose term is not above `term`: no later entry can match a log that has `term` at `index`. Term 0 when
   * it is not known (compacted).
   */
  findConflictByTerm(index: number, term: number): { readonly index: number; readonly term: number } {
    for (let at = index; at > 0; at--) {
      const ours = this.term(at)
      if (ours === undefined) return { index: at, term: 0 }
      if (ours <= term) return { index: at, term: ours }
    }
    return { index: 0, term: 0 }
  }

  /** Never goes back. Throws OperationError `failed`, `data.kind` `damaged`, if this log has lost entries that it had acknowledged. */
  commitTo(index: number): void {
    if (index <= this.#committed) return
    if (index > this.lastIndex) throw lostEntries(index, this.lastIndex)
    this.#committed = index
  }

  /** Throws OperationError `failed`, `data.kind` `damaged`, `data.reason` `lost-entries`, if this log ends before an entry that it had acknowledged. */
  assertHolds(index: number): void {
    if (index > this.lastIndex) throw lostEntries(index, this.lastIndex)
  }

  hasUnsaved(): boolean {
    return this.#handedOut < this.lastIndex
  }

  hasCommitted(): boolean {
    return this.#pendingSnapshot === undefined && this.#applying < this.#committed
  }

  /** Entries to be saved, none of which a Ready held since they were appended. */
  takeUnsaved(): Entry[] {
    const entries = this.#entries.slice(this.#handedOut + 1 - this.firstIndex)
    this.#handedOut = this.lastIndex
    return entries
  }

  /** Entries to be applied next; none while a snapshot waits to be. */
  takeCommitted(maxBytes: number): Entry[] {
    if (!this.hasCommitted()) return []
    const entries = this.entriesFrom(this.#applying + 1, maxBytes, this.#committed)
    this.#applying += entries.length
    return entries
  }

  /** True if a committed entry that satisfies `matches` is not applied yet. */
  someUnapplied(matches: (entry: Entry) => boolean): boolean {
    for (let index = this.#applied + 1; index <= this.#committed; index++) {
      const entry = this.#entries[index - this.firstIndex]
      if (entry !== undefined && matches(entry)) return true
    }
    return false
  }

  appliedTo(index: number): void {
    assert(index >= this.#applied && index <= this.#committed, `log: applied ${index} is not in [${this.#applied}, ${this.#committed}]`)
    this.#applied = index
    this.#applying = Math.max(this.#applying, index)
  }

  /** A leader's snapshot replaces everything. */
  restore(snapshot: SnapshotMeta): void {
    this.#snapshotIndex = snapshot.index
    this.#snapshotTerm = snapshot.term
    this.#entries = []
    this.#handedOut = snapshot.index
    this.#committed = snapshot.index
    this.#pendingSnapshot = snapshot
  }

  /** The snapshot is saved and applied, unless a newer one took its place meanwhile. */
  snapshotApplied(snapshot: SnapshotMeta): void {
    if (this.#pendingSnapshot === snapshot) this.#pendingSnapshot = undefined
    this.appliedTo(Math.max(snapshot.index, this.#applied))
  }

  /** Drops entries up to and with `index`; does nothing if they are gone already. */
  compact(index: number): void {
    if (index <= this.#snapshotIndex) return
    const term = this.term(index)
    assert(term !== undefined && index <= this.#handedOut, `log: compacted up to ${index}, saved only up to ${this.#handedOut}`)
    this.#entries = this.#entries.slice(index - this.#snapshotIndex)
    this.#snapshotIndex = index
    this.#snapshotTerm = term
  }
}

/** The sum of the entries' data; empty entries (a new leader's, leaving a joint configuration) weigh nothing. */
export function payloadBytes(entries: readonly Pick<Entry, 'data'>[]): number {
  let bytes = 0
  for (const { data } of entries) bytes += data.length
  return bytes
}

/** Old files that were put back, or groups that the disk lost: to each check of its own such a log looks whole. */
function lostEntries(held: number, lastIndex: number): OperationError {
  return damaged(`it ends at ${lastIndex}, but others know that it had acknowledged entry ${held}`, {
    reason: 'lost-entries',
    held,
    lastIndex,
  })
}

function damaged(found: string, facts: object = {}): OperationError {
  return new OperationError('failed', `the raft log of this member is damaged: ${found}; it must rejoin under a new member id`, {
    data: { kind: 'damaged', ...facts },
  })
}
