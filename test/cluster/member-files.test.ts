// What a data directory remembers of a membership: one member counts, those of former ones stay beside it until they are removed.
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { memberFiles } from '../../src/cluster/member-files.ts'
import { type MemberIdentity } from '../../src/cluster/member.ts'
import { type Removal } from '../../src/cluster/removal.ts'
import { bootstrap } from '../../src/consensus/bootstrap.ts'
import { memberId, meshId } from '../fixture/inventory.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

const identity = (member: number): MemberIdentity => ({
  mesh: { id: meshId('m'), name: 'lab', generation: 1, generationId: null },
  member: memberId(member),
  introduced: [],
})

async function found(directory: string, member: number): Promise<void> {
  const { logStore, stateStore } = await memberFiles(directory).openStores(memberId(member))
  await bootstrap(logStore, stateStore, { voters: [member] })
  await logStore.close()
  await stateStore.close()
}

async function lastIndex(directory: string, member: number): Promise<number> {
  const { logStore, stateStore } = await memberFiles(directory).openStores(memberId(member))
  const { snapshot, entries } = await logStore.load()
  await logStore.close()
  await stateStore.close()
  return snapshot.index + entries.length
}

it('a new data directory belongs to nobody', async () => {
  expect(await memberFiles(await temporaryDirectory()).load()).toBeNull()
})

it('the identity that was saved last is the one that is loaded', async () => {
  const directory = await temporaryDirectory()
  const store = memberFiles(directory)
  await store.save(identity(1))
  await store.save(identity(2))
  expect(await memberFiles(directory).load()).toEqual(identity(2))
})

it('a former member keeps its stores beside those of the present one', async () => {
  const directory = await temporaryDirectory()
  await found(directory, 1)
  expect(await lastIndex(directory, 2)).toBe(0)
  expect(await lastIndex(directory, 1)).toBe(1)
})

it('stores of others are removed, those of the one that is named stay', async () => {
  const directory = await temporaryDirectory()
  await found(directory, 1)
  await found(directory, 2)
  await memberFiles(directory).removeOthers(memberId(2))
  expect(readdirSync(join(directory, 'raft'))).toEqual(['2'])
  expect(await lastIndex(directory, 2)).toBe(1)
  await memberFiles(directory).removeOthers(null)
  expect(readdirSync(join(directory, 'raft'))).toEqual([])
})

it('nothing to remove is no error', async () => {
  await expect(memberFiles(await temporaryDirectory()).removeOthers(null)).resolves.toBeUndefined()
})

it('damaged stores stand aside, the last ones only; that somebody removed them by hand is no error', async () => {
  const directory = await temporaryDirectory()
  for (const member of [1, 2]) {
    await found(directory, member)
    const place = await memberFiles(directory).setAside(memberId(member))
    expect(place).toBe(join(directory, 'damaged', String(member)))
    expect(readdirSync(join(directory, 'damaged'))).toEqual([String(member)])
    expect(readdirSync(place).toSorted()).toEqual(['inventory', 'log'])
    expect(readdirSync(join(directory, 'raft'))).toEqual([])
  }
  await memberFiles(directory).setAside(memberId(3))
  expect(readdirSync(join(directory, 'damaged'))).toEqual([])
})

it('why a member is damaged is remembered: whole-looking stores are not opened again', async () => {
  const directory = await temporaryDirectory()
  await memberFiles(directory).save({ ...identity(1), damaged: 'a checksum is wrong' })
  expect(await memberFiles(directory).load()).toEqual({ ...identity(1), damaged: 'a checksum is wrong' })
})

const removal = (member: number): Removal => ({
  mesh: { id: meshId('m'), name: 'lab' },
  member: memberId(member),
  at: 5,
  by: 'admin@h1',
  reason: 'sold',
})

it('a membership that ended is not loaded again: its stores stand aside, and how it ended is known until another begins', async () => {
  const directory = await temporaryDirectory()
  await found(directory, 1)
  await memberFiles(directory).save(identity(1))
  expect(await memberFiles(directory).removal()).toBeNull()
  await memberFiles(directory).retire(removal(1))
  expect(await memberFiles(directory).load()).toBeNull()
  expect(await memberFiles(directory).removal()).toEqual(removal(1))
  expect(readdirSync(directory).toSorted()).toEqual(['removed', 'removed.json'])
  expect(readdirSync(join(directory, 'removed'))).toEqual(['1'])
  await found(directory, 2)
  await memberFiles(directory).save(identity(2))
  expect(await memberFiles(directory).load()).toEqual(identity(2))
  expect(await memberFiles(directory).removal()).toBeNull()
})

it('only the stores of the last ended membership are kept', async () => {
  const directory = await temporaryDirectory()
  for (const member of [1, 2]) {
    await found(directory, member)
    await memberFiles(directory).retire(removal(member))
  }
  expect(readdirSync(join(directory, 'removed'))).toEqual(['2'])
})

it('a damaged note of how it ended is said to be no more than that', async () => {
  const directory = await temporaryDirectory()
  writeFileSync(join(directory, 'removed.json'), '{"by":5}')
  await expect(memberFiles(directory).removal()).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining('removed.json') })
})
