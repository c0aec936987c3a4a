// The durable Raft log on LevelDB: one key per entry, one synced batch per group, and checks at load for what LevelDB hides.
import { assert } from '../base/assert.ts'
import { type DbOperation, openDb, type StoreDb, unseal } from './level-db.ts'
import {
  decodeHead,
  decodePoint,
  decodeStored,
  encodeHead,
  encodePoint,
  encodeStored,
  entryKey,
  type Head,
  HEAD_KEY,
  nextChain,
  type Point,
  POINT_KEY,
  type StoredEntry,
} from './level-log-records.ts'
import { type ConfState, type Entry, type HardState, type LogBatch, type LogStore, type SnapshotMeta, type StoredLog } from './types.ts'

/** Entries read at a time: bounds what LevelDB copies between two turns of the event loop. */
const LOAD_PAGE = 1000

const NO_CONF: ConfState = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false }
const NEW_HARD_STATE: HardState = { term: 0, vote: 0, commit: 0 }

/** What the head needs to know of an entry after a truncation. */
interface Link {
  readonly term: number
  readonly chain: number
}

/**
 * Opens or creates the log in `directory`; call `load` first.
 *
 * LevelDB drops a damaged block of its own log without an error, so whole groups can be missing, even from the middle. Every entry therefore
 * carries a CRC32 chained over all entries before it, and every group rewrites the head (hard state, last index and term, chain). Refused as
 * `damaged`: a gap, an entry that does not continue the chain, an entry beyond the head, a head without its entries, a commit index outside
 * the log. Cut without a word: entries at or below the snapshot point (a compaction that was interrupted). A group that was never
 * acknowledged is there whole or not at all, because a LevelDB batch is atomic. Not to be seen from here: the loss of the *last* groups
 * together with their heads; the leader refuses a follower that lost what it acknowledged.
 */
export async function openLevelLog(directory: string): Promise<LogStore> {
  return new LevelLog(await openDb(directory, 'log'))
}

class LevelLog implements LogStore {
  readonly #db: StoreDb
  #loaded = false
  #hardState = NEW_HARD_STATE
  #point: Point = { meta: { index: 0, term: 0, conf: NO_CONF }, chain: 0 }
  /** One link for each entry after the point. */
  #links: Link[] = []

  constructor(db: StoreDb) {
    this.#db = db
  }

  get #lastIndex(): number {
    return this.#point.meta.index + this.#links.length
  }

  get #lastLink(): Link {
    return this.#links.at(-1) ?? { term: this.#point.meta.term, chain: this.#point.chain }
  }

  async load(): Promise<StoredLog> {
    const point = await this.#readRecord(POINT_KEY, 'snapshot point', decodePoint)
    const head = await this.#readRecord(HEAD_KEY, 'head', decodeHead)
    if (point !== undefined) this.#point = point
    const stored = await this.#readEntries()
    this.#links = this.#checkChain(stored)
    if (head !== undefined) this.#checkHead(head)
    else if (this.#lastIndex > 0) throw this.#db.damaged(`the log ends at ${this.#lastIndex}, its head is gone`)
    const { term, vote, commit } = head?.hardState ?? NEW_HARD_STATE
    // The commit index is a hint that may be older than the compaction.
    this.#hardState = { term, vote, commit: Math.max(commit, this.#point.meta.index) }
    await this.#clearUpTo(this.#point.meta.index, 'cutting compacted entries')
    this.#loaded = true
    return { hardState: this.#hardState, snapshot: this.#point.meta, entries: stored.map(({ entry }) => entry) }
  }

  async write(batch: LogBatch): Promise<void> {
    assert(this.#loaded, 'log: written before it was loaded')
    const operations: DbOperation[] = []
    if (batch.snapshot !== undefined) this.#restart(batch.snapshot, operations)
    this.#append(batch.entries, operations)
    if (batch.hardState !== undefined) this.#hardState = batch.hardState
    const { term, commit } = this.#hardState
    assert(commit <= this.#lastIndex, `log: commit ${commit} beyond the last entry ${this.#lastIndex}`)
    assert(term >= this.#lastLink.term, `log: term ${term} below that of the last entry, ${this.#lastLink.term}`)
    const { term: lastTerm, chain } = this.#lastLink
    const head = { hardState: this.#hardState, lastIndex: this.#lastIndex, lastTerm, chain }
    operations.push({ type: 'put', key: HEAD_KEY, value: encodeHead(head) })
    await this.#db.run('writing the log', (level) => level.batch(operations, { sync: batch.sync }))
  }

  async compact(meta: SnapshotMeta): Promise<void> {
    const { index } = this.#point.meta
    assert(meta.index > index && meta.index <= this.#lastIndex, `log: compaction to ${meta.index} outside ${index + 1}..${this.#lastIndex}`)
    const last = this.#links[meta.index - index - 1]
    assert(last?.term === meta.term, `log: compaction to ${meta.index} with term ${meta.term}, the entry has ${last?.term}`)
    this.#links = this.#links.slice(meta.index - index)
    this.#point = { meta, chain: last.chain }
    // The new start is durable before anything goes: leftovers of an interrupted clear are cut at the next load. The head stays as it is, so
    // that this may overlap a write: LevelDB keeps no order between two batches under way.
    const operations: DbOperation[] = [{ type: 'put', key: POINT_KEY, value: encodePoint(this.#point) }]
    await this.#db.run('compacting the log', (level) => level.batch(operations, { sync: true }))
    await this.#clearUpTo(meta.index, 'compacting the log')
  }

  async close(): Promise<void> {
    await this.#db.close()
  }

  #restart(meta: SnapshotMeta, operations: DbOperation[]): void {
    for (let index = this.#lastIndex; index > this.#point.meta.index; index -= 1) operations.push({ type: 'del', key: entryKey(index) })
    this.#links = []
    this.#point = { meta, chain: 0 }
    operations.push({ type: 'put', key: POINT_KEY, value: encodePoint(this.#point) })
  }

  #append(entries: readonly Entry[], operations: DbOperation[]): void {
    const first = entries[0]
    if (first === undefined) return
    const start = this.#point.meta.index
    const oldLast = this.#lastIndex
    assert(first.index > start && first.index <= oldLast + 1, `log: entry ${first.index} does not follow ${start}..${oldLast}`)
    this.#links.length = first.index - start - 1
    for (const entry of entries) {
      assert(entry.index === this.#lastIndex + 1, `log: entry ${entry.index} follows ${this.#lastIndex} in one group`)
      const { value, chain } = encodeStored(entry, this.#lastLink.chain)
      this.#links.push({ term: entry.term, chain })
      operations.push({ type: 'put', key: entryKey(entry.index), value })
    }
    for (let index = this.#lastIndex + 1; index <= oldLast; index += 1) operations.push({ type: 'del', key: entryKey(index) })
  }

  async #readRecord<T>(key: Uint8Array, what: string, decode: (record: Uint8Array) => T): Promise<T | undefined> {
    const sealed = await this.#db.run(`reading the ${what}`, (level) => level.get(key))
    if (sealed === undefined) return undefined
    const record = unseal(sealed)
    if (record === undefined) throw this.#db.damaged(`the checksum of the ${what} is wrong`)
    return this.#db.decode(() => decode(record))
  }

  /** Every entry behind the snapshot point. */
  async #readEntries(): Promise<StoredEntry[]> {
    const values = await this.#db.run('reading the log', async (level) => {
      const found: Uint8Array[] = []
      const iterator = level.values({ gt: entryKey(this.#point.meta.index), lte: entryKey(Number.MAX_SAFE_INTEGER) })
      try {
        for (let page = await iterator.nextv(LOAD_PAGE); page.length > 0; page = await iterator.nextv(LOAD_PAGE)) found.push(...page)
      } finally {
        await iterator.close()
      }
      return found
    })
    return values.map((value) => this.#db.decode(() => decodeStored(value)))
  }

  /** Entries must follow each other without a gap and continue the chain. */
  #checkChain(stored: readonly StoredEntry[]): Link[] {
    let { index, term } = this.#point.meta
    let chain = this.#point.chain
    return stored.map(({ entry, body, chain: found }) => {
      if (entry.index !== index + 1) throw this.#db.damaged(`entry ${entry.index} follows ${index}`, { index: index + 1 })
      chain = nextChain(body, chain)
      if (chain !== found)
        throw this.#db.damaged(`entry ${entry.index} does not continue the checksum of those before it`, { index: entry.index })
      if (entry.term < term) throw this.#db.damaged(`entry ${entry.index} has term ${entry.term} after ${term}`, { index: entry.index })
      index = entry.index
      term = entry.term
      return { term, chain }
    })
  }

  #checkHead({ hardState, lastIndex, lastTerm, chain }: Head): void {
    const last = this.#lastLink
    if (lastIndex !== this.#lastIndex) throw this.#db.damaged(`the log ends at ${this.#lastIndex}, its head says ${lastIndex}`)
    if (lastTerm !== last.term || chain !== last.chain) throw this.#db.damaged(`the last entry, ${lastIndex}, is not the one its head saw`)
    if (hardState.commit > lastIndex) throw this.#db.damaged(`the commit index is ${hardState.commit}, the log ends at ${lastIndex}`)
    if (hardState.term < last.term) throw this.#db.damaged(`the term is ${hardState.term}, the last entry has ${last.term}`)
  }

  async #clearUpTo(index: number, action: string): Promise<void> {
    await this.#db.run(action, (level) => level.clear({ gte: entryKey(0), lte: entryKey(index) }))
  }
}
