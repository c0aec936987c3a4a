// The feed tells every change once, in order, and says so when it cannot.
import { describe, expect, it } from 'vitest'
import { changedRows, changeFeed } from '../../src/api/change-feed.ts'
import { type ChangeMessage } from '../../src/api/types.ts'
import { type StreamItem } from '../../src/api/stream.ts'
import { present } from '../../src/base/assert.ts'
import { fakeMesh } from '../fixture/fake-cluster.ts'
import { aMesh, aMeshWithRunningVm, datastoreId, hostId, jobId, someVm, vmId } from '../fixture/inventory.ts'
import { manualClock } from '../fixture/manual-clock.ts'

const LIVE = new Map(['h1', 'h2', 'h3'].map((name) => [hostId(name), 'up' as const]))

function setUp(start = aMesh({ hosts: 3 }).now) {
  const clock = manualClock()
  const mesh = fakeMesh(start, { leader: hostId('h1') })
  const gone = new AbortController()
  const source = { cluster: mesh.of(hostId('h1')), clock, liveness: () => LIVE }
  const open = (since?: number) => changeFeed(source, since, gone.signal)
  return { clock, mesh, gone, open, start }
}

async function next(feed: AsyncGenerator<StreamItem<ChangeMessage> | null, void>): Promise<ChangeMessage> {
  const item = await feed.next()
  if (item.done === true || item.value === null) throw new Error('the feed has no message')
  expect(item.value.id).toBe(item.value.data.index)
  return item.value.data
}

const add = (name: string) => ({ kind: 'datastore-add', id: datastoreId(name), name, path: `/srv/${name}` }) as const

describe('the change feed', () => {
  it('opens at once, with nothing to read anew when it starts from now', async () => {
    const { open, start } = setUp()
    expect(await next(open())).toEqual({ index: start.index, reset: false, rows: [], events: [] })
    expect(await next(open(start.index))).toEqual({ index: start.index, reset: false, rows: [], events: [] })
  })

  it('tells each change with its index, rows and events', async () => {
    const { mesh, open, start } = setUp()
    const feed = open()
    await next(feed)
    mesh.commit(add('images'))
    mesh.commit(someVm('web'))
    const first = await next(feed)
    expect(first).toMatchObject({
      index: start.index + 1,
      reset: false,
      rows: [{ kind: 'datastore', id: 'images', name: 'images', state: 'present' }],
      events: [{ type: 'datastore.added', index: start.index + 1 }],
    })
    expect(await next(feed)).toMatchObject({
      index: start.index + 2,
      rows: [{ kind: 'vm', id: 'web', name: 'web', state: 'off' }],
      events: [{ type: 'vm.created' }],
    })
  })

  it('misses nothing that happens between its opening and the first look of the client', async () => {
    const { mesh, open, start } = setUp()
    const feed = open()
    await next(feed)
    for (let number = 0; number < 100; number += 1) mesh.commit(add(`d${number}`))
    for (let number = 1; number <= 100; number += 1) expect((await next(feed)).index).toBe(start.index + number)
  })

  it('that starts in the past opens with the events since, and asks to read the rows anew', async () => {
    const { open, start } = setUp()
    const message = await next(open(start.index - 2))
    expect(message).toMatchObject({ index: start.index, reset: true, rows: [] })
    expect(message.events.map(({ index }) => index)).toEqual([start.index - 1, start.index])
  })

  it('that starts in the future stays silent until then', async () => {
    const { mesh, open, start } = setUp()
    const feed = open(start.index + 1)
    await next(feed)
    mesh.commit(add('images'))
    mesh.commit(add('backup'))
    expect((await next(feed)).index).toBe(start.index + 2)
  })

  it('drops what a slow client did not take, and tells it to read anew', async () => {
    const { mesh, open, start } = setUp()
    const feed = open()
    await next(feed)
    for (let number = 0; number < 501; number += 1)
      mesh.commit({ kind: 'config-set', key: 'vm.shutdown-timeout-s', value: 1 + (number % 60) })
    expect(await next(feed)).toEqual({ index: start.index + 501, reset: true, rows: [], events: [] })
    mesh.commit(add('images'))
    expect(await next(feed)).toMatchObject({ index: start.index + 502, reset: false })
  })

  it('beats every ten seconds while nothing happens', async () => {
    const { clock, open } = setUp()
    const feed = open()
    await next(feed)
    const beat = feed.next()
    await clock.run(9_999)
    expect(await Promise.race([beat, Promise.resolve('pending')])).toBe('pending')
    await clock.run(1)
    expect(await beat).toEqual({ done: false, value: null })
  })

  it('ends with its client, and listens no longer', async () => {
    const { clock, mesh, gone, open } = setUp()
    let listeners = 0
    const cluster = mesh.of(hostId('h1'))
    const counted = {
      ...cluster,
      onChange: (listener: Parameters<typeof cluster.onChange>[0]) => {
        listeners += 1
        const off = cluster.onChange(listener)
        return () => {
          listeners -= 1
          off()
        }
      },
    }
    const feed = changeFeed({ cluster: counted, clock, liveness: () => LIVE }, undefined, gone.signal)
    await next(feed)
    expect(listeners).toBe(1)
    const rest = feed.next()
    gone.abort()
    expect(await rest).toEqual({ done: true, value: undefined })
    expect(listeners).toBe(0)
    expect((await open().next()).done).toBe(false)
  })

  it('is a reset where one entry changed more rows than anybody follows', async () => {
    const { mesh, open, start } = setUp()
    const cluster = mesh.of(hostId('h1'))
    const many = new Map(
      Array.from({ length: 501 }, (_, at) => [
        datastoreId(`d${at}`),
        { id: datastoreId(`d${at}`), name: `d${at}`, kind: 'dir' as const, path: '/x', addedAt: 0 },
      ]),
    )
    const listeners: Parameters<typeof cluster.onChange>[0][] = []
    const feed = changeFeed(
      {
        cluster: { ...cluster, onChange: (listener) => (listeners.push(listener), () => undefined) },
        clock: manualClock(),
        liveness: () => LIVE,
      },
      undefined,
      new AbortController().signal,
    )
    await next(feed)
    const after = { ...start, index: start.index + 1, datastores: many }
    present(listeners[0], 'listener')({ index: after.index, before: start, after })
    expect(await next(feed)).toEqual({ index: after.index, reset: true, rows: [], events: [] })
    expect((await open().next()).done).toBe(false)
  })
})

describe('changed rows', () => {
  it('name every kind of object with the state that people see', () => {
    const before = aMesh({ hosts: 3 })
    const log = aMeshWithRunningVm({ datastores: ['images'] })
    const states = changedRows(before.now, log.now, LIVE).map(({ kind, name, state }) => `${kind} ${name} ${state}`)
    expect(states).toEqual(expect.arrayContaining(['vm web running', 'datastore images present', 'job web done']))
  })

  it('tell of what went as removed, with the name that it had', () => {
    const log = aMesh()
    log.do(someVm('web'))
    const before = log.now
    log.do({ kind: 'vm-delete', vm: vmId('web'), keepDisks: false, host: hostId('h1'), job: jobId('delete') })
    expect(changedRows(before, log.now, LIVE)).toEqual([
      { kind: 'vm', id: 'web', name: 'web', state: 'removed' },
      { kind: 'job', id: 'delete', name: 'web', state: 'done' },
    ])
  })

  it('are none between a state and itself', () => {
    const { now } = aMeshWithRunningVm()
    expect(changedRows(now, { ...now }, LIVE)).toEqual([])
  })
})
