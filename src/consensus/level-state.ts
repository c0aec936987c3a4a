// The applied state on LevelDB, in a directory of its own: values, and the Raft index they stand at, in one batch.
import { crc32 } from 'node:zlib'
import { assert } from '../base/assert.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { type DbOperation, openDb, seal, SEAL_BYTES, type StoreDb, unseal, WRITE_BUFFER_BYTES } from './level-db.ts'
import { readFlag, readSnapshotMeta, snapshotMetaSize, writeSnapshotMeta } from './records.ts'
import { type LoadedState, type SnapshotMeta, type StateChange, type StateStore, type StoredState } from './types.ts'

// Keys: 'm' the meta record, 'v' + key (UTF-8) a value.
const META_KEY = Uint8Array.of(0x6d)
const VALUE_PREFIX = 0x76
const LOAD_PAGE = 1000
/** What one operation takes in LevelDB's memory beside key and value, generously. */
const OPERATION_BYTES = 128

const EMPTY: LoadedState = {
  meta: { index: 0, term: 0, conf: { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false } },
  values: new Map(),
  replaced: false,
}

/**
 * Opens or creates the state in `directory`; call `load` first. The meta record holds the sum of the CRC32 of every key and value, so that a
 * batch that LevelDB lost from the middle (see level-log.ts) is found at load as `damaged`. Losing the last batches is harmless: the state is
 * an earlier one, and the log applies the rest again.
 */
export async function openLevelState(directory: string): Promise<StateStore> {
  return new LevelState(await openDb(directory, 'state'))
}

class LevelState implements StateStore {
  readonly #db: StoreDb
  /** CRC32 of each pair. The sum of all, modulo 2^32, stands in the meta record. */
  readonly #sums = new Map<string, number>()
  #sum = 0
  #loaded = false
  /** Estimated size of LevelDB's current log file, all of it maybe not synced. */
  #bufferedBytes = 0

  constructor(db: StoreDb) {
    this.#db = db
  }

  async load(): Promise<LoadedState> {
    const values = await this.#readValues()
    const record = await this.#db.run('reading the state', (level) => level.get(META_KEY))
    this.#loaded = true
    if (record === undefined) {
      if (values.size > 0) throw this.#db.damaged(`${values.size} values without a meta record`)
      return EMPTY
    }
    const body = unseal(record)
    if (body === undefined) throw this.#db.damaged('the checksum of the meta record is wrong')
    const { meta, replaced, count, sum } = this.#db.decode(() => decodeMeta(body))
    if (count !== values.size) throw this.#db.damaged(`${values.size} values, its meta record says ${count}`)
    if (sum !== this.#sum) throw this.#db.damaged(`the checksum over all ${count} values is wrong`)
    return { meta, values, replaced }
  }

  async write(meta: SnapshotMeta, changes: readonly StateChange[], options: { readonly sync: boolean }): Promise<void> {
    assert(this.#loaded, 'state: written before it was loaded')
    const operations = changes.map((change) => this.#operation(change))
    await this.#commit(meta, operations, { replaced: false, sync: options.sync })
  }

  async replace(state: StoredState): Promise<void> {
    assert(this.#loaded, 'state: replaced before it was loaded')
    const operations: DbOperation[] = []
    for (const key of this.#sums.keys()) if (!state.values.has(key)) operations.push(this.#operation({ key, value: undefined }))
    for (const [key, value] of state.values) operations.push(this.#operation({ key, value }))
    await this.#commit(state.meta, operations, { replaced: true, sync: true })
  }

  async close(): Promise<void> {
    await this.#db.close()
  }

  /**
   * A synced LevelDB write syncs the current log file only: an earlier file may still lose its end in a power cut, which would leave a hole.
   * So a flush moves all memory into a synced table instead, and comes before LevelDB starts a new file by itself.
   */
  async #commit(
    meta: SnapshotMeta,
    operations: DbOperation[],
    options: { readonly replaced: boolean; readonly sync: boolean },
  ): Promise<void> {
    operations.push({ type: 'put', key: META_KEY, value: this.#encodeMeta(meta, options.replaced) })
    for (const operation of operations) {
      this.#bufferedBytes += OPERATION_BYTES + operation.key.length + (operation.type === 'put' ? operation.value.length : 0)
    }
    const flush = options.sync || this.#bufferedBytes > WRITE_BUFFER_BYTES / 2
    await this.#db.run('writing the state', (level) => level.batch(operations, { sync: flush }))
    if (!flush) return
    await this.#db.run('flushing the state', flushMemory)
    this.#bufferedBytes = 0
  }

  #operation(change: StateChange): DbOperation {
    const key = valueKey(change.key)
    this.#sum = (this.#sum - (this.#sums.get(change.key) ?? 0)) >>> 0
    if (change.value === undefined) {
      this.#sums.delete(change.key)
      return { type: 'del', key }
    }
    this.#count(change.key, key, change.value)
    return { type: 'put', key, value: change.value }
  }

  #count(name: string, key: Uint8Array, value: Uint8Array): void {
    const sum = crc32(value, crc32(key))
    this.#sums.set(name, sum)
    this.#sum = (this.#sum + sum) >>> 0
  }

  async #readValues(): Promise<Map<string, Uint8Array>> {
    const pairs = await this.#db.run('reading the state', async (level) => {
      const found: [Uint8Array, Uint8Array][] = []
      const iterator = level.iterator({ gte: Uint8Array.of(VALUE_PREFIX), lt: Uint8Array.of(VALUE_PREFIX + 1) })
      try {
        for (let page = await iterator.nextv(LOAD_PAGE); page.length > 0; page = await iterator.nextv(LOAD_PAGE)) found.push(...page)
      } finally {
        await iterator.close()
      }
      return found
    })
    const decoder = new TextDecoder()
    return new Map(
      pairs.map(([key, value]) => {
        const name = decoder.decode(key.subarray(1))
        this.#count(name, key, value)
        return [name, value]
      }),
    )
  }

  #encodeMeta(meta: SnapshotMeta, replaced: boolean): Uint8Array {
    const writer = new ByteWriter(snapshotMetaSize(meta) + 1 + 4 + 4 + SEAL_BYTES)
    writeSnapshotMeta(writer, meta)
    writer.u8(replaced ? 1 : 0)
    writer.u32(this.#sums.size)
    writer.u32(this.#sum)
    writer.u32(0)
    return seal(writer.finish())
  }
}

function valueKey(key: string): Uint8Array {
  const text = new TextEncoder().encode(key)
  const bytes = new Uint8Array(text.length + 1)
  bytes[0] = VALUE_PREFIX
  bytes.set(text, 1)
  return bytes
}

function decodeMeta(body: Uint8Array): { meta: SnapshotMeta; replaced: boolean; count: number; sum: number } {
  const reader = new ByteReader(body, 'meta record of the state')
  const meta = readSnapshotMeta(reader)
  const replaced = readFlag(reader, 'replaced')
  const count = reader.u32('count')
  const sum = reader.u32('sum')
  reader.end()
  return { meta, replaced, count, sum }
}

/** On Node, `Level` is ClassicLevel, whose compactRange begins by writing all of LevelDB's memory into a synced table; its types leave it out. */
async function flushMemory(db: object): Promise<void> {
  assert(canCompact(db), 'level: compactRange is missing')
  await db.compactRange(META_KEY, META_KEY)
}

function canCompact(db: object): db is { compactRange(start: Uint8Array, end: Uint8Array): Promise<void> } {
  return 'compactRange' in db && typeof db.compactRange === 'function'
}
