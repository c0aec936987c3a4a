// How long two processes under one key stay refused.
import { expect, it } from 'vitest'
import { type HostId } from '../../src/base/ids.ts'
import { CLONE_MEMORY_MS, Clones } from '../../src/mesh/clones.ts'

const HOST = 'host' as HostId

it('nobody is refused before a clone was found, whatever its boot id', () => {
  const clones = new Clones()
  expect([clones.judge(HOST, 'one', 0), clones.judge(HOST, 'two', 1)]).toEqual([undefined, undefined])
})

it('both are refused as long as both show themselves', () => {
  const clones = new Clones()
  clones.found(HOST, ['one', 'two'], 0)
  for (let at = 5000; at <= 60_000; at += 5000) {
    expect(clones.judge(HOST, 'one', at)).toEqual(['one', 'two'])
    expect(clones.judge(HOST, 'two', at)).toEqual(['two', 'one'])
  }
})

it('one is let in when the other was not seen for a while, and then for good', () => {
  const clones = new Clones()
  clones.found(HOST, ['one', 'two'], 0)
  expect(clones.judge(HOST, 'one', CLONE_MEMORY_MS - 1)).toBeDefined()
  expect(clones.judge(HOST, 'one', CLONE_MEMORY_MS)).toBeUndefined()
  expect(clones.judge(HOST, 'three', CLONE_MEMORY_MS + 1)).toBeUndefined()
})

it('a third process is refused with them', () => {
  const clones = new Clones()
  clones.found(HOST, ['one', 'two'], 0)
  expect(clones.judge(HOST, 'three', 1)).toEqual(['three', 'one', 'two'])
})

it('a clone that restarts in a loop fills no memory, and stays refused', () => {
  const clones = new Clones()
  clones.found(HOST, ['one', 'two'], 0)
  for (let boot = 0; boot < 1000; boot += 1) expect(clones.judge(HOST, `boot-${boot}`, 1)?.length).toBeLessThanOrEqual(17)
})

it('other hosts have nothing to do with it, and a host that was removed is forgotten', () => {
  const clones = new Clones()
  clones.found(HOST, ['one', 'two'], 0)
  expect(clones.judge('other' as HostId, 'one', 1)).toBeUndefined()
  clones.forget(HOST)
  expect(clones.judge(HOST, 'one', 1)).toBeUndefined()
})
