// What every StateStore promises; run on LevelDB and on the one in memory.
import { describe, expect, it } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { type SnapshotMeta, type StateStore } from '../../src/consensus/types.ts'
import { loadWhole, type WholeState } from '../fixture/loaded-state.ts'

/** A place that outlives its store: `open` after `close` finds what was written. */
export interface StatePlace {
  open(): Promise<StateStore>
}

const encoder = new TextEncoder()

export function bytes(text: string): Uint8Array {
  return encoder.encode(text)
}

export function stateMeta(index: number): SnapshotMeta {
  return { index, term: 2, conf: { voters: [1, 2], outgoing: [1], learners: [9], learnersNext: [2], autoLeave: false } }
}

export function texts(state: Pick<WholeState, 'values'>): object {
  return Object.fromEntries([...state.values].map(([key, value]) => [key, new TextDecoder().decode(value)]))
}

export function stateStoreContract(name: string, newPlace: () => Promise<StatePlace>): void {
  /** Runs `use` on an opened and loaded store, and returns what the next life finds. */
  const after = async (use: (store: StateStore) => Promise<void>): Promise<WholeState> => {
    const place = await newPlace()
    const store = await place.open()
    await store.load(async () => {})
    await use(store)
    await store.close()
    const again = await place.open()
    const found = await loadWhole(again)
    await again.close()
    return found
  }

  describe(`StateStore: ${name}`, () => {
    it('is empty when new', async () => {
      const found = await after(async () => {})
      expect(found.meta).toEqual({
        index: 0,
        term: 0,
        conf: { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false },
      })
      expect(found.values.size).toBe(0)
      expect(found.replaced).toBe(false)
    })

    it('gives back what was written, with the point it stands at', async () => {
      const value = Uint8Array.of(0, 255, 0, 1)
      const found = await after((store) =>
        store.write(
          stateMeta(5),
          [
            { key: 'a', value },
            { key: '', value: bytes('empty key') },
            { key: 'vm/ключ/🔑', value: new Uint8Array(0) },
          ],
          { sync: true },
        ),
      )
      expect(found.meta).toEqual(stateMeta(5))
      expect(found.replaced).toBe(false)
      expect([...(found.values.get('a') ?? [])]).toEqual([...value])
      expect(texts({ ...found, values: new Map([...found.values].filter(([key]) => key !== 'a')) })).toEqual({
        '': 'empty key',
        'vm/ключ/🔑': '',
      })
    })

    it('adds, changes and deletes; of two changes of a key in one write the later counts', async () => {
      const found = await after(async (store) => {
        await store.write(
          stateMeta(1),
          ['a', 'b', 'c'].map((key) => ({ key, value: bytes(`${key}1`) })),
          { sync: false },
        )
        await store.write(
          stateMeta(2),
          [
            { key: 'a', value: bytes('a2') },
            { key: 'b', value: undefined },
            { key: 'never there', value: undefined },
            { key: 'd', value: bytes('first') },
            { key: 'd', value: bytes('second') },
            { key: 'e', value: bytes('first') },
            { key: 'e', value: undefined },
          ],
          { sync: false },
        )
      })
      expect(texts(found)).toEqual({ a: 'a2', c: 'c1', d: 'second' })
      expect(found.meta).toEqual(stateMeta(2))
    })

    it('moves its point without a change', async () => {
      const found = await after(async (store) => {
        await store.write(stateMeta(1), [{ key: 'a', value: bytes('1') }], { sync: false })
        await store.write(stateMeta(8), [], { sync: true })
      })
      expect(found.meta.index).toBe(8)
      expect(texts(found)).toEqual({ a: '1' })
    })

    it('is replaced as a whole, and says so until the next write', async () => {
      const replace = async (store: StateStore): Promise<void> => {
        await store.write(
          stateMeta(1),
          [
            { key: 'old', value: bytes('1') },
            { key: 'both', value: bytes('1') },
          ],
          { sync: true },
        )
        await store.replace({
          meta: stateMeta(40),
          values: new Map([
            ['both', bytes('2')],
            ['new', bytes('2')],
          ]),
        })
      }
      const found = await after(replace)
      expect(found.meta).toEqual(stateMeta(40))
      expect(texts(found)).toEqual({ both: '2', new: '2' })
      expect(found.replaced).toBe(true)
      const later = await after(async (store) => {
        await replace(store)
        await store.write(stateMeta(41), [{ key: 'new', value: undefined }], { sync: false })
      })
      expect(later.replaced).toBe(false)
      expect(texts(later)).toEqual({ both: '2' })
    })

    it('may be replaced by nothing', async () => {
      const found = await after(async (store) => {
        await store.write(stateMeta(1), [{ key: 'old', value: bytes('1') }], { sync: true })
        await store.replace({ meta: stateMeta(3), values: new Map() })
      })
      expect(found.values.size).toBe(0)
      expect(found.meta.index).toBe(3)
    })

    it('refuses as a bug what is written before the load', async () => {
      const store = await (await newPlace()).open()
      await expect(store.write(stateMeta(1), [], { sync: false })).rejects.toThrow(BugError)
      await expect(store.replace({ meta: stateMeta(1), values: new Map() })).rejects.toThrow(BugError)
      await store.close()
    })
  })
}
