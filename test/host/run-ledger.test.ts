// The run ledger on disk: what it noted is there after any crash, what it could not note did not happen.
import { appendFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type VmId } from '../../src/base/ids.ts'
import { parseLedger, RunLedger } from '../../src/host/run-ledger.ts'
import { type Run } from '../../src/vm/driver.ts'
import { runKey } from '../../src/vm/run-rules.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

const WALL = 1_700_000_000_000

function run(counter: number, vm = 'web'): Run {
  return { vm: vm as VmId, epoch: { generation: 1, counter } }
}

const EXIT = { intent: 'crash', exitCode: 1, signal: null, words: 'bye' } as const

async function newPath(): Promise<string> {
  return join(await temporaryDirectory(), 'runs.ledger')
}

async function open(path: string, rewriteAtBytes?: number): Promise<RunLedger> {
  const ledger = await RunLedger.open({ path, wall: () => WALL + 0.5, ...(rewriteAtBytes === undefined ? {} : { rewriteAtBytes }) })
  onTestFinished(() => ledger.close())
  return ledger
}

async function lines(path: string): Promise<readonly string[]> {
  return (await readFile(path, 'utf8')).trimEnd().split('\n')
}

describe('a ledger', () => {
  it('begins with its version, and is closed to others', async () => {
    const path = await newPath()
    await open(path)
    expect(await readFile(path, 'utf8')).toBe('{"kind":"ledger","version":1}\n')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('has a record on disk by the time that its note is done', async () => {
    const path = await newPath()
    const ledger = await open(path)
    await ledger.start(run(1), '/runs/1', 'boot-1')
    expect(JSON.parse((await lines(path))[1] ?? '')).toEqual({ kind: 'start', ...run(1), at: WALL, directory: '/runs/1', bootId: 'boot-1' })
    await ledger.spawned(run(1), 42, 4711)
    await ledger.stop(run(1), 'off', '')
    await ledger.gone(run(1), EXIT)
    await ledger.forget(run(1))
    const kinds = (await lines(path)).map((line) => /"kind":"([a-z]+)"/.exec(line)?.[1])
    expect(kinds).toEqual(['ledger', 'start', 'spawned', 'stop', 'gone', 'forget'])
  })

  it('opened again knows what it knew, at every point of a run', async () => {
    const path = await newPath()
    const steps: readonly ((ledger: RunLedger) => Promise<void>)[] = [
      (ledger) => ledger.start(run(1), '/runs/1', 'boot-1'),
      (ledger) => ledger.spawned(run(1), 42, 4711),
      (ledger) => ledger.stop(run(1), 'off', 'asked'),
      (ledger) => ledger.gone(run(1), { ...EXIT, signal: 'SIGKILL', exitCode: null }),
      (ledger) => ledger.reject(run(2), 'no such firmware'),
      (ledger) => ledger.forget(run(1)),
    ]
    for (const step of steps) {
      const ledger = await open(path)
      await step(ledger)
      const { state } = ledger
      await ledger.close()
      expect((await open(path)).state).toEqual(state)
    }
  })

  it('refuses what the rules refuse, also when two ask at once', async () => {
    const ledger = await open(await newPath())
    const both = await Promise.allSettled([1, 2].map(() => ledger.start(run(1), '/runs/1', 'boot-1')))
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    await expect(ledger.start(run(1), '/runs/1', 'boot-1')).rejects.toMatchObject({ code: 'conflict', reasons: [{ code: 'epoch-used' }] })
    await expect(ledger.reject(run(1), 'no')).rejects.toMatchObject({ code: 'conflict' })
    await expect(ledger.forget(run(1))).rejects.toMatchObject({ code: 'conflict' })
    expect(ledger.state.runs.get(runKey(run(1)))).toMatchObject({ kind: 'live', noted: null })
  })

  it('writes nothing for a stop that changes nothing', async () => {
    const path = await newPath()
    const ledger = await open(path)
    await ledger.start(run(5), '/runs/5', 'boot-1')
    await ledger.gone(run(5), EXIT)
    await ledger.forget(run(5))
    const before = await lines(path)
    await ledger.stop(run(5), 'off', '')
    await ledger.stop(run(4), 'off', '')
    await ledger.forget(run(4))
    expect(await lines(path)).toEqual(before)
  })
})

describe('after a crash', () => {
  it('a torn last line never happened, wherever it was torn, in a character too', async () => {
    const path = await newPath()
    const ledger = await open(path)
    await ledger.start(run(1), '/runs/1', 'boot-1')
    const whole = (await stat(path)).size
    await ledger.stop(run(1), 'off', 'aborté')
    const longer = (await stat(path)).size
    const text = await readFile(path)
    for (const size of [whole, whole + 1, whole + 40, longer - 4, longer - 1]) {
      await writeFile(path, text.subarray(0, size))
      const again = await open(path)
      expect(again.state.runs.get(runKey(run(1)))).toMatchObject({ kind: 'live', noted: null })
      await again.close()
    }
  })

  it('goes on behind a torn line without joining the next one to it', async () => {
    const path = await newPath()
    await (await open(path)).start(run(1), '/runs/1', 'boot-1')
    await appendFile(path, '{"kind":"st')
    await (await open(path)).stop(run(1), 'off', '')
    expect((await open(path)).state.runs.get(runKey(run(1)))).toMatchObject({ noted: { intent: 'off' } })
  })

  it.each([
    ['a line that is no JSON', '{"kind":"start"\n', /line 2/],
    [
      'a kind that nobody knows',
      '{"kind":"fence","vm":"web","epoch":{"generation":1,"counter":1},"at":1}\n',
      /line 2.*kind must be one of/,
    ],
    ['an epoch that is none', '{"kind":"forget","vm":"web","epoch":{"generation":1},"at":1}\n', /line 2.*counter/],
    ['an id that leads elsewhere', '{"kind":"forget","vm":"../x","epoch":{"generation":1,"counter":1},"at":1}\n', /line 2.*id of a VM/],
  ])('%s is damage: the ledger is not opened', async (_, line, message) => {
    const path = await newPath()
    await open(path)
    await appendFile(path, line)
    const before = await readFile(path, 'utf8')
    await expect(open(path)).rejects.toMatchObject({ code: 'failed', message: expect.stringMatching(message) })
    expect(await readFile(path, 'utf8')).toBe(before)
  })

  it('a ledger of another version is not opened', () => {
    expect(() => parseLedger('{"kind":"ledger","version":2}\n', 'runs.ledger')).toThrow(/line 1.*version":1/)
    expect(parseLedger('', 'runs.ledger')).toEqual([])
  })
})

describe('growth', () => {
  it('ends in a rewrite that keeps every live and ended run, and the refusals of those forgotten', async () => {
    const path = await newPath()
    const ledger = await open(path, 2_000)
    await ledger.start(run(1, 'live'), '/runs/live', 'boot-1')
    for (let counter = 1; counter <= 50; counter += 1) {
      await ledger.start(run(counter), '/runs/x', 'boot-1')
      await ledger.gone(run(counter), EXIT)
      if (counter < 50) await ledger.forget(run(counter))
      expect((await stat(path)).size).toBeLessThan(3_000)
    }
    const { state } = ledger
    await ledger.close()
    const again = await open(path)
    expect(again.state).toEqual(state)
    expect([...again.state.runs.keys()].toSorted()).toEqual(['live-1.1', 'web-1.50'])
    await expect(again.start(run(49), '/runs/x', 'boot-1')).rejects.toMatchObject({ code: 'conflict' })
    await again.start(run(51), '/runs/x', 'boot-1')
  })
})

describe('a disk that refuses', () => {
  it('leaves a start undone, and the ledger usable once the disk is well again', async () => {
    const path = await newPath()
    // Every record rewrites the file, and a folder in the way of that fails it.
    const ledger = await open(path, 1)
    const obstacle = `${path}.new`
    await mkdir(join(obstacle, 'in-the-way'), { recursive: true })
    const refused = { code: 'failed', message: expect.stringContaining(path) }
    await expect(ledger.start(run(1), '/runs/1', 'boot-1')).rejects.toMatchObject(refused)
    expect(ledger.state.runs.size).toBe(0)
    await rm(obstacle, { recursive: true })
    await ledger.start(run(1), '/runs/1', 'boot-1')
    expect((await open(path)).state).toEqual(ledger.state)
  })

  it('has its next record written with the whole file, because nobody knows what the failed one left', async () => {
    const path = await newPath()
    const ledger = await open(path)
    await ledger.start(run(1, 'db'), '/runs/1', 'boot-1')
    // A file that takes nothing any more.
    await ledger.close()
    await expect(ledger.start(run(1), '/runs/1', 'boot-1')).rejects.toMatchObject({ code: 'failed' })
    await appendFile(path, '{"half of the failed rec')
    await ledger.start(run(2), '/runs/2', 'boot-1')
    await ledger.stop(run(2), 'off', '')
    expect((await open(path)).state).toEqual(ledger.state)
    expect([...ledger.state.runs.keys()]).toEqual(['db-1.1', 'web-1.2'])
  })

  it('does not make a process that is gone live again', async () => {
    const path = await newPath()
    const ledger = await open(path, 1)
    await ledger.start(run(1), '/runs/1', 'boot-1')
    await mkdir(join(`${path}.new`, 'in-the-way'), { recursive: true })
    await expect(ledger.gone(run(1), EXIT)).rejects.toMatchObject({ code: 'failed' })
    expect(ledger.state.runs.get(runKey(run(1)))).toMatchObject({ kind: 'ended', intent: 'crash' })
    await rm(`${path}.new`, { recursive: true })
    await ledger.start(run(2), '/runs/2', 'boot-1')
    expect((await open(path)).state).toEqual(ledger.state)
  })
})
