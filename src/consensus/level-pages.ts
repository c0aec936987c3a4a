// Reading a slot of the state page by page: bounded memory, and never long on the event loop.
import { type StoreDb } from './level-db.ts'
import { type Slot, slotRange } from './level-state-records.ts'
import { type StatePair } from './types.ts'

/** Pairs that LevelDB hands over at once: a millisecond or two of making objects of them. */
const AT_ONCE = 1000

type Snapshot = ReturnType<Parameters<Parameters<StoreDb['run']>[1]>[0]['snapshot']>

export interface PagesOptions {
  readonly slot: Slot
  /** A page ends once it holds so many bytes of keys and values. */
  readonly bytes: number
  /** Begins behind this key. */
  readonly after?: string | undefined
  /** Of the present state when absent. */
  readonly snapshot?: Snapshot
}

export interface RawPair extends StatePair {
  /** The key as UTF-8. */
  readonly bytes: Uint8Array
}

export async function* readPages(db: StoreDb, { slot, bytes, after, snapshot }: PagesOptions): AsyncGenerator<readonly RawPair[]> {
  const decoder = new TextDecoder()
  const range = { ...slotRange(slot, after), highWaterMarkBytes: bytes, ...(snapshot === undefined ? {} : { snapshot }) }
  const iterator = await db.run('reading the state', async (level) => level.iterator(range))
  try {
    let page: RawPair[] = []
    let size = 0
    for (;;) {
      const found = await db.run('reading the state', () => iterator.nextv(AT_ONCE))
      for (const [key, value] of found) {
        page.push({ key: decoder.decode(key.subarray(1)), bytes: key.subarray(1), value })
        size += key.length - 1 + value.length
      }
      if (found.length === 0 || size >= bytes) {
        if (page.length > 0) yield page
        page = []
        size = 0
      }
      if (found.length === 0) return
    }
  } finally {
    await iterator.close()
  }
}
