// A received state on its way in: it grows in the slot of the LevelDB that does not count, and takes the place of the live one in a single batch.
import { assert } from '../base/assert.ts'
import { type DbOperation, type StoreDb } from './level-db.ts'
import { readPages } from './level-pages.ts'
import { type Slot, slotKey } from './level-state-records.ts'
import { type LevelTables } from './level-tables.ts'
import { StateTally } from './state-tally.ts'
import { type SnapshotOffer, type StateDigest, type StatePair, type StateStaging, type TakePairs } from './types.ts'
import { type Turns } from './turns.ts'

const READ_PAGE_BYTES = 64 * 1024

export interface StagingOptions {
  readonly db: StoreDb
  readonly tables: LevelTables
  readonly turns: Turns
  readonly slot: Slot
  readonly offer: SnapshotOffer
  /** False once another one took its place. */
  readonly isCurrent: (staging: LevelStaging) => boolean
  readonly install: (tally: StateTally) => Promise<void>
  readonly discard: () => Promise<void>
}

export class LevelStaging implements StateStaging {
  readonly #options: StagingOptions
  #bytes = 0
  #lastKey: string | undefined
  /** Of what was read back. */
  #tally: StateTally | undefined

  constructor(options: StagingOptions) {
    this.#options = options
  }

  get offer(): SnapshotOffer {
    return this.#options.offer
  }

  get bytes(): number {
    return this.#bytes
  }

  get lastKey(): string | undefined {
    return this.#lastKey
  }

  /** Counts what a former life, or a broken stream, left here. */
  async resume(): Promise<void> {
    const { db, slot } = this.#options
    for await (const page of readPages(db, { slot, bytes: READ_PAGE_BYTES })) this.#count(page)
  }

  async add(pairs: readonly StatePair[]): Promise<void> {
    const { tables, turns, slot } = this.#options
    const encoder = new TextEncoder()
    await turns.run(async () => {
      this.#assertCurrent()
      this.#tally = undefined
      const operations = pairs.map(({ key, value }): DbOperation => ({ type: 'put', key: slotKey(slot, encoder.encode(key)), value }))
      await tables.write('staging a received state', operations, { sync: false })
    })
    this.#count(pairs.map(({ key, value }) => ({ key, bytes: encoder.encode(key), value })))
  }

  async read(take: TakePairs): Promise<StateDigest> {
    const { db, slot } = this.#options
    this.#assertCurrent()
    const tally = new StateTally()
    for await (const page of readPages(db, { slot, bytes: READ_PAGE_BYTES })) {
      for (const { key, bytes, value } of page) tally.set(key, bytes, value)
      await take(page)
    }
    this.#tally = tally
    return tally.digest
  }

  async install(): Promise<void> {
    this.#assertCurrent()
    assert(this.#tally !== undefined, 'state: a staged state is installed unread')
    await this.#options.install(this.#tally)
  }

  async discard(): Promise<void> {
    this.#assertCurrent()
    await this.#options.discard()
  }

  #count(pairs: readonly { readonly key: string; readonly bytes: Uint8Array; readonly value: Uint8Array }[]): void {
    for (const { bytes, value } of pairs) this.#bytes += bytes.length + value.length
    this.#lastKey = pairs.at(-1)?.key ?? this.#lastKey
  }

  #assertCurrent(): void {
    assert(this.#options.isCurrent(this), 'state: this staged state is over')
  }
}
