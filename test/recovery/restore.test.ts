// A host that belongs to no mesh makes the mesh of a backup: once, whole or not at all.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { asText, backupLines } from '../fixture/backup-lines.ts'
import { aMeshWithRunningVm, hostId, someVm, type TestLog, vmId } from '../fixture/inventory.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { Agents } from './agents.ts'

let agents: Agents | undefined
let file: string

beforeEach(async () => {
  file = join(await temporaryDirectory(), 'lab.backup')
  writeFileSync(file, asText(backupLines(backedUp().now)))
})
afterEach(() => agents?.end())

function backedUp(): TestLog {
  const log = aMeshWithRunningVm({ datastores: ['images'] })
  log.do({ kind: 'host-set', host: hostId('h1'), name: 'rack1' })
  return log
}

it('restored again from the same file it is done already, from another one refused', async () => {
  agents = await Agents.fresh()
  const first = await agents.restore('h1', file)
  const { mesh } = agents.view('h1')
  expect(await agents.restore('h1', file)).toEqual(first)
  expect(mesh?.generation).toBe(2)
  expect(agents.view('h1').mesh).toEqual(mesh)
  const other = backedUp()
  other.do(someVm('other'))
  writeFileSync(file, asText(backupLines(other.now)))
  await expect(agents.restore('h1', file)).rejects.toMatchObject({ code: 'conflict' })
})

describe('on a host that alone had its mesh, with damaged stores', () => {
  async function damagedAlone(): Promise<Agents> {
    const world = await Agents.mesh(1)
    agents = world
    await world.write('h1', someVm('web', { host: world.id('h1') }))
    writeFileSync(file, asText(backupLines(world.view('h1'))))
    world.powerCut('h1')
    world.host('h1').disk.damage()
    await world.powerOn('h1')
    await world.run(5_000)
    return world
  }

  it('sets these aside and goes on in a new generation, with all that the backup has', async () => {
    const world = await damagedAlone()
    const former = world.host('h1').disk.member
    expect(await world.restore('h1', file)).toMatchObject({ damaged: 'a checksum is wrong', generation: { to: 2 } })
    expect(world.host('h1').disk.setAside).toEqual([former])
    expect(world.host('h1').disk.member).not.toBe(former)
    expect(world.api('h1').lifecycle.damaged()).toBeNull()
    expect([world.generation('h1'), world.votersOf('h1'), world.view('h1').vms.has(vmId('web'))]).toEqual([2, ['h1'], true])
    expect(await world.write('h1', someVm('db', { host: world.id('h1') }))).toMatchObject({ kind: 'done' })
    // Asked for again there is nothing more to do; a power cut changes nothing either.
    expect(await world.restore('h1', file)).toMatchObject({ damaged: null })
    world.powerCut('h1')
    await world.powerOn('h1')
    await world.until('it leads again', () => world.generation('h1') === 2 && world.view('h1').vms.has(vmId('db')))
  })

  it('says so before, and changes nothing', async () => {
    const world = await damagedAlone()
    const { member } = world.host('h1').disk
    expect(await world.restore('h1', file, { dryRun: true })).toMatchObject({ damaged: 'a checksum is wrong' })
    expect([world.host('h1').disk.member, world.host('h1').disk.setAside]).toEqual([member, []])
    expect(world.api('h1').lifecycle.damaged()).toEqual({ why: 'a checksum is wrong', alone: true })
  })

  it('of another mesh is refused: that mends nothing', async () => {
    const world = await damagedAlone()
    writeFileSync(file, asText(backupLines(backedUp().now)))
    await expect(world.restore('h1', file)).rejects.toMatchObject({ code: 'conflict' })
    expect(world.host('h1').disk.setAside).toEqual([])
  })

  it('is refused where others are known, through whom it comes back with more', async () => {
    const world = await Agents.mesh(3)
    agents = world
    await world.run(2_000)
    writeFileSync(file, asText(backupLines(world.view('h1'))))
    world.powerCut('h1', 'h2', 'h3')
    world.host('h1').disk.damage()
    await world.powerOn('h1')
    await world.run(2_000)
    await expect(world.restore('h1', file)).rejects.toMatchObject({ code: 'conflict' })
  })
})

it('of a mesh that was recovered meanwhile goes on apart from it, until a token takes its host over', async () => {
  const world = await Agents.mesh(3, 1, 1)
  agents = world
  writeFileSync(file, asText(backupLines(world.view('h1'))))
  world.powerCut('h1', 'h2')
  await world.until('h3 knows no leader', () => world.api('h3').cluster.status().leader === null)
  await world.confirm('h3', (await world.plan('h3')).digest)
  expect(await world.write('h3', someVm('late', { host: world.id('h3') }))).toMatchObject({ kind: 'done' })
  await world.powerOn('h4')
  await world.restore('h4', file)
  const [recovered, restored] = [world.view('h3').mesh, world.view('h4').mesh]
  expect([recovered?.id === restored?.id, recovered?.generation, restored?.generation]).toEqual([true, 2, 2])
  expect(recovered?.generationId).not.toBe(restored?.generationId)
  await world.run(10_000)
  // To each other they are strangers, who are told nothing: h4 is none of the hosts of the mesh that was recovered.
  expect([world.generation('h3'), world.votersOf('h3'), world.votersOf('h4')]).toEqual([2, ['h3'], ['h4']])
  expect(world.api('h3').cluster.status().superseded).toBeNull()
  expect(await world.write('h3', someVm('third', { host: world.id('h3') }))).toMatchObject({ kind: 'done' })
  await world.join('h4')
  expect(world.view('h4').mesh).toEqual(world.view('h3').mesh)
  expect(world.view('h4').vms.has(vmId('late'))).toBe(true)
})

it('cut off by a power cut at any moment it is whole or not begun, and can be asked for again', async () => {
  const found = new Set<number | undefined>()
  for (let ms = 0; !found.has(2); ms += 7) {
    const world = await Agents.fresh()
    agents = world
    world.host('h1').disk.mood.syncMs = [10, 10]
    const { done } = await world.restoring('h1', file)
    done.catch(() => undefined)
    await world.run(ms)
    world.powerCut('h1')
    await world.powerOn('h1')
    if (world.api('h1').lifecycle.initialised()) await world.until('it knows what it is', () => world.generation('h1') !== undefined)
    found.add(world.generation('h1'))
    await world.restore('h1', file)
    expect(world.generation('h1')).toBe(2)
    expect(world.votersOf('h1')).toEqual(['h1'])
    expect(world.view('h1').vms.has(vmId('web'))).toBe(true)
    expect(await world.write('h1', someVm('db'))).toMatchObject({ kind: 'done' })
    await world.end()
  }
  expect([...found]).toEqual([undefined, 2])
})
