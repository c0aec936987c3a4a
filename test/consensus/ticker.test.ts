// Ticks in virtual time: even, never made up for, and not counted when the process had slept.
import { expect, it } from 'vitest'
import { startTicker, type Ticker } from '../../src/consensus/ticker.ts'
import { type MachineClock, type ManualClock, manualClock } from '../fixture/manual-clock.ts'

interface World {
  readonly world: ManualClock
  readonly machine: MachineClock
  readonly ticker: Ticker
  readonly ticks: number[]
  readonly late: number[]
}

function started(): World {
  const world = manualClock()
  const machine = world.machine()
  const ticks: number[] = []
  const late: number[] = []
  const ticker = startTicker({ clock: machine, tickMs: 50, onTick: () => ticks.push(world.now()), onLate: (lateMs) => late.push(lateMs) })
  return { world, machine, ticker, ticks, late }
}

it('ticks evenly', async () => {
  const { world, ticks, late } = started()
  await world.run(225)
  expect(ticks).toEqual([50, 100, 150, 200])
  expect(late).toEqual([])
})

it('does not make up for a pause, nor count the firing that ends it', async () => {
  const { world, machine, ticks, late } = started()
  await world.run(120)
  machine.pause()
  await world.run(60_000)
  machine.resume()
  await world.run(110)
  expect(ticks).toEqual([50, 100, 60_170, 60_220])
  expect(late).toEqual([60_120 - 150])
})

it('does not count a firing that is late by exactly a tick', async () => {
  const { world, machine, ticks, late } = started()
  await world.run(49)
  machine.pause()
  await world.run(51)
  machine.resume()
  await world.run(60)
  expect(ticks).toEqual([150])
  expect(late).toEqual([50])
})

it('counts a firing that is late by less than a tick', async () => {
  const { world, machine, ticks, late } = started()
  await world.run(49)
  machine.pause()
  await world.run(50)
  machine.resume()
  await world.run(60)
  expect(ticks).toEqual([99, 149])
  expect(late).toEqual([])
})

it('counts every other firing of a member that is always late, so that it has some time at least', async () => {
  const { world, machine, ticks } = started()
  for (let round = 0; round < 6; round += 1) {
    machine.pause()
    await world.run(200)
    machine.resume()
    await world.drain()
  }
  expect(ticks).toHaveLength(3)
})

it('ends', async () => {
  const { world, ticker, ticks } = started()
  await world.run(60)
  ticker.stop()
  await world.run(500)
  expect(ticks).toEqual([50])
})
