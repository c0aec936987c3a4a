// The applied state on LevelDB, in a directory of its own: values, and the Raft index they stand at, in one batch.
import { assert } from '../base/assert.ts'
import { type DbOperation, openDb, type StoreDb, unseal } from './level-db.ts'
import { readPages } from './level-pages.ts'
import { LevelStaging } from './level-staging.ts'
import {
  decodeMeta,
  decodeOffer,
  encodeMeta,
  encodeOffer,
  FIRST_SLOT,
  META_KEY,
  otherSlot,
  type Slot,
  slotKey,
  slotRange,
  STAGED_KEY,
} from './level-state-records.ts'
import { LevelTables } from './level-tables.ts'
import { sameDigest, StateTally } from './state-tally.ts'
import { Turns } from './turns.ts'
import {
  type LoadedState,
  type SnapshotMeta,
  type SnapshotOffer,
  type StateChange,
  type StateStaging,
  type StateStore,
  type StateView,
  type StoredState,
  type TakePairs,
} from './types.ts'

const LOAD_PAGE_BYTES = 64 * 1024
/** Keys deleted in one batch when a slot is cleared: a write of the state never waits for more. */
const CLEAR_AT_ONCE = 1000

const NOTHING: SnapshotMeta = { index: 0, term: 0, conf: { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false } }

/**
 * Opens or creates the state in `directory`; call `load` first. The meta record holds the sum of the CRC32 of every key and value, so that a
 * batch that LevelDB lost from the middle (see level-log.ts) is found at load as `damaged`. Losing the last batches is harmless: the state is
 * an earlier one, and the log applies the rest again.
 *
 * Values live in one of two slots, which the meta record names. A received state grows in the other one, and counts from the batch on that
 * changes the record; whatever a crash leaves, the record tells which slot is whole.
 */
export async function openLevelState(directory: string): Promise<StateStore> {
  return new LevelState(await openDb(directory, 'state'))
}

class LevelState implements StateStore {
  readonly #db: StoreDb
  readonly #tables: LevelTables
  /** Batches, and whatever must see meta, slot and tally as they are on disk. */
  readonly #turns = new Turns()
  #meta = NOTHING
  #slot: Slot = FIRST_SLOT
  #tally = new StateTally()
  #loaded = false
  /** What the other slot holds of a state that a former life, or a broken stream, left half received. */
  #left: SnapshotOffer | undefined
  #staging: LevelStaging | undefined
  #clearing: Promise<void> = Promise.resolve()
  #closing = false

  constructor(db: StoreDb) {
    this.#db = db
    this.#tables = new LevelTables(db)
  }

  async load(take: TakePairs): Promise<LoadedState> {
    const record = await this.#readRecord(META_KEY, 'meta record', decodeMeta)
    if (record !== undefined) this.#slot = record.slot
    for await (const page of readPages(this.#db, { slot: this.#slot, bytes: LOAD_PAGE_BYTES })) {
      for (const { key, bytes, value } of page) this.#tally.set(key, bytes, value)
      await take(page)
    }
    const { count, sum } = this.#tally.digest
    if (record === undefined && count > 0) throw this.#db.damaged(`${count} values without a meta record`)
    if (record !== undefined) {
      if (count !== record.count) throw this.#db.damaged(`${count} values, its meta record says ${record.count}`)
      if (sum !== record.sum) throw this.#db.damaged(`the checksum over all ${count} values is wrong`)
      this.#meta = record.meta
    }
    const left = await this.#readRecord(STAGED_KEY, 'record of a staged state', decodeOffer)
    // One that the state has overtaken is of no use to anybody.
    if (left !== undefined && left.meta.index > this.#meta.index) this.#left = left
    else this.#clearLater(otherSlot(this.#slot))
    this.#loaded = true
    return { meta: this.#meta, replaced: record?.replaced ?? false }
  }

  async write(meta: SnapshotMeta, changes: readonly StateChange[], options: { readonly sync: boolean }): Promise<void> {
    assert(this.#loaded, 'state: written before it was loaded')
    await this.#turns.run(() => this.#commit(meta, changes, { replaced: false, sync: options.sync }))
  }

  async replace(state: StoredState): Promise<void> {
    assert(this.#loaded, 'state: replaced before it was loaded')
    await this.#turns.run(async () => {
      const gone = [...this.#tally.keys()].filter((key) => !state.values.has(key)).map((key) => ({ key, value: undefined }))
      const values = [...state.values].map(([key, value]) => ({ key, value }))
      await this.#commit(state.meta, [...gone, ...values], { replaced: true, sync: true })
    })
  }

  async view(): Promise<StateView> {
    assert(this.#loaded, 'state: looked at before it was loaded')
    // In a turn of its own, so that LevelDB's snapshot is of just this meta, slot and tally.
    return this.#turns.run(() =>
      this.#db.run('looking at the state', async (level) => {
        const snapshot = level.snapshot()
        const slot = this.#slot
        return {
          meta: this.#meta,
          digest: this.#tally.digest,
          pages: (options) => readPages(this.#db, { ...options, slot, snapshot }),
          close: () => snapshot.close(),
        }
      }),
    )
  }

  async stage(offer: SnapshotOffer): Promise<StateStaging> {
    assert(this.#loaded, 'state: staged before it was loaded')
    await this.#clearing
    const left = this.#staging?.offer ?? this.#left
    const staging = this.#newStaging(offer)
    this.#staging = staging
    if (left !== undefined && left.id === offer.id && left.meta.index === offer.meta.index && sameDigest(left.digest, offer.digest)) {
      await staging.resume()
      return staging
    }
    await this.#clear(otherSlot(this.#slot))
    const record: DbOperation = { type: 'put', key: STAGED_KEY, value: encodeOffer(offer) }
    await this.#turns.run(() => this.#tables.write('staging a received state', [record], { sync: false }))
    return staging
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#clearing
    await this.#db.close()
  }

  #newStaging(offer: SnapshotOffer): LevelStaging {
    const slot = otherSlot(this.#slot)
    return new LevelStaging({
      db: this.#db,
      tables: this.#tables,
      turns: this.#turns,
      slot,
      offer,
      isCurrent: (staging) => staging === this.#staging,
      install: (tally) => this.#turns.run(() => this.#install(offer, tally)),
      discard: async () => {
        this.#staging = undefined
        this.#left = undefined
        this.#clearLater(slot)
      },
    })
  }

  /** One batch, so that after a crash either the old state counts or the new one. */
  async #install({ meta }: SnapshotOffer, tally: StateTally): Promise<void> {
    const slot = otherSlot(this.#slot)
    const { count, sum } = tally.digest
    const operations: DbOperation[] = [
      { type: 'put', key: META_KEY, value: encodeMeta({ meta, slot, replaced: true, count, sum }) },
      { type: 'del', key: STAGED_KEY },
    ]
    await this.#tables.write('installing a received state', operations, { sync: true })
    const old = this.#slot
    this.#meta = meta
    this.#slot = slot
    this.#tally = tally
    this.#staging = undefined
    this.#left = undefined
    this.#clearLater(old)
  }

  async #commit(
    meta: SnapshotMeta,
    changes: readonly StateChange[],
    options: { readonly replaced: boolean; readonly sync: boolean },
  ): Promise<void> {
    await this.#tables.write('writing the state', this.#operations(meta, changes, options.replaced), { sync: options.sync })
    this.#meta = meta
  }

  /** The tally goes along; the meta record comes last, as it holds what that adds up to. */
  *#operations(meta: SnapshotMeta, changes: readonly StateChange[], replaced: boolean): Generator<DbOperation> {
    const encoder = new TextEncoder()
    const slot = this.#slot
    for (const { key: name, value } of changes) {
      const bytes = encoder.encode(name)
      const key = slotKey(slot, bytes)
      if (value === undefined) this.#tally.delete(name)
      else this.#tally.set(name, bytes, value)
      yield value === undefined ? { type: 'del', key } : { type: 'put', key, value }
    }
    const { count, sum } = this.#tally.digest
    yield { type: 'put', key: META_KEY, value: encodeMeta({ meta, slot, replaced, count, sum }) }
  }

  /** In the background. If it fails, so does the next write: the store stays failed. */
  #clearLater(slot: Slot): void {
    this.#clearing = this.#clearing.then(() => this.#clear(slot)).catch(() => {})
  }

  /** Piece by piece, through the same batches as everything else: they count for what a power cut may take. */
  async #clear(slot: Slot): Promise<void> {
    const forget: DbOperation[] = [{ type: 'del', key: STAGED_KEY }]
    await this.#turns.run(() => this.#tables.write('clearing an old state', forget, { sync: false }))
    const iterator = await this.#db.run('clearing an old state', async (level) => level.keys(slotRange(slot)))
    try {
      while (!this.#closing) {
        const keys = await this.#db.run('clearing an old state', () => iterator.nextv(CLEAR_AT_ONCE))
        if (keys.length === 0) return
        const operations = keys.map((key): DbOperation => ({ type: 'del', key }))
        await this.#turns.run(() => this.#tables.write('clearing an old state', operations, { sync: false }))
      }
    } finally {
      await iterator.close()
    }
  }

  async #readRecord<T>(key: Uint8Array, what: string, decode: (body: Uint8Array) => T): Promise<T | undefined> {
    const sealed = await this.#db.run('reading the state', (level) => level.get(key))
    if (sealed === undefined) return undefined
    const body = unseal(sealed)
    if (body === undefined) throw this.#db.damaged(`the checksum of the ${what} is wrong`)
    return this.#db.decode(() => decode(body))
  }
}
