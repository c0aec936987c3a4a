// The schedule of faults: the seed decides it, and it leaves nothing out.
import { expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { type Episode, schedule } from './nemesis.ts'

function episodes(seed: number, count: number): readonly Episode[] {
  const endless = schedule(seededRandom(seed))
  return Array.from({ length: count }, () => endless.next().value)
}

it('the same seed brings the same faults, another one others', () => {
  expect(episodes(1, 20)).toEqual(episodes(1, 20))
  expect(episodes(1, 20)).not.toEqual(episodes(2, 20))
})

it('every fault comes, half of them to the leader, kills of one, two and all, and network and process faults at once', () => {
  const all = episodes(3, 400)
  const network = all.flatMap((episode) => episode.network ?? [])
  const process = all.flatMap((episode) => episode.process ?? [])
  expect(new Set(network.map(({ kind }) => kind))).toEqual(new Set(['isolate', 'mute', 'deaf', 'one-way', 'apart', 'lossy']))
  expect(new Set(process.map(({ kind }) => kind))).toEqual(new Set(['kill', 'power cut', 'freeze', 'transfer']))
  const killed = process.flatMap((fault) => (fault.kind === 'kill' ? [fault.targets.length] : []))
  expect(new Set(killed)).toEqual(new Set([1, 2, 3]))
  expect(network.filter((fault) => 'target' in fault && fault.target === 'leader').length).toBeGreaterThan(network.length / 5)
  expect(all.filter((episode) => episode.network !== undefined && episode.process !== undefined).length).toBeGreaterThan(50)
})
