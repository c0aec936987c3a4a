// What every LogStore promises; run on LevelDB and on the one in memory.
import { describe, expect, it } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { type Entry, type LogStore, type SnapshotMeta, type StoredLog } from '../../src/consensus/types.ts'

/** A place that outlives its store: `open` after `close` finds what was written. */
export interface LogPlace {
  open(): Promise<LogStore>
}

const CONF = { voters: [1, 2, 3], outgoing: [4], learners: [5], learnersNext: [6], autoLeave: true }

export function entry(index: number, term: number, text = `${index}/${term}`): Entry {
  return { index, term, kind: index % 5 === 0 ? 'config' : 'normal', data: new TextEncoder().encode(text) }
}

/** Entries `first`..`last`, all of `term`. */
export function entries(first: number, last: number, term: number): Entry[] {
  return Array.from({ length: last - first + 1 }, (_, at) => entry(first + at, term))
}

export function point(index: number, term: number): SnapshotMeta {
  return { index, term, conf: CONF }
}

/** A log without its buffers' types: LevelDB gives back views. */
export function plain(log: StoredLog): object {
  return { ...log, entries: log.entries.map((each) => ({ ...each, data: new TextDecoder().decode(each.data) })) }
}

export function logStoreContract(name: string, newPlace: () => Promise<LogPlace>): void {
  /** Runs `use` on an opened and loaded store, and returns what the next life finds. */
  const after = async (use: (store: LogStore) => Promise<void>): Promise<StoredLog> => {
    const place = await newPlace()
    const store = await place.open()
    await store.load()
    await use(store)
    await store.close()
    const again = await place.open()
    const found = await again.load()
    await again.close()
    return found
  }
  const state = (term: number, commit: number) => ({ term, vote: 7, commit })

  describe(`LogStore: ${name}`, () => {
    it('is empty when new', async () => {
      const found = await after(async () => {})
      expect(found).toEqual({
        hardState: { term: 0, vote: 0, commit: 0 },
        snapshot: { index: 0, term: 0, conf: { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false } },
        entries: [],
      })
    })

    it('gives back entries of both kinds, and the hard state, byte for byte', async () => {
      const large = { index: 3, term: 2, kind: 'config' as const, data: new Uint8Array(1024 * 1024).map((_, at) => at * 7) }
      const empty = { index: 4, term: 2, kind: 'normal' as const, data: new Uint8Array(0) }
      const found = await after((store) =>
        store.write({ entries: [...entries(1, 2, 1), large, empty], hardState: state(2, 3), snapshot: undefined, sync: true }),
      )
      expect(found.hardState).toEqual(state(2, 3))
      expect(plain({ ...found, entries: found.entries.slice(0, 2) })).toEqual(plain({ ...found, entries: entries(1, 2, 1) }))
      expect(found.entries[2]).toMatchObject({ index: 3, term: 2, kind: 'config' })
      expect(Buffer.compare(found.entries[2]?.data ?? new Uint8Array(0), large.data)).toBe(0)
      expect(found.entries[3]).toMatchObject({ index: 4, term: 2, kind: 'normal' })
      expect(found.entries[3]?.data).toHaveLength(0)
    })

    it('keeps the hard state of an earlier group when a later one brings none', async () => {
      const found = await after(async (store) => {
        await store.write({ entries: entries(1, 1, 1), hardState: state(1, 0), snapshot: undefined, sync: true })
        await store.write({ entries: entries(2, 2, 1), hardState: undefined, snapshot: undefined, sync: false })
      })
      expect(found.hardState).toEqual(state(1, 0))
      expect(found.entries).toHaveLength(2)
    })

    it('takes a hard state alone', async () => {
      const found = await after((store) =>
        store.write({ entries: [], hardState: { term: 9, vote: 3, commit: 0 }, snapshot: undefined, sync: true }),
      )
      expect(found).toMatchObject({ hardState: { term: 9, vote: 3, commit: 0 }, entries: [] })
    })

    it('overwrites from the first entry of a group on, and cuts all that stood behind its last', async () => {
      const found = await after(async (store) => {
        await store.write({ entries: entries(1, 9, 1), hardState: state(1, 2), snapshot: undefined, sync: true })
        await store.write({ entries: entries(4, 5, 2), hardState: state(2, 2), snapshot: undefined, sync: true })
      })
      expect(plain(found)).toMatchObject({
        entries: [...entries(1, 3, 1), ...entries(4, 5, 2)].map((each) => ({ index: each.index, term: each.term })),
      })
      expect(found.entries).toHaveLength(5)
    })

    it('goes on after it cut', async () => {
      const found = await after(async (store) => {
        await store.write({ entries: entries(1, 9, 1), hardState: state(1, 0), snapshot: undefined, sync: true })
        await store.write({ entries: entries(4, 4, 2), hardState: state(2, 0), snapshot: undefined, sync: true })
        await store.write({ entries: entries(5, 12, 2), hardState: undefined, snapshot: undefined, sync: true })
      })
      expect(found.entries.map(({ term }) => term)).toEqual([1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    })

    it('may be cut back to nothing but one new entry', async () => {
      const found = await after(async (store) => {
        await store.write({ entries: entries(1, 3, 1), hardState: state(1, 0), snapshot: undefined, sync: true })
        await store.write({ entries: entries(1, 1, 2), hardState: state(2, 0), snapshot: undefined, sync: true })
      })
      expect(found.entries.map(({ index, term }) => [index, term])).toEqual([[1, 2]])
    })

    it('starts after a compaction, at any place from its first entry to its last', async () => {
      for (const index of [1, 4, 9]) {
        const found = await after(async (store) => {
          await store.write({ entries: entries(1, 9, 1), hardState: state(1, 9), snapshot: undefined, sync: true })
          await store.compact(point(index, 1))
        })
        expect(found.snapshot).toEqual(point(index, 1))
        expect(found.entries.map((each) => each.index)).toEqual(entries(index + 1, 9, 1).map((each) => each.index))
      }
    })

    it('goes on and compacts again after a compaction', async () => {
      const found = await after(async (store) => {
        await store.write({ entries: entries(1, 9, 1), hardState: state(1, 9), snapshot: undefined, sync: true })
        await store.compact(point(9, 1))
        await store.write({ entries: entries(10, 14, 2), hardState: state(2, 14), snapshot: undefined, sync: true })
        await store.compact(point(11, 2))
        await store.write({ entries: entries(13, 13, 3), hardState: { term: 3, vote: 0, commit: 12 }, snapshot: undefined, sync: true })
      })
      expect(found.snapshot).toEqual(point(11, 2))
      expect(found.entries.map(({ index, term }) => [index, term])).toEqual([
        [12, 2],
        [13, 3],
      ])
    })

    it('compacts while a write is under way', async () => {
      const found = await after(async (store) => {
        await store.write({ entries: entries(1, 9, 1), hardState: state(1, 9), snapshot: undefined, sync: true })
        await Promise.all([
          store.write({ entries: entries(10, 12, 1), hardState: state(1, 9), snapshot: undefined, sync: true }),
          store.compact(point(5, 1)),
        ])
        await Promise.all([
          store.compact(point(7, 1)),
          store.write({ entries: entries(11, 11, 2), hardState: state(2, 9), snapshot: undefined, sync: true }),
        ])
      })
      expect(found.snapshot).toEqual(point(7, 1))
      expect(found.entries.map(({ term }) => term)).toEqual([1, 1, 1, 2])
    })

    it('is replaced as a whole by a snapshot, which may lie behind its end', async () => {
      for (const index of [4, 20]) {
        const found = await after(async (store) => {
          await store.write({ entries: entries(1, 9, 1), hardState: state(1, 3), snapshot: undefined, sync: true })
          await store.write({ entries: [], hardState: state(5, index), snapshot: point(index, 5), sync: true })
        })
        expect(found).toEqual({ hardState: state(5, index), snapshot: point(index, 5), entries: [] })
      }
    })

    it('takes a snapshot and the entries after it in one group', async () => {
      const found = await after(async (store) => {
        await store.write({ entries: entries(1, 3, 1), hardState: state(1, 3), snapshot: undefined, sync: true })
        await store.write({ entries: entries(21, 22, 5), hardState: state(5, 20), snapshot: point(20, 5), sync: true })
      })
      expect(found.snapshot).toEqual(point(20, 5))
      expect(found.entries.map((each) => each.index)).toEqual([21, 22])
    })

    it('takes indexes, terms and ids up to 2^53 - 1', async () => {
      const max = Number.MAX_SAFE_INTEGER
      const found = await after((store) =>
        store.write({
          entries: [entry(max, max)],
          hardState: { term: max, vote: max, commit: max },
          snapshot: point(max - 1, max - 1),
          sync: true,
        }),
      )
      expect(found).toMatchObject({ hardState: { term: max, vote: max, commit: max }, snapshot: point(max - 1, max - 1) })
      expect(found.entries[0]).toMatchObject({ index: max, term: max })
    })

    it('has committed all that was compacted away, even when the commit index on disk is older', async () => {
      const found = await after(async (store) => {
        await store.write({ entries: entries(1, 9, 1), hardState: state(1, 2), snapshot: undefined, sync: true })
        await store.compact(point(5, 1))
      })
      expect(found.hardState).toEqual(state(1, 5))
    })

    it('takes 3,000 entries in one group', async () => {
      const found = await after((store) =>
        store.write({ entries: entries(1, 3000, 1), hardState: state(1, 0), snapshot: undefined, sync: true }),
      )
      expect(plain(found)).toMatchObject({ entries: entries(1, 3000, 1).map(({ index }) => ({ index, data: `${index}/1` })) })
    })

    describe('refuses as a bug', () => {
      const write = (batch: readonly Entry[], commit = 0) => ({
        entries: batch,
        hardState: state(1, commit),
        snapshot: undefined,
        sync: true,
      })
      const ATTEMPTS: readonly (readonly [string, (store: LogStore) => Promise<void>])[] = [
        ['an entry beyond a gap', (store) => store.write(write(entries(5, 5, 1)))],
        ['a gap inside a group', (store) => store.write(write([entry(4, 1), entry(6, 1)]))],
        ['an entry below the start', (store) => store.write(write(entries(1, 1, 1)))],
        ['a commit index beyond the end', (store) => store.write(write([], 4))],
        ['an entry of a later term than the member has', (store) => store.write(write(entries(4, 4, 2)))],
        ['a compaction beyond the end', (store) => store.compact(point(4, 1))],
        ['a compaction to where the log starts already', (store) => store.compact(point(1, 1))],
        ['a compaction with another term than the entry', (store) => store.compact(point(2, 2))],
      ]
      it.each(ATTEMPTS)('%s', async (_name, attempt) => {
        const store = await (await newPlace()).open()
        await store.load()
        await store.write({ entries: entries(1, 3, 1), hardState: state(1, 1), snapshot: undefined, sync: true })
        await store.compact(point(1, 1))
        await expect(attempt(store)).rejects.toThrow(BugError)
        await store.close()
      })

      it('a write before the load', async () => {
        const store = await (await newPlace()).open()
        await expect(store.write(write(entries(1, 1, 1)))).rejects.toThrow(BugError)
        await store.close()
      })
    })
  })
}
