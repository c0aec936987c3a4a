// The log on LevelDB: what it finds when its files were damaged, cut short, or put back.
import { execFile } from 'node:child_process'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import { Level } from 'level'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { openLevelLog } from '../../src/consensus/level-log.ts'
import { type LogStore, type StoredLog } from '../../src/consensus/types.ts'
import { entries, entry, plain, point } from '../contract/log-store.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

type Raw = Level<Uint8Array, Uint8Array>

const HEAD = Uint8Array.of(0x68)
const POINT = Uint8Array.of(0x73)

function entryKey(index: number): Uint8Array {
  return Uint8Array.of(0x65, 0, 0, 0, 0, 0, 0, 0, index)
}

/** A log that starts after 3 and holds 4..9 of term 2; committed up to 8. */
async function sampleLog(): Promise<string> {
  const directory = await temporaryDirectory()
  const store = await openLevelLog(directory)
  await store.load()
  await store.write({ entries: entries(1, 5, 2), hardState: { term: 2, vote: 1, commit: 0 }, snapshot: undefined, sync: true })
  await store.compact(point(3, 2))
  await store.write({ entries: entries(6, 9, 2), hardState: { term: 2, vote: 1, commit: 8 }, snapshot: undefined, sync: true })
  await store.close()
  return directory
}

async function tamper(directory: string, change: (raw: Raw) => Promise<void>): Promise<void> {
  const raw: Raw = new Level(directory, { keyEncoding: 'view', valueEncoding: 'view' })
  await raw.open()
  await change(raw)
  await raw.close()
}

async function read(raw: Raw, key: Uint8Array): Promise<Uint8Array> {
  return present(await raw.get(key), 'record')
}

async function load(directory: string): Promise<StoredLog> {
  const store = await openLevelLog(directory)
  try {
    return await store.load()
  } finally {
    await store.close()
  }
}

/** `record` with `change` made to its bytes and its checksum made right again: damage that no checksum of its own shows. */
function resealed(record: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const copy = record.slice()
  const view = new DataView(copy.buffer)
  change(view)
  view.setUint32(copy.length - 4, crc32(copy.subarray(0, copy.length - 4)))
  return copy
}

describe('the log is refused as damaged when', () => {
  const DAMAGES: readonly (readonly [string, RegExp, (raw: Raw) => Promise<void>])[] = [
    ['its first entry is gone', /entry 5 follows 3/, (raw) => raw.del(entryKey(4))],
    ['an entry is gone from the middle', /entry 8 follows 6/, (raw) => raw.del(entryKey(7))],
    ['its last entry is gone', /ends at 8, its head says 9/, (raw) => raw.del(entryKey(9))],
    ['all entries are gone', /ends at 3, its head says 9/, (raw) => raw.clear({ gte: entryKey(0), lte: entryKey(255) })],
    [
      'one bit of an entry is another',
      /entry 6 does not continue/,
      async (raw) => {
        const value = (await read(raw, entryKey(6))).slice()
        value[25] = (value[25] ?? 0) ^ 4
        await raw.put(entryKey(6), value)
      },
    ],
    ['an entry is cut short', /malformed/, async (raw) => raw.put(entryKey(6), (await read(raw, entryKey(6))).subarray(0, 20))],
    ['an entry stands in the place of another', /entry 5 follows 5/, async (raw) => raw.put(entryKey(6), await read(raw, entryKey(5)))],
    [
      'there is an entry beyond its head',
      /ends at 10, its head says 9/,
      async (raw) => {
        const last = await read(raw, entryKey(9))
        const next = last.slice()
        new DataView(next.buffer).setUint32(12, 10)
        const size = next.length - 4
        new DataView(next.buffer).setUint32(size, crc32(next.subarray(0, size), new DataView(last.buffer, last.byteOffset).getUint32(size)))
        await raw.put(entryKey(10), next)
      },
    ],
    ['its head is gone', /ends at 9, its head is gone/, (raw) => raw.del(HEAD)],
    [
      'one bit of its head is another',
      /checksum of the head/,
      async (raw) => {
        const head = (await read(raw, HEAD)).slice()
        head[15] = (head[15] ?? 0) ^ 1
        await raw.put(HEAD, head)
      },
    ],
    ['its head is too short to have a checksum', /checksum of the head/, (raw) => raw.put(HEAD, Uint8Array.of(1, 2))],
    [
      'its commit index lies beyond its end',
      /commit index is 10/,
      async (raw) =>
        raw.put(
          HEAD,
          resealed(await read(raw, HEAD), (view) => view.setUint32(20, 10)),
        ),
    ],
    [
      'its term lies below that of its last entry',
      /the term is 1, the last entry has 2/,
      async (raw) =>
        raw.put(
          HEAD,
          resealed(await read(raw, HEAD), (view) => view.setUint32(4, 1)),
        ),
    ],
    [
      'its head names another term for the last entry',
      /not the one its head saw/,
      async (raw) =>
        raw.put(
          HEAD,
          resealed(await read(raw, HEAD), (view) => view.setUint32(36, 1)),
        ),
    ],
    [
      'its head saw other entries',
      /not the one its head saw/,
      async (raw) =>
        raw.put(
          HEAD,
          resealed(await read(raw, HEAD), (view) => view.setUint32(40, 7)),
        ),
    ],
    ['its snapshot point is gone', /entry 4 follows 0/, (raw) => raw.del(POINT)],
    [
      'one bit of its snapshot point is another',
      /checksum of the snapshot point/,
      async (raw) => {
        const record = (await read(raw, POINT)).slice()
        record[7] = (record[7] ?? 0) ^ 1
        await raw.put(POINT, record)
      },
    ],
    [
      'its snapshot point belongs to another log',
      /entry 4 does not continue/,
      async (raw) =>
        raw.put(
          POINT,
          resealed(await read(raw, POINT), (view) => view.setUint32(view.byteLength - 8, 1)),
        ),
    ],
  ]

  it.each(DAMAGES)('%s', async (_name, message, change) => {
    const directory = await sampleLog()
    expect((await load(directory)).entries).toHaveLength(6)
    await tamper(directory, change)
    await expect(load(directory)).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringMatching(message),
      data: { kind: 'damaged', store: 'log', directory },
    })
  })

  it('a group that had overwritten others is lost, though what is left looks whole', async () => {
    const directory = await temporaryDirectory()
    const store = await openLevelLog(directory)
    await store.load()
    await store.write({ entries: entries(1, 6, 1), hardState: { term: 1, vote: 1, commit: 0 }, snapshot: undefined, sync: true })
    await store.close()
    const old: Uint8Array[] = []
    await tamper(directory, async (raw) => {
      for (const index of [5, 6]) old.push(await read(raw, entryKey(index)))
    })
    const again = await openLevelLog(directory)
    await again.load()
    await again.write({ entries: entries(5, 6, 2), hardState: { term: 2, vote: 1, commit: 0 }, snapshot: undefined, sync: true })
    await again.write({ entries: entries(7, 7, 2), hardState: undefined, snapshot: undefined, sync: true })
    await again.close()
    await tamper(directory, (raw) => raw.batch(old.map((value, at) => ({ type: 'put', key: entryKey(5 + at), value }))))
    await expect(load(directory)).rejects.toMatchObject({ data: { kind: 'damaged', index: 7 } })
  })

  it('LevelDB itself cannot open it', async () => {
    const directory = await sampleLog()
    await writeFile(join(directory, 'CURRENT'), 'MANIFEST')
    await expect(openLevelLog(directory)).rejects.toMatchObject({ code: 'failed', data: { kind: 'damaged', store: 'log' } })
  })
})

describe('what a crash leaves', () => {
  it('entries that a compaction had no time to remove are removed at the next load', async () => {
    const directory = await sampleLog()
    const kept: { key: Uint8Array; value: Uint8Array }[] = []
    await tamper(directory, async (raw) => {
      for (const index of [4, 5]) kept.push({ key: entryKey(index), value: await read(raw, entryKey(index)) })
    })
    const store = await openLevelLog(directory)
    await store.load()
    await store.compact(point(5, 2))
    await store.close()
    await tamper(directory, (raw) => raw.batch(kept.map((each) => ({ type: 'put', ...each }))))
    expect(plain(await load(directory))).toMatchObject({ snapshot: point(5, 2), entries: [6, 7, 8, 9].map((index) => ({ index })) })
    await tamper(directory, async (raw) => expect(await raw.get(entryKey(5))).toBeUndefined())
  })

  it('a torn last group is gone as a whole, wherever it was torn', async () => {
    const directory = await temporaryDirectory()
    const store = await openLevelLog(directory)
    await store.load()
    await store.write({ entries: entries(1, 3, 1), hardState: { term: 1, vote: 1, commit: 0 }, snapshot: undefined, sync: true })
    const [name = ''] = (await readdir(directory)).filter((file) => file.endsWith('.log'))
    const before = (await readFile(join(directory, name))).length
    await store.write({ entries: entries(3, 9, 2), hardState: { term: 2, vote: 1, commit: 1 }, snapshot: undefined, sync: true })
    await store.close()
    const whole = await readFile(join(directory, name))
    for (let length = before; length < whole.length; length += 37) {
      const torn = await temporaryDirectory()
      await cp(directory, torn, { recursive: true })
      await writeFile(join(torn, name), whole.subarray(0, length))
      const found = await load(torn)
      expect(found.hardState, `torn at ${length}`).toEqual({ term: 1, vote: 1, commit: 0 })
      expect(plain(found), `torn at ${length}`).toEqual(plain({ ...found, entries: entries(1, 3, 1) }))
    }
  })
})

it('one flipped bit in its file is either refused, or it is as it was after some earlier group: never a log with a hole', async () => {
  const directory = await temporaryDirectory()
  const store = await openLevelLog(directory)
  const states = new Set([JSON.stringify(plain(await store.load()))])
  await writeHistory(store, async () => {
    const copy = await temporaryDirectory()
    await cp(directory, copy, { recursive: true })
    states.add(JSON.stringify(plain(await load(copy))))
  })
  await store.close()
  const [name = ''] = (await readdir(directory)).filter((file) => file.endsWith('.log'))
  const whole = await readFile(join(directory, name))
  expect(whole.length).toBeGreaterThan(2 * 32_768)

  const outcomes = { refused: 0, earlier: 0 }
  for (let at = 11; at < whole.length; at += Math.floor(whole.length / 60)) {
    const copy = await temporaryDirectory()
    await cp(directory, copy, { recursive: true })
    const flipped = Buffer.from(whole)
    flipped[at] = (flipped[at] ?? 0) ^ 0x10
    await writeFile(join(copy, name), flipped)
    const found = await load(copy).catch((error: unknown) => error)
    if (found instanceof Error) {
      expect(found).toMatchObject({ code: 'failed', data: { kind: 'damaged' } })
      outcomes.refused += 1
    } else {
      expect(states.has(JSON.stringify(plain(found as StoredLog))), `byte ${at}`).toBe(true)
      outcomes.earlier += 1
    }
  }
  // LevelDB's blocks are 32 KiB: only damage in the last one may look like an earlier log.
  expect(outcomes.refused).toBeGreaterThan(30)
  expect(outcomes.earlier).toBeGreaterThan(5)
})

/** Groups of appended and overwritten entries, more than two blocks of LevelDB's log long. */
async function writeHistory(store: LogStore, after: () => Promise<void>): Promise<void> {
  const text = 'x'.repeat(1500)
  for (let group = 0; group < 24; group += 1) {
    const first = group === 0 ? 1 : 2 * group
    const term = 1 + Math.floor(group / 4)
    const batch = [entry(first, term, text), entry(first + 1, term, `${text}${group}`)]
    await store.write({ entries: batch, hardState: { term, vote: 1, commit: first - 1 }, snapshot: undefined, sync: true })
    await after()
  }
}

describe('a sync', () => {
  it('is asked for by a group that needs one, and by every compaction', async () => {
    const batch = vi.spyOn(Level.prototype, 'batch')
    onTestFinished(() => batch.mockRestore())
    const store = await openLevelLog(await temporaryDirectory())
    await store.load()
    await store.write({ entries: entries(1, 5, 1), hardState: { term: 1, vote: 1, commit: 0 }, snapshot: undefined, sync: true })
    await store.write({ entries: [], hardState: { term: 1, vote: 1, commit: 5 }, snapshot: undefined, sync: false })
    await store.compact(point(3, 1))
    await store.write({ entries: [], hardState: undefined, snapshot: point(9, 1), sync: true })
    const options: readonly unknown[] = batch.mock.calls.map((call: readonly unknown[]) => call[1])
    expect(options).toEqual([{ sync: true }, { sync: false }, { sync: true }, { sync: true }])
    await store.close()
  })
})

describe('a store that is in use or gone', () => {
  it('says that another has it open', async () => {
    const directory = await sampleLog()
    const first = await openLevelLog(directory)
    await expect(openLevelLog(directory)).rejects.toMatchObject({ code: 'failed', data: { kind: 'locked', directory } })
    await first.close()
  })

  it('says that its disk failed', async () => {
    const file = join(await temporaryDirectory(), 'a-file')
    await writeFile(file, '')
    await expect(openLevelLog(file)).rejects.toMatchObject({ code: 'failed', data: { kind: 'disk', directory: file } })
  })

  it('stays failed after a full disk, even when there is space again', async () => {
    const script = `
      import { spawnSync } from 'node:child_process'
      import { openLevelLog } from ${JSON.stringify(join(import.meta.dirname, '../../src/consensus/level-log.ts'))}
      const store = await openLevelLog(${JSON.stringify(await temporaryDirectory())})
      await store.load()
      const write = (index) => store.write({
        entries: [{ index, term: 1, kind: 'normal', data: new Uint8Array(4096) }], hardState: { term: 1, vote: 0, commit: 0 }, snapshot: undefined, sync: false,
      }).then(() => 'written', (error) => error.data.kind)
      let index = 1
      while (index < 1000 && (await write(index)) === 'written') index += 1
      const full = await write(index)
      spawnSync('prlimit', ['--pid', String(process.pid), '--fsize=unlimited'])
      console.log(JSON.stringify([index > 10 && index < 1000, full, await write(index)]))`
    // Files of at most 64 KiB stand for a full disk: the same error, on the same path.
    const limited = ['-c', 'ulimit -S -f 64 && exec "$0" --input-type=module -e "$1"', process.execPath, script]
    const { stdout } = await promisify(execFile)('bash', limited)
    expect(JSON.parse(stdout)).toEqual([true, 'disk', 'disk'])
  })

  it('fails a write after it was closed', async () => {
    const store = await openLevelLog(await temporaryDirectory())
    await store.load()
    await store.close()
    await expect(
      store.write({ entries: entries(1, 1, 1), hardState: { term: 1, vote: 0, commit: 0 }, snapshot: undefined, sync: true }),
    ).rejects.toMatchObject({ code: 'failed', data: { kind: 'disk' } })
  })
})
