// The state on LevelDB: what it finds when its files were damaged, and that no crash can leave a hole in it.
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { describe, expect, it } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { openLevelState } from '../../src/consensus/level-state.ts'
import { bytes, stateMeta, texts } from '../contract/state-store.ts'
import { loadWhole, type WholeState } from '../fixture/loaded-state.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

type Raw = Level<Uint8Array, Uint8Array>

const META = bytes('m')

async function sampleState(): Promise<string> {
  const directory = await temporaryDirectory()
  const store = await openLevelState(directory)
  await store.load(async () => {})
  const changes = ['a', 'b', 'c'].map((key) => ({ key, value: bytes(`value of ${key}`) }))
  await store.write(stateMeta(3), changes, { sync: false })
  await store.write(stateMeta(4), [{ key: 'a', value: bytes('later value of a') }], { sync: false })
  await store.close()
  return directory
}

async function tamper(directory: string, change: (raw: Raw) => Promise<void>): Promise<void> {
  const raw: Raw = new Level(directory, { keyEncoding: 'view', valueEncoding: 'view' })
  await raw.open()
  await change(raw)
  await raw.close()
}

async function load(directory: string): Promise<WholeState> {
  const store = await openLevelState(directory)
  try {
    return await loadWhole(store)
  } finally {
    await store.close()
  }
}

describe('the state is refused as damaged when', () => {
  const DAMAGES: readonly (readonly [string, RegExp, (raw: Raw) => Promise<void>])[] = [
    ['a value is gone', /2 values, its meta record says 3/, (raw) => raw.del(bytes('vb'))],
    ['there is a value too many', /4 values, its meta record says 3/, (raw) => raw.put(bytes('vd'), bytes('x'))],
    ['one bit of a value is another', /checksum over all 3 values/, (raw) => raw.put(bytes('vb'), bytes('value of c'))],
    [
      'a value stands under another key',
      /checksum over all 3 values/,
      async (raw) => {
        await raw.del(bytes('vb'))
        await raw.put(bytes('vx'), bytes('value of b'))
      },
    ],
    ['a later change of a value is gone', /checksum over all 3 values/, (raw) => raw.put(bytes('va'), bytes('value of a'))],
    ['its meta record is gone', /3 values without a meta record/, (raw) => raw.del(META)],
    [
      'one bit of its meta record is another',
      /checksum of the meta record/,
      async (raw) => {
        const record = present(await raw.get(META), 'meta').slice()
        record[7] = (record[7] ?? 0) ^ 1
        await raw.put(META, record)
      },
    ],
  ]

  it.each(DAMAGES)('%s', async (_name, message, change) => {
    const directory = await sampleState()
    expect(texts(await load(directory))).toEqual({ a: 'later value of a', b: 'value of b', c: 'value of c' })
    await tamper(directory, change)
    await expect(load(directory)).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringMatching(message),
      data: { kind: 'damaged', store: 'state', directory },
    })
  })
})

it('one flipped bit in its file is either refused, or the state is an earlier one', async () => {
  const directory = await temporaryDirectory()
  const store = await openLevelState(directory)
  const states = new Map([[0, JSON.stringify(texts(await loadWhole(store)))]])
  const values = new Map<string, string>()
  for (let index = 1; index <= 60; index += 1) {
    const key = index % 3 === 0 ? `key ${index}` : 'changing'
    const value = `${index} ${'x'.repeat(1500)}`
    values.set(key, value)
    await store.write(stateMeta(index), [{ key, value: bytes(value) }], { sync: false })
    states.set(index, JSON.stringify(Object.fromEntries([...values].sort(([one], [other]) => (one < other ? -1 : 1)))))
  }
  await store.close()
  const [name = ''] = (await readdir(directory)).filter((file) => file.endsWith('.log'))
  const whole = await readFile(join(directory, name))
  expect(whole.length).toBeGreaterThan(2 * 32_768)
  const outcomes = { refused: 0, earlier: 0 }
  for (let at = 11; at < whole.length; at += Math.floor(whole.length / 40)) {
    const copy = await temporaryDirectory()
    await cp(directory, copy, { recursive: true })
    const flipped = Buffer.from(whole)
    flipped[at] = (flipped[at] ?? 0) ^ 0x10
    await writeFile(join(copy, name), flipped)
    try {
      const found = await load(copy)
      expect(JSON.stringify(texts(found)), `byte ${at}`).toBe(states.get(found.meta.index))
      outcomes.earlier += 1
    } catch (error) {
      expect(error).toMatchObject({ code: 'failed', data: { kind: 'damaged' } })
      outcomes.refused += 1
    }
  }
  expect(outcomes.refused).toBeGreaterThan(20)
  expect(outcomes.earlier).toBeGreaterThan(3)
})

it('one flipped bit in a table is never taken for an error of the disk: opening it again would find the same for ever', async () => {
  const directory = await temporaryDirectory()
  const store = await openLevelState(directory)
  const whole: Record<string, string> = {}
  await loadWhole(store)
  for (let index = 1; index <= 40; index += 1) {
    const value = `${index} ${'x'.repeat(400)}`
    whole[`key ${index}`] = value
    await store.write(stateMeta(index), [{ key: `key ${index}`, value: bytes(value) }], { sync: false })
  }
  await store.close()
  // LevelDB makes a table of its log when it is opened.
  await load(directory)
  const [name = ''] = (await readdir(directory)).filter((file) => file.endsWith('.ldb'))
  const table = await readFile(join(directory, name))
  let refused = 0
  for (let at = 5; at < table.length; at += Math.floor(table.length / 40)) {
    const copy = await temporaryDirectory()
    await cp(directory, copy, { recursive: true })
    const flipped = Buffer.from(table)
    flipped[at] = (flipped[at] ?? 0) ^ 0x10
    await writeFile(join(copy, name), flipped)
    try {
      expect(texts(await load(copy)), `byte ${at}`).toEqual(whole)
    } catch (error) {
      expect(error, `byte ${at}`).toMatchObject({ code: 'failed', data: { kind: 'damaged' } })
      refused += 1
    }
  }
  expect(refused).toBeGreaterThan(20)
})

describe('what a power cut may take', () => {
  /** Size of the log files, which a power cut may shorten anywhere as long as they are not synced. */
  const unsyncedBytes = async (directory: string): Promise<number[]> => {
    const logs = (await readdir(directory)).filter((file) => file.endsWith('.log'))
    return Promise.all(logs.map(async (file) => (await readFile(join(directory, file))).length))
  }

  it('is nothing after a synced write: all of it lies in a synced table', async () => {
    const directory = await temporaryDirectory()
    const store = await openLevelState(directory)
    await store.load(async () => {})
    await store.write(stateMeta(1), [{ key: 'a', value: bytes('1') }], { sync: false })
    expect((await unsyncedBytes(directory)).some((size) => size > 0)).toBe(true)
    await store.write(stateMeta(2), [], { sync: true })
    expect(await unsyncedBytes(directory)).toEqual([0])
    await store.close()
  })

  it('is never more than one file of changes: LevelDB never begins a new one by itself', async () => {
    const directory = await temporaryDirectory()
    const store = await openLevelState(directory)
    await store.load(async () => {})
    const sizes: number[] = []
    for (let index = 1; index <= 120; index += 1) {
      await store.write(stateMeta(index), [{ key: `key ${index % 3}`, value: new Uint8Array(100_000).fill(index) }], { sync: false })
      sizes.push(...(await unsyncedBytes(directory)))
    }
    await store.close()
    expect(sizes).toHaveLength(120)
    expect(Math.max(...sizes)).toBeLessThan(2.3 * 1024 * 1024)
    expect(sizes.filter((size) => size === 0).length).toBeGreaterThanOrEqual(4)
    expect((await load(directory)).meta.index).toBe(120)
  })
})
