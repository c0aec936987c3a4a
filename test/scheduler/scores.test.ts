// Scores, part by part: figures between 0 and 1, and what each of them means.
import { describe, expect, it } from 'vitest'
import { score } from '../../src/scheduler/scores.ts'
import { hostId } from '../fixture/inventory.ts'
import { aWorld, hostOf, withSettings, type HostWish } from './worlds.ts'

const partsOf = (wish: HostWish, vm: Parameters<typeof aWorld>[1] = {}) => {
  const { world, web } = aWorld([wish], vm)
  return Object.fromEntries(score(world, web, hostOf(world, 'h1')).parts.map(({ name, value }) => [name, value]))
}

describe('the part of', () => {
  it('memory is the share of what may be promised that is left after the VM', () => {
    expect(partsOf({ facts: { memoryMiB: 1_512 }, runs: [250] }, { memoryMiB: 250 })).toMatchObject({ memory: 0.5 })
    expect(partsOf({ facts: { memoryMiB: 1_512 } }, { memoryMiB: 1_000 })).toMatchObject({ memory: 0 })
    expect(partsOf({ facts: { memoryMiB: 100 } })).toMatchObject({ memory: 0 })
  })

  it('CPU is its idle share, measured or promised', () => {
    expect(partsOf({ load: { cpuPercent: 25 } })).toMatchObject({ cpu: 0.75 })
    expect(partsOf({ load: { cpuPercent: 130 } })).toMatchObject({ cpu: 0 })
    expect(partsOf({ load: null, runs: [16] })).toMatchObject({ cpu: 0.75 })
    expect(partsOf({ load: null, runs: [16, 16, 16, 16, 16] })).toMatchObject({ cpu: 0 })
  })

  it('VMs halves with the first of them', () => {
    expect([partsOf({}), partsOf({ runs: [16] }), partsOf({ runs: [16, 16, 16] })].map((parts) => parts['vms'])).toEqual([1, 0.5, 0.25])
  })

  it('the last host is all or nothing', () => {
    const { world, web } = aWorld([{}, {}])
    const of = (last: string) =>
      score(world, { ...web, lastHost: hostId(last) }, hostOf(world, 'h1')).parts.find(({ name }) => name === 'last-host')
    expect([of('h1')?.value, of('h2')?.value]).toEqual([1, 0])
  })
})

it('the total is the mean of the parts by their weights: memory 4, CPU 2, VMs 1, last host a quarter', () => {
  const { world, web } = aWorld([{ facts: { memoryMiB: 1_512 }, runs: [250], load: { cpuPercent: 25 } }], { memoryMiB: 250 })
  expect(score(world, web, hostOf(world, 'h1')).total).toBeCloseTo((4 * 0.5 + 2 * 0.75 + 0.5) / (4 + 2 + 1 + 0.25), 12)
})

it('an overcommit makes room, a reserve takes it', () => {
  const { world, web } = aWorld([{ facts: { memoryMiB: 1_000 } }], { memoryMiB: 500 })
  const memory = (settings: Parameters<typeof withSettings>[1]) =>
    score(withSettings(world, settings), web, hostOf(world, 'h1')).parts[0]?.value
  expect(memory({ 'placement.memory-reserve-mib': 0 })).toBe(0.5)
  expect(memory({ 'placement.memory-reserve-mib': 0, 'placement.memory-overcommit': 2 })).toBe(0.75)
})
