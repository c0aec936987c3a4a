// Links when hosts and networks fail: how soon it is noticed, and that everything heals by itself.
import { beforeEach, describe, expect, it } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { FRAME } from '../../src/mesh/frame.ts'
import { FrameStream } from '../../src/mesh/frame-stream.ts'
import { encodeHello, type Hello, parseRefusal } from '../../src/mesh/hello.ts'
import { CALM } from '../fixture/fake-network.ts'
import { FakeWorld, isUp, MESH, type Node } from './fake-world.ts'

let world: FakeWorld
let a: Node
let b: Node
let c: Node

beforeEach(async () => {
  world = new FakeWorld()
  const [first, second, third] = await world.linked(3)
  a = present(first, 'host a')
  b = present(second, 'host b')
  c = present(third, 'host c')
})

describe('a peer', () => {
  it('whose process is killed is down within milliseconds', async () => {
    await world.clock.run(1000)
    const since = world.clock.now()
    world.kill(c)
    await world.clock.run(10)
    expect(world.downAfterMs(a, c, since)).toBeLessThan(5)
    expect(world.downAfterMs(b, c, since)).toBeLessThan(5)
  })

  it.each([0, 60, 120, 180, 240])('that loses its power %i ms into a beat is down after 1.4 to 1.7 s', async (phase) => {
    await world.clock.run(1000 + phase)
    const since = world.clock.now()
    world.powerOff(c)
    await world.clock.run(2000)
    for (const node of [a, b]) {
      expect(world.downAfterMs(node, c, since)).toBeGreaterThanOrEqual(1395)
      expect(world.downAfterMs(node, c, since)).toBeLessThanOrEqual(1705)
    }
  })

  it('that is frozen is down in that time, notices nothing of it, and is linked again when it runs on', async () => {
    await world.clock.run(1000)
    const since = world.clock.now()
    c.clock.pause()
    await world.clock.run(10_000)
    expect(world.downAfterMs(a, c, since)).toBeLessThanOrEqual(1705)
    expect(c.events.every(({ event }) => event.kind === 'up')).toBe(true)
    c.clock.resume()
    await world.allUp([a, b, c])
  })

  it('is not held for silent because this process stood still', async () => {
    const before = a.events.length
    // Shorter than the silence that its peers tolerate, longer than any deadline that ends in the meantime.
    for (let turn = 0; turn < 5; turn += 1) {
      a.clock.pause()
      await world.clock.run(1200)
      a.clock.resume()
      await world.clock.run(600)
    }
    expect(a.events).toHaveLength(before)
    expect([b, c].map((node) => isUp(node, a))).toEqual([true, true])
  })

  it('that only half the network reaches is down for that half alone, one-way cuts included', async () => {
    const since = world.clock.now()
    world.network.cut(a.id, b.id)
    await world.clock.run(2500)
    expect(world.downAfterMs(b, a, since)).toBeLessThanOrEqual(1705)
    expect(isUp(a, b)).toBe(false)
    expect([isUp(a, c), isUp(c, a), isUp(b, c), isUp(c, b)]).toEqual([true, true, true, true])
    world.network.heal()
    await world.allUp([a, b, c])
  })

  it('stays up through stalls of the network that are shorter than the limit', async () => {
    const before = [a, b, c].map(({ events }) => events.length)
    world.network.faults = { ...CALM, delayMs: [1, 60], stall: 0.2 }
    await world.clock.run(60_000)
    expect([a, b, c].map(({ events }) => events.length)).toEqual(before)
  })
})

describe('a connection under the id of a member', () => {
  it('that greets nobody is cut after five seconds', async () => {
    const connection = await world.bareConnection(a, '198.18.0.50:7400', c.id)
    await world.clock.run(4900)
    expect(connection.isOpen()).toBe(true)
    await world.clock.run(200)
    expect(connection.isOpen()).toBe(false)
    expect(isUp(a, c)).toBe(true)
  })

  it('gets no stream without a hello, and none with the hello of a process that was never linked', async () => {
    const connection = await world.bareConnection(a, '198.18.0.50:7400', c.id)
    const hello: Hello = { protocol: 1, meshId: MESH, generation: 1, generationId: null, bootId: 'unheard', version: '1', addresses: [] }
    for (const kind of ['rpc', 'mail', 'bytes'] as const) {
      const opened = await world.clock.settle(connection.openStream(kind, new AbortController().signal), 1000)
      const stream = new FrameStream(opened, { maxFrameBytes: 1000, maxWaitingBytes: 1000 })
      stream.send(FRAME.hello, encodeHello(hello), 'urgent')
      const answer = await world.clock.settle(stream.next(new AbortController().signal), 1000)
      expect([answer.type, parseRefusal(answer.payload).code]).toEqual([FRAME.refused, 'no-link'])
    }
    const silent = await world.clock.settle(connection.openStream('rpc', new AbortController().signal), 1000)
    const stream = new FrameStream(silent, { maxFrameBytes: 1000, maxWaitingBytes: 1000 })
    stream.send(FRAME.request, new Uint8Array(20), 'normal')
    await expect(world.clock.settle(stream.next(new AbortController().signal), 1000)).rejects.toMatchObject({ code: 'unreachable' })
  })
})

describe('a membership', () => {
  it('that loses a host cuts all of its connections, not only its link', async () => {
    const connection = await world.bareConnection(a, '198.18.0.50:7400', c.id)
    expect(connection.isOpen()).toBe(true)
    world.introduce([a], [a, b])
    await world.clock.run(10)
    expect(connection.isOpen()).toBe(false)
    expect(a.host.connections(c.id)).toEqual([])
  })
})

describe('own addresses', () => {
  it('that change are told, said in the next hello, and make a host dial at once', async () => {
    const { id } = c
    world.powerOff(c)
    await world.clock.run(60_000)
    world.forget(id)
    const back = await world.start(id, '198.18.0.3:7400')
    world.introduceBlind(back, [a, b])
    await world.clock.runUntil('the next wait has begun', () => !isUp(a, back), 10)
    const told: (readonly string[])[] = []
    a.mesh.onAddresses((addresses) => told.push(addresses))
    a.host.events?.onAddresses(['198.18.0.77:7400'])
    await world.clock.run(60)
    expect(isUp(a, back)).toBe(true)
    expect(told).toEqual([['198.18.0.77:7400']])
  })
})

describe('a link', () => {
  it('is not up before the other side accepted us as well, which its first beat shows', async () => {
    world.powerOff(c)
    await world.clock.run(3000)
    const connection = await world.bareConnection(a, '198.18.0.50:7400', c.id)
    const opened = await world.clock.settle(connection.openStream('link', new AbortController().signal), 1000)
    const stream = new FrameStream(opened, { maxFrameBytes: 1000, maxWaitingBytes: 1000 })
    const hello: Hello = { protocol: 1, meshId: MESH, generation: 1, generationId: null, bootId: 'fresh', version: '2.0', addresses: [] }
    stream.send(FRAME.hello, encodeHello(hello), 'urgent')
    const answer = await world.clock.settle(stream.next(new AbortController().signal), 1000)
    expect(answer.type).toBe(FRAME.welcome)
    await world.clock.run(1000)
    expect(isUp(a, c)).toBe(false)
    stream.send(FRAME.beat, new Uint8Array(0), 'urgent')
    await world.clock.run(10)
    expect(a.mesh.peers().find(({ host }) => host === c.id)).toMatchObject({ link: 'up', version: '2.0' })
  })
})

describe('a mesh heals by itself', () => {
  it('after a partition of minutes, within seconds', async () => {
    world.network.partition([a.id], [b.id, c.id])
    await world.clock.run(600_000)
    expect(a.mesh.peers().map(({ link }) => link)).toEqual(['down', 'down'])
    expect([isUp(b, c), isUp(c, b)]).toEqual([true, true])
    world.network.heal()
    await world.allUp([a, b, c], 7000)
  })

  it('when a host was away for half an hour, and redials it all the time', async () => {
    const { id } = c
    world.powerOff(c)
    await world.clock.run(1_800_000)
    world.forget(id)
    const back = await world.start(id, '198.18.0.3:7400')
    // It knows no address: the others have to dial.
    world.introduceBlind(back, [a, b])
    await world.clock.run(7000)
    expect([isUp(a, back), isUp(b, back)]).toEqual([true, true])
  })

  it('under a new address, which the others learn from the host itself', async () => {
    const { id } = c
    world.powerOff(c)
    await world.clock.run(5000)
    const moved = await world.start(id, '198.18.7.7:7400')
    world.introduce([moved], [a, b, moved])
    await world.allUp([a, b, moved], 3000)
    // The moved host cannot dial now: the others have to know where it is.
    const since = world.clock.now()
    world.kill(moved)
    await world.clock.run(100)
    expect(world.downAfterMs(a, moved, since)).toBeLessThan(100)
    world.forget(id)
    const again = await world.start(id, '198.18.7.7:7400')
    world.introduceBlind(again, [a, b])
    await world.clock.run(7000)
    expect([isUp(a, again), isUp(b, again)]).toEqual([true, true])
  })

  it('at once when the membership brings the new address', async () => {
    const { id } = c
    world.powerOff(c)
    await world.clock.run(60_000)
    world.forget(id)
    const moved = await world.start(id, '198.18.7.7:7400')
    world.introduceBlind(moved, [a, b])
    world.introduce([a, b], [a, b, moved])
    await world.clock.run(500)
    expect([isUp(a, moved), isUp(b, moved)]).toEqual([true, true])
  })

  it('when all hosts start at the same moment over a slow network, with one connection a pair in the end', async () => {
    const slow = new FakeWorld()
    slow.network.faults = { ...CALM, delayMs: [100, 140] }
    const nodes = await slow.linked(5)
    await slow.clock.run(8000)
    expect(nodes.map(({ host }) => host.connections().length)).toEqual([4, 4, 4, 4, 4])
    for (const node of nodes) {
      for (const other of nodes) {
        if (node === other) continue
        const [link] = node.host.connections(other.id)
        expect(link?.direction).toBe(node.id < other.id ? 'out' : 'in')
      }
    }
    expect(nodes.flatMap(({ events }) => events.filter(({ event }) => event.kind === 'down'))).toEqual([])
  })
})

describe('a host that restarts', () => {
  it('before its silence was noticed goes down, then up with its new boot id', async () => {
    const { id } = c
    world.powerOff(c)
    await world.clock.run(200)
    const fresh = await world.start(id, '198.18.0.3:7400')
    world.introduce([fresh], [a, b, fresh])
    await world.allUp([a, b, fresh], 4000)
    await world.clock.run(3000)
    const ofC = a.events.filter(({ event }) => event.host === id).map(({ event }) => (event.kind === 'up' ? event.bootId : 'down'))
    expect(ofC).toEqual(['boot-3', 'down', 'boot-4'])
    expect([...a.alarms, ...b.alarms]).toEqual([])
  })

  it('finds its peers where it last saw them, even when the membership is out of date', async () => {
    const { id } = c
    world.kill(c)
    const fresh = await world.start(id, '198.18.0.30:7400')
    fresh.mesh.setMembers({
      meshId: MESH,
      generation: 1,
      members: [a, b].map((node) => ({ host: node.id, addresses: ['198.18.9.9:1'] })),
    })
    // The others may not dial first: they do not know it under this address.
    await world.clock.run(1000)
    expect(isUp(fresh, a)).toBe(true)
  })
})

describe('a copied identity', () => {
  it('is refused with its original as long as both live, and one is let in 15 s after the other is gone', async () => {
    const clone = await world.start(c.id, '198.18.0.66:7400')
    world.introduce([clone], [a, b, c])
    await world.clock.run(60_000)
    expect([a, b].map((node) => isUp(node, c))).toEqual([false, false])
    for (const { alarms } of [a, b, c, clone]) expect(alarms.some(({ kind }) => kind === 'cloned-identity')).toBe(true)
    expect(isUp(a, b)).toBe(true)
    const since = world.clock.now()
    world.powerOff(clone)
    await world.allUp([a, b, c], 30_000)
    expect(world.clock.now() - since).toBeGreaterThan(8000)
  })
})

describe('requests and frames over a bad network', () => {
  it('every request is answered or fails, none hangs, none is answered twice', async () => {
    b.mesh.handle('echo', async (body) => body)
    world.network.faults = { ...CALM, delayMs: [1, 80], stall: 0.1 }
    const outcomes: unknown[] = []
    for (let number = 0; number < 100; number += 1) {
      if (number === 30) world.network.cut(a.id, b.id)
      if (number === 60) world.network.heal()
      a.mesh.request(b.id, 'echo', number, { deadlineMs: 1000 }).then(
        (answer) => outcomes.push(answer),
        (error: unknown) => outcomes.push(error),
      )
      await world.clock.run(100)
    }
    await world.clock.run(2000)
    expect(outcomes).toHaveLength(100)
    const answers = outcomes.filter((outcome) => typeof outcome === 'number')
    expect(new Set(answers).size).toBe(answers.length)
    expect(answers.length).toBeGreaterThan(50)
    expect(outcomes.filter((outcome) => typeof outcome !== 'number')).toEqual(
      expect.arrayContaining([expect.objectContaining({ code: 'timeout' }), expect.objectContaining({ code: 'unreachable' })]),
    )
  })

  it('frames are lost, doubled and late only where the world was told to', async () => {
    world.network.faults = { ...CALM, frames: { loss: 0.2, duplicate: 0.2, reorder: 0.2 } }
    const got: number[] = []
    b.mesh.onFrame((_from, frame) => got.push(present(frame[0], 'its number')))
    for (let number = 0; number < 200; number += 1) {
      a.mesh.send(b.id, Uint8Array.of(number), 'bulk')
      await world.clock.run(1)
    }
    await world.clock.run(100)
    const distinct = new Set(got)
    expect(distinct.size).toBeGreaterThan(100)
    expect(distinct.size).toBeLessThan(200)
    expect(got.length).toBeGreaterThan(distinct.size)
    expect(got).not.toEqual(got.toSorted((one, other) => one - other))
  })
})
