// A host that is taken out while its membership changes in another way: the news is kept until that has ended.
import { afterEach, expect, it } from 'vitest'
import { Agents } from './agents.ts'

let agents: Agents | undefined
afterEach(() => agents?.end())

const SLOW_SAVE_MS = 10_000

it('a removal that is told once, while what the host remembers is saved, is followed when that is done', async () => {
  const world = await Agents.mesh(4)
  agents = world
  await world.run(3_000)
  // Whom to ask one day is saved anew when the hosts change, within a second.
  expect(await world.write('h1', { kind: 'host-remove', host: world.id('h4') })).toMatchObject({ kind: 'done' })
  await world.until('h3 knows', () => !world.view('h3').hosts.has(world.id('h4')))
  world.host('h3').disk.mood.syncMs = [SLOW_SAVE_MS, SLOW_SAVE_MS]
  await world.run(1_100)
  expect(await world.write('h1', { kind: 'host-remove', host: world.id('h3') })).toMatchObject({ kind: 'done' })
  await world.run(500)
  // Nobody will tell it again, but its own log when that is written, later than the save.
  world.apart('h3')
  expect(world.api('h3').lifecycle.initialised()).toBe(true)
  await world.until('h3 has left', () => !world.api('h3').lifecycle.initialised(), SLOW_SAVE_MS)
  expect(world.api('h3').lifecycle.ended()).toContain('removed from mesh lab')
})
