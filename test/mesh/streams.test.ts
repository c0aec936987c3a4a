// The second connection and the requests beside it: made when needed, gone when idle, never in the way.
import { beforeEach, describe, expect, it } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { type ByteStream } from '../../src/mesh/mesh.ts'
import { CALM } from '../fixture/fake-network.ts'
import { FakeWorld, isUp, MESH, type Node } from './fake-world.ts'

const SOON = { deadlineMs: 5000 }

let world: FakeWorld
let a: Node
let b: Node

beforeEach(async () => {
  world = new FakeWorld()
  const [first, second] = await world.linked(2)
  a = present(first, 'host a')
  b = present(second, 'host b')
})

const connections = (): number => a.host.connections(b.id).length

describe('the second connection', () => {
  beforeEach(() => b.mesh.handleStream('console', async () => {}))

  it('is made for the first byte stream or long frame, shared by all, and closed half a minute after the last', async () => {
    expect(connections()).toBe(1)
    const streams: ByteStream[] = []
    for (let count = 0; count < 3; count += 1) streams.push(await world.clock.settle(a.mesh.openStream(b.id, 'console', null, SOON), 5000))
    expect(connections()).toBe(2)
    for (const stream of streams) stream.close()
    await world.clock.run(29_000)
    expect(connections()).toBe(2)
    await world.clock.run(2000)
    expect(connections()).toBe(1)
    expect([isUp(a, b), isUp(b, a)]).toEqual([true, true])
  })

  it('stays as long as a stream is open on it', async () => {
    await world.clock.settle(a.mesh.openStream(b.id, 'console', null, SOON), 5000)
    await world.clock.run(120_000)
    expect(connections()).toBe(2)
  })

  it('takes frames of more than a quarter of a megabyte, and only those that may wait', async () => {
    const limit = 256 * 1024
    a.mesh.send(b.id, new Uint8Array(limit), 'bulk')
    a.mesh.send(b.id, new Uint8Array(limit + 1), 'urgent')
    await world.clock.run(1000)
    expect(connections()).toBe(1)
    a.mesh.send(b.id, new Uint8Array(limit + 1), 'bulk')
    await world.clock.run(1000)
    expect(connections()).toBe(2)
  })

  it('brings long frames in order, those from before it was open too', async () => {
    const got: number[] = []
    b.mesh.onFrame((_from, frame) => got.push(present(frame[0], 'its number')))
    for (let number = 0; number < 5; number += 1) expect(a.mesh.send(b.id, new Uint8Array(300_000).fill(number), 'bulk')).toBe(true)
    await world.clock.run(1000)
    expect(a.mesh.send(b.id, new Uint8Array(300_000).fill(5), 'bulk')).toBe(true)
    await world.clock.run(1000)
    expect(got).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('is closed after long frames too, and made again for the next one, also when it broke in between', async () => {
    const got: number[] = []
    b.mesh.onFrame((_from, frame) => got.push(present(frame[0], 'its number')))
    a.mesh.send(b.id, new Uint8Array(300_000).fill(1), 'bulk')
    await world.clock.run(1000)
    expect(connections()).toBe(2)
    await world.clock.run(36_000)
    expect(connections()).toBe(1)
    a.mesh.send(b.id, new Uint8Array(300_000).fill(2), 'bulk')
    await world.clock.run(1000)
    world.network.partition([a.id], [b.id])
    await world.clock.run(3000)
    world.network.heal()
    await world.allUp([a, b])
    a.mesh.send(b.id, new Uint8Array(300_000).fill(3), 'bulk')
    await world.clock.run(1000)
    expect(got).toEqual([1, 2, 3])
  })

  it('falls back to the link when the peer can be dialled nowhere', async () => {
    const shy = await world.startMachine({
      id: (await world.stranger('198.18.0.8:1')).id,
      addresses: ['198.18.0.9:7400'],
      behindFirewall: true,
    })
    shy.mesh.handleStream('console', async () => {})
    for (const node of [a, shy])
      node.mesh.setMembers({
        meshId: MESH,
        generation: 1,
        members: [a, shy].map(({ id, host }) => ({ host: id, addresses: host.machine.addresses })),
      })
    await world.clock.runUntil('it is linked', () => isUp(a, shy), 10_000)
    const opened = await world.clock.settle(a.mesh.openStream(shy.id, 'console', null, { deadlineMs: 10_000 }), 10_000)
    expect(opened.host).toBe(shy.id)
    expect(a.host.connections(shy.id)).toHaveLength(1)
  })

  it('goes down with the link, and its streams with it', async () => {
    const causes: (string | null)[] = []
    const stream = await world.clock.settle(a.mesh.openStream(b.id, 'console', null, SOON), 5000)
    stream.onClose((cause) => causes.push(cause))
    world.powerOff(b)
    await world.clock.run(2000)
    expect(causes).toEqual([expect.stringContaining('nothing heard')])
    expect(connections()).toBe(0)
    await expect(world.clock.settle(a.mesh.openStream(b.id, 'console', null, SOON), 5000)).rejects.toMatchObject({ code: 'unreachable' })
  })

  it('brings nothing of the answerer before it accepted', async () => {
    b.mesh.handleStream('slow', async (stream) => {
      void stream.write(Buffer.from('first'))
      await new Promise<void>((resolve) => world.clock.after(500, resolve))
    })
    const stream = await world.clock.settle(a.mesh.openStream(b.id, 'slow', null, SOON), 5000)
    const got: string[] = []
    stream.onData((data) => got.push(Buffer.from(data).toString()))
    await world.clock.run(100)
    expect(got).toEqual(['first'])
  })

  it('is told when its opener gave up', async () => {
    const causes: (string | null)[] = []
    b.mesh.handleStream('deaf', async (stream) => {
      stream.onClose((cause) => causes.push(cause))
      await new Promise(() => {})
    })
    await expect(world.clock.settle(a.mesh.openStream(b.id, 'deaf', null, { deadlineMs: 300 }), 5000)).rejects.toMatchObject({
      code: 'timeout',
    })
    await world.clock.run(100)
    expect(causes).toEqual([expect.any(String)])
  })

  it('that cannot be opened in time is a timeout, and is tried anew afterwards', async () => {
    world.network.faults = { ...CALM, delayMs: [400, 400] }
    await expect(world.clock.settle(a.mesh.openStream(b.id, 'console', null, { deadlineMs: 300 }), 5000)).rejects.toMatchObject({
      code: 'timeout',
    })
    world.network.faults = CALM
    await world.clock.settle(a.mesh.openStream(b.id, 'console', null, SOON), 5000)
  })
})

describe('a link that two hosts dialled at once', () => {
  it('loses no request and no frame when one of its connections goes', async () => {
    const slow = new FakeWorld()
    slow.network.faults = { ...CALM, delayMs: [90, 130] }
    const nodes = await slow.started(2)
    const [one, other] = [present(nodes[0], 'one'), present(nodes[1], 'other')]
    for (const { mesh } of nodes) mesh.handle('echo', (body) => new Promise((resolve) => slow.clock.after(2500, () => resolve(body))))
    const got: number[] = []
    other.mesh.onFrame((_from, frame) => got.push(present(frame[0], 'its number')))
    slow.introduce(nodes)
    const answers: Promise<unknown>[] = []
    let sent = 0
    await slow.clock.runUntil('both are linked', () => isUp(one, other) && isUp(other, one), 10_000)
    for (let turn = 0; turn < 60; turn += 1) {
      answers.push(
        one.mesh.request(other.id, 'echo', turn, { deadlineMs: 20_000 }),
        other.mesh.request(one.id, 'echo', turn, { deadlineMs: 20_000 }),
      )
      if (one.mesh.send(other.id, Uint8Array.of(turn), 'bulk')) sent += 1
      await slow.clock.run(100)
    }
    await slow.clock.run(5000)
    expect(await slow.clock.settle(Promise.all(answers), 20_000)).toHaveLength(120)
    expect(got).toHaveLength(sent)
    expect(nodes.map(({ host }) => host.connections().length)).toEqual([1, 1])
  })
})

describe('requests', () => {
  it('of a peer that sends too many at once are refused beyond a limit, the others answered', async () => {
    const gates: (() => void)[] = []
    b.mesh.handle('wait', () => new Promise((resolve) => gates.push(() => resolve('done'))))
    const outcomes: unknown[] = []
    for (let count = 0; count < 1030; count += 1) {
      a.mesh.request(b.id, 'wait', null, { deadlineMs: 60_000 }).then(
        (answer) => outcomes.push(answer),
        (error: unknown) => outcomes.push(error),
      )
    }
    await world.clock.run(1000)
    expect(outcomes).toEqual(
      Array.from({ length: 6 }, () => expect.objectContaining({ code: 'failed', message: expect.stringContaining('1024') })),
    )
    for (const open of gates) open()
    await world.clock.run(1000)
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1024)
  })

  it('with a body that is too large fail before they are sent', async () => {
    await expect(a.mesh.request(b.id, 'echo', new Uint8Array(9_000_000), SOON)).rejects.toMatchObject({ code: 'too-large' })
  })

  it('whose answer is too large fail with that reason', async () => {
    b.mesh.handle('all', async () => new Uint8Array(9_000_000))
    await expect(world.clock.settle(a.mesh.request(b.id, 'all', null, SOON), 5000)).rejects.toMatchObject({ code: 'too-large' })
  })

  it('keep the code of an error whose facts cannot travel', async () => {
    const facts = { big: new Uint8Array(9_000_000) }
    b.mesh.handle('fail', async () => Promise.reject(Object.assign(new Error('so much'), { facts })))
    await expect(world.clock.settle(a.mesh.request(b.id, 'fail', null, SOON), 5000)).rejects.toMatchObject({
      code: 'failed',
      message: 'so much',
    })
  })

  it('are carried out with the deadline of the asker, also when the handler ignores it', async () => {
    b.mesh.handle('deaf', () => new Promise(() => {}))
    const started = world.clock.now()
    await expect(world.clock.settle(a.mesh.request(b.id, 'deaf', null, { deadlineMs: 700 }), 5000)).rejects.toMatchObject({
      code: 'timeout',
    })
    expect(world.clock.now() - started).toBeCloseTo(700, 0)
  })
})
