// Which elections count as explained.
import { expect, it } from 'vitest'
import { type WatchEvent } from '../fixture/stall-watch.ts'
import { electionsIn, type Noted, SILENCE_MS } from './elections.ts'

const noted = (member: number, event: WatchEvent): Noted => ({ member, event })
const role = (at: number, term: number): WatchEvent => ({ kind: 'role', at, role: 'candidate', term, leader: 0 })
const leads: WatchEvent = { kind: 'role', at: 100, role: 'leader', term: 2, leader: 1 }
const stall = (at: number, ms: number, ranMs = 0): WatchEvent => ({ kind: 'stall', at, of: 'event loop', ms, ranMs })

it('each term after that of the first leader is an election, however many members noted it', () => {
  const start = [noted(2, role(0, 1)), noted(1, role(50, 2)), noted(1, leads)]
  const elections = electionsIn([...start, noted(1, role(9_000, 3)), noted(2, role(9_010, 3)), noted(2, role(20_000, 5))])
  expect(elections.map(({ term, at }) => [term, at])).toEqual([
    [3, 9_000],
    [5, 20_000],
  ])
})

it('a stall explains an election that began during it or within the wait that follows, if it was as long as the silence that counts', () => {
  const explained = (event: WatchEvent): boolean =>
    electionsIn([noted(1, leads), noted(3, role(10_000, 3)), noted(2, event)])[0]?.stall !== undefined
  expect(explained(stall(9_900, SILENCE_MS))).toBe(true)
  expect(explained(stall(9_900, SILENCE_MS - 1))).toBe(false)
  expect(explained(stall(8_400, 2_000))).toBe(false)
  expect(explained(stall(10_700, 800))).toBe(true)
  expect(explained(stall(10_700, 600))).toBe(false)
})

it('a stall in which the member worked is told apart from one in which it waited for a processor', () => {
  const ownWork = (ranMs: number): boolean | undefined =>
    electionsIn([noted(1, leads), noted(3, role(10_000, 3)), noted(2, stall(9_900, 2_000, ranMs))])[0]?.ownWork
  expect(ownWork(SILENCE_MS - 1)).toBe(false)
  expect(ownWork(SILENCE_MS)).toBe(true)
})
