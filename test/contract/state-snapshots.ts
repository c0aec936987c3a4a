// What every StateStore promises of views and of states that arrive; run on LevelDB and on the one in memory.
import { describe, expect, it } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { type SnapshotOffer, type StatePair, type StateStore, type StateView } from '../../src/consensus/types.ts'
import { loadWhole } from '../fixture/loaded-state.ts'
import { bytes, stateMeta, type StatePlace, texts } from './state-store.ts'

const VALUE = 'x'.repeat(300)
const keyAt = (at: number): string => `key ${String(at).padStart(3, '0')}`
const pairsOf = (from: number, to: number, value: string): StatePair[] =>
  Array.from({ length: to - from }, (_, at) => ({ key: keyAt(from + at), value: bytes(value) }))

/** Comparable, whatever kind of bytes a store gives. */
function plain(pairs: readonly StatePair[]): [string, string][] {
  return pairs.map(({ key, value }) => [key, new TextDecoder().decode(value)])
}

async function allOf(view: StateView, after?: string): Promise<StatePair[]> {
  const pairs: StatePair[] = []
  for await (const page of view.pages({ bytes: 1000, after })) pairs.push(...page)
  return pairs
}

export function stateSnapshotsContract(name: string, newPlace: () => Promise<StatePlace>): void {
  const opened = async (place: StatePlace): Promise<StateStore> => {
    const store = await place.open()
    await store.load(async () => {})
    return store
  }
  /** A store at entry 5 with ten old pairs. */
  const old = async (place: StatePlace): Promise<StateStore> => {
    const store = await opened(place)
    await store.write(stateMeta(5), pairsOf(0, 10, 'old'), { sync: true })
    return store
  }
  /** What a leader at entry 90 offers: forty pairs. */
  const offered = async (id = 1): Promise<SnapshotOffer> => {
    const store = await opened(await newPlace())
    await store.write(stateMeta(90), pairsOf(0, 40, VALUE), { sync: true })
    const view = await store.view()
    const offer = { id, meta: view.meta, digest: view.digest }
    await view.close()
    await store.close()
    return offer
  }
  const found = async (place: StatePlace) => {
    const store = await place.open()
    const state = await loadWhole(store)
    await store.close()
    return { index: state.meta.index, replaced: state.replaced, count: state.values.size, text: texts(state) }
  }

  describe(`views and staged states of a StateStore: ${name}`, () => {
    it('a view shows the state as it stood, page by page, from any key on', async () => {
      const store = await old(await newPlace())
      const view = await store.view()
      await store.write(
        stateMeta(6),
        [
          { key: keyAt(3), value: bytes('new') },
          { key: keyAt(99), value: bytes('new') },
          { key: keyAt(0), value: undefined },
        ],
        { sync: true },
      )
      expect(view.meta).toEqual(stateMeta(5))
      expect(plain(await allOf(view))).toEqual(plain(pairsOf(0, 10, 'old')))
      expect(plain(await allOf(view, keyAt(6)))).toEqual(plain(pairsOf(7, 10, 'old')))
      expect(view.digest).toMatchObject({ count: 10, bytes: 10 * (7 + 3) })
      await view.close()
      const later = await store.view()
      expect((await allOf(later)).map(({ key }) => key)).toEqual([...pairsOf(1, 10, '').map(({ key }) => key), keyAt(99)])
      await later.close()
      await store.close()
    })

    it('what is staged shows nowhere until it is installed, then alone, also after a restart', async () => {
      const place = await newPlace()
      const store = await old(place)
      const offer = await offered()
      const staging = await store.stage(offer)
      for (let at = 0; at < 40; at += 8) await staging.add(pairsOf(at, at + 8, VALUE))
      await store.write(stateMeta(6), [{ key: 'meanwhile', value: bytes('1') }], { sync: true })
      const before = await store.view()
      expect(await allOf(before)).toHaveLength(11)
      await before.close()
      expect(staging.bytes).toBe(offer.digest.bytes)
      const read: StatePair[] = []
      expect(await staging.read(async (pairs) => void read.push(...pairs))).toEqual(offer.digest)
      expect(plain(read)).toEqual(plain(pairsOf(0, 40, VALUE)))
      await staging.install()
      const after = await store.view()
      expect(after).toMatchObject({ meta: offer.meta, digest: offer.digest })
      await after.close()
      await store.close()
      expect(await found(place)).toMatchObject({ index: 90, replaced: true, count: 40, text: { [keyAt(0)]: VALUE } })
    })

    it('a write after the installation counts, and so does a second installation', async () => {
      const place = await newPlace()
      const store = await old(place)
      for (const [id, index] of [
        [1, 90],
        [2, 91],
        [3, 92],
      ] as const) {
        const staging = await store.stage({ ...(await offered(id)), meta: stateMeta(index) })
        await staging.add(pairsOf(0, 40, VALUE))
        await staging.read(async () => {})
        await staging.install()
        await store.write(stateMeta(index), [{ key: `after ${id}`, value: bytes('1') }], { sync: true })
      }
      await store.close()
      expect(await found(place)).toMatchObject({ index: 92, replaced: false, count: 41, text: { 'after 3': '1' } })
    })

    it('the same offer goes on after a broken stream and after a restart; another begins anew', async () => {
      const place = await newPlace()
      let store = await old(place)
      const offer = await offered()
      const first = await store.stage(offer)
      expect([first.bytes, first.lastKey]).toEqual([0, undefined])
      await first.add(pairsOf(0, 8, VALUE))
      const second = await store.stage(offer)
      expect([second.bytes, second.lastKey]).toEqual([8 * 307, keyAt(7)])
      await expect(first.add(pairsOf(8, 9, VALUE))).rejects.toThrow(BugError)
      await second.add(pairsOf(8, 20, VALUE))
      await store.close()
      store = await opened(place)
      const third = await store.stage(offer)
      expect([third.bytes, third.lastKey]).toEqual([20 * 307, keyAt(19)])
      await third.add(pairsOf(20, 40, VALUE))
      expect(await third.read(async () => {})).toEqual(offer.digest)
      const other = await store.stage({ ...offer, id: 2 })
      expect([other.bytes, other.lastKey]).toEqual([0, undefined])
      expect(await other.read(async () => {})).toMatchObject({ count: 0 })
      await store.close()
      expect(await found(place)).toMatchObject({ index: 5, count: 10, replaced: false })
    })

    it('what is discarded, or was overtaken by the state, is gone', async () => {
      for (const end of ['discarded', 'overtaken'] as const) {
        const place = await newPlace()
        const store = await old(place)
        const offer = await offered()
        const staging = await store.stage(offer)
        await staging.add(pairsOf(0, 40, VALUE))
        if (end === 'discarded') await staging.discard()
        else await store.write(stateMeta(95), [], { sync: true })
        await store.close()
        const again = await opened(place)
        const begun = await again.stage(offer)
        expect([begun.bytes, begun.lastKey]).toEqual([0, undefined])
        await again.close()
        expect(await found(place)).toMatchObject({ count: 10 })
      }
    })

    it('refuses as a bug to install what was not read since it grew', async () => {
      const store = await old(await newPlace())
      const staging = await store.stage(await offered())
      await staging.add(pairsOf(0, 20, VALUE))
      await staging.read(async () => {})
      await staging.add(pairsOf(20, 40, VALUE))
      await expect(staging.install()).rejects.toThrow(BugError)
      await store.close()
    })
  })
}
