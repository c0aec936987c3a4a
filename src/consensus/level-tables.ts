// Batches into LevelDB in such a way that a power cut takes the last of them, never one from the middle.
import { assert } from '../base/assert.ts'
import { realClock } from '../base/clock.ts'
import { type DbOperation, type StoreDb, WRITE_BUFFER_BYTES } from './level-db.ts'
import { NO_KEY } from './level-state-records.ts'
import { SLICE_MS } from './state-feed.ts'

/** What one operation takes in LevelDB's memory beside key and value, generously. */
const OPERATION_BYTES = 128

/**
 * A synced LevelDB write syncs the current log file only: an earlier file may still lose its end in a power cut, which would leave a hole. So
 * a sync moves all memory into a synced table instead, and one comes before LevelDB starts a new file by itself. One call at a time.
 */
export class LevelTables {
  readonly #db: StoreDb
  /** Estimated size of LevelDB's current log file, all of it maybe not synced. */
  #bufferedBytes = 0

  constructor(db: StoreDb) {
    this.#db = db
  }

  /**
   * One batch, atomic however many operations it has. They are made while it grows, slice by slice, so that none is ever long on the event loop:
   * on the real clock, as LevelDB is real too.
   */
  async write(action: string, operations: Iterable<DbOperation>, options: { readonly sync: boolean }): Promise<void> {
    const flush = await this.#db.run(action, async (level) => {
      const batch = level.batch()
      let until = realClock.now() + SLICE_MS
      for (const operation of operations) {
        if (operation.type === 'put') batch.put(operation.key, operation.value)
        else batch.del(operation.key)
        this.#bufferedBytes += OPERATION_BYTES + operation.key.length + (operation.type === 'put' ? operation.value.length : 0)
        if (realClock.now() < until) continue
        await new Promise<void>((resolve) => realClock.defer(resolve))
        until = realClock.now() + SLICE_MS
      }
      const isFull = options.sync || this.#bufferedBytes > WRITE_BUFFER_BYTES / 2
      await batch.write({ sync: isFull })
      return isFull
    })
    if (!flush) return
    await this.#db.run(`flushing after ${action}`, flushMemory)
    this.#bufferedBytes = 0
  }
}

/**
 * On Node, `Level` is ClassicLevel, whose compactRange begins by writing all of LevelDB's memory into a synced table; its types leave it out.
 * A range that no table touches makes that all it does: with a key that is in use each flush would rewrite some 10 MB of older tables too.
 */
async function flushMemory(db: object): Promise<void> {
  assert(canCompact(db), 'level: compactRange is missing')
  await db.compactRange(NO_KEY, NO_KEY)
}

function canCompact(db: object): db is { compactRange(start: Uint8Array, end: Uint8Array): Promise<void> } {
  return 'compactRange' in db && typeof db.compactRange === 'function'
}
