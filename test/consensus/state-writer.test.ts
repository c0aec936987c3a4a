// The state store behind the log: one write at a time, nothing lost, nothing out of order.
import { expect, it } from 'vitest'
import { StateWriter } from '../../src/consensus/state-writer.ts'
import { type SnapshotMeta, type StateStore } from '../../src/consensus/types.ts'
import { bytes, stateMeta, texts } from '../contract/state-store.ts'
import { type ManualClock, manualClock } from '../fixture/manual-clock.ts'
import { type DiskWrite } from '../fixture/memory-disk.ts'
import { memoryStateDisk, openMemoryState, type StateDisk } from '../fixture/memory-state.ts'

interface World {
  readonly clock: ManualClock
  readonly disk: StateDisk
  readonly store: StateStore
  readonly writer: StateWriter
  readonly writes: DiskWrite[]
  readonly errors: unknown[]
  failNext: boolean
}

/** A writer on a disk whose every write takes 10 ms. It lets changes wait for 50 ms. */
async function world(): Promise<World> {
  const clock = manualClock()
  const writes: DiskWrite[] = []
  const errors: unknown[] = []
  let underWay = 0
  const disk = memoryStateDisk(async (write) => {
    writes.push(write)
    underWay += 1
    expect(underWay).toBe(1)
    await new Promise<void>((resolve) => {
      clock.after(10, resolve)
    })
    underWay -= 1
    if (found.failNext) throw new Error('no space left')
  })
  const store = openMemoryState(disk)
  const { meta } = await store.load(async () => {})
  const found: World = {
    clock,
    disk,
    store,
    writes,
    errors,
    failNext: false,
    writer: new StateWriter({ clock, store, meta, onError: (error) => errors.push(error) }),
  }
  return found
}

function change(key: string, value: string): { key: string; value: Uint8Array } {
  return { key, value: bytes(value) }
}

it('writes what comes within 50 ms as one batch with the newest meta, and what comes meanwhile as the next', async () => {
  const { clock, disk, writer, writes } = await world()
  writer.add(stateMeta(1), [change('a', '1'), change('b', '1')])
  await clock.run(49)
  for (let index = 2; index <= 9; index += 1) writer.add(stateMeta(index), [change('a', `${index}`), change(`k${index}`, 'x')])
  expect(writes).toHaveLength(0)
  await clock.run(2)
  expect(writes).toEqual([{ what: 'write', sync: false }])
  writer.add(stateMeta(10), [{ key: 'k9', value: undefined }])
  await clock.run(9)
  expect(disk.current.meta.index).toBe(9)
  await clock.run(49)
  expect(writes).toHaveLength(1)
  await clock.run(20)
  expect(writes).toHaveLength(2)
  expect(disk.current.meta.index).toBe(10)
  expect(texts(disk.current)).toEqual({ a: '9', b: '1', k2: 'x', k3: 'x', k4: 'x', k5: 'x', k6: 'x', k7: 'x', k8: 'x' })
})

it('writes at once what is left when it is asked to, until nothing is left', async () => {
  const { clock, disk, writer, writes } = await world()
  await clock.settle(writer.flush(), 1)
  writer.add(stateMeta(1), [change('a', '1')])
  const flushed = writer.flush()
  await clock.run(5)
  writer.add(stateMeta(2), [change('a', '2')])
  await clock.settle(flushed, 15)
  expect(writes).toHaveLength(2)
  expect(disk.current.meta.index).toBe(2)
  await clock.run(200)
  expect(writes).toHaveLength(2)
})

it('goes on after it was idle', async () => {
  const { clock, disk, writer } = await world()
  for (let index = 1; index <= 3; index += 1) {
    writer.add(stateMeta(index), [])
    await clock.run(60)
    expect(disk.current.meta.index).toBe(index)
  }
})

it('goes on with what is added in the very moment a write ends', async () => {
  const { clock, disk, writer } = await world()
  writer.add(stateMeta(1), [])
  void writer.durable().then(() => writer.add(stateMeta(2), []))
  await clock.run(100)
  expect(disk.current.meta.index).toBe(2)
})

it('makes durable all that was added before, though writes are under way', async () => {
  const { clock, disk, writer, writes } = await world()
  writer.add(stateMeta(1), [change('a', '1')])
  await clock.run(50)
  writer.add(stateMeta(2), [change('b', '2')])
  const done: SnapshotMeta = await clock.settle(writer.durable(), 100)
  expect(done).toEqual(stateMeta(2))
  expect(writes.map(({ sync }) => sync)).toEqual([false, true])
  disk.crash()
  expect(texts(disk.current)).toEqual({ a: '1', b: '2' })
})

it('makes durable what is being written when it is asked to', async () => {
  const { clock, disk, writer } = await world()
  writer.add(stateMeta(1), [change('a', '1')])
  await clock.run(55)
  await clock.settle(writer.durable(), 30)
  disk.crash()
  expect(texts(disk.current)).toEqual({ a: '1' })
})

it('makes durable what was written long ago', async () => {
  const { clock, disk, writer } = await world()
  writer.add(stateMeta(1), [change('a', '1')])
  await clock.run(100)
  expect(disk.unsyncedGroups).toBe(1)
  await clock.settle(writer.durable(), 100)
  disk.crash()
  expect(texts(disk.current)).toEqual({ a: '1' })
})

it('replaces the state only after what was under way', async () => {
  const { clock, disk, store, writer, writes } = await world()
  writer.add(stateMeta(1), [change('a', '1')])
  await clock.run(50)
  writer.add(stateMeta(2), [change('b', '1')])
  await clock.settle(
    writer.install(stateMeta(30), { install: () => store.replace({ meta: stateMeta(30), values: new Map([['c', bytes('3')]]) }) }),
    100,
  )
  expect(writes.map(({ what }) => what)).toEqual(['write', 'write', 'replace'])
  expect(disk.current.meta.index).toBe(30)
  expect(texts(disk.current)).toEqual({ c: '3' })
  expect(await clock.settle(writer.durable(), 100)).toEqual(stateMeta(30))
})

it('reports the first error once, and writes nothing after it', async () => {
  const found = await world()
  const { clock, writer, writes, errors } = found
  writer.add(stateMeta(1), [])
  await clock.run(50)
  found.failNext = true
  writer.add(stateMeta(2), [])
  const durable = writer.durable()
  await expect(clock.settle(durable, 100)).rejects.toMatchObject({ code: 'failed' })
  found.failNext = false
  writer.add(stateMeta(3), [])
  await expect(clock.settle(writer.durable(), 100)).rejects.toMatchObject({ code: 'failed' })
  await expect(
    clock.settle(writer.install(stateMeta(9), { install: () => Promise.reject(new Error('never')) }), 100),
  ).rejects.toMatchObject({ code: 'failed' })
  await clock.settle(writer.flush(), 100)
  expect(errors).toHaveLength(1)
  expect(writes).toHaveLength(1)
})
