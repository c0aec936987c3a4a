// The gate: how many strangers, for how long, and what they get when they do not keep to the protocol.
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { OperationError } from '../../src/base/errors.ts'
import { type HostId, type TokenId } from '../../src/base/ids.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { Alarms } from '../../src/mesh/alarms.ts'
import { FRAME } from '../../src/mesh/frame.ts'
import { FrameStream } from '../../src/mesh/frame-stream.ts'
import { JoinGate } from '../../src/mesh/join-gate.ts'
import { encodeJson, parseAsk, parseJoinReply, parseJoinRequest, parseProof } from '../../src/mesh/join-messages.ts'
import { createToken, type JoinToken } from '../../src/mesh/token.ts'
import { type FakeConnection } from '../fixture/fake-connection.ts'
import { FakeWorld, MESH, type Node } from './fake-world.ts'

const NOTHING = { addresses: [], facts: null }

let world: FakeWorld
let inviter: Node
let token: JoinToken
let release: (() => void)[]

beforeEach(async () => {
  world = new FakeWorld()
  inviter = present((await world.linked(2))[0], 'an inviter')
  release = []
  inviter.mesh.handleJoin(async () => {
    await new Promise<void>((resolve) => release.push(resolve))
    return 'in'
  })
  inviter.mesh.setJoinOpen(true)
  const inviters = [{ host: inviter.id, addresses: inviter.host.machine.addresses }]
  token = createToken({ meshId: MESH, tokenId: 't' as TokenId, role: 'host', expiresAt: 0, inviters }, seededRandom(1)).token
})

const strangers = (count: number): Promise<Node[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => world.stranger(`198.18.1.${index + 1}:7400`)))

/** Settles to `in`, or the code of the error. */
const join = (stranger: Node, deadlineMs = 60_000): Promise<unknown> =>
  stranger.mesh.join(token, NOTHING, { deadlineMs }).catch((error: unknown) => (error instanceof OperationError ? error.code : error))

describe('eight strangers at a time', () => {
  it('are let in; the ninth is not, until one of them is through', async () => {
    const [ninth, ...eight] = await strangers(9)
    const joins = eight.map((stranger) => join(stranger))
    await world.clock.runUntil('eight are in', () => release.length === 8, 2000)
    expect(await world.clock.settle(join(present(ninth, 'a ninth')), 5000)).toBe('unreachable')
    release[0]?.()
    expect(await world.clock.settle(present(joins[0], 'the first'), 2000)).toBe('in')
    const late = join(present(ninth, 'a ninth'))
    await world.clock.runUntil('the ninth is in', () => release.length === 9, 2000)
    for (const go of release) go()
    expect(await world.clock.settle(Promise.all([...joins, late]), 5000)).toEqual(Array.from({ length: 9 }, () => 'in'))
  })

  it('are cut off after ten seconds, whatever they are doing', async () => {
    const [stranger] = await strangers(1)
    const started = world.clock.now()
    const outcome = await world.clock.settle(join(present(stranger, 'a stranger')), 30_000)
    expect(outcome).toBe('unreachable')
    expect(world.clock.now() - started).toBeGreaterThan(9900)
    expect(world.clock.now() - started).toBeLessThan(10_100)
    expect(inviter.host.connections(present(stranger, 'a stranger').id)).toEqual([])
  })

  it('are cut off at once when the last token is gone', async () => {
    const [stranger] = await strangers(1)
    const joining = join(present(stranger, 'a stranger'))
    await world.clock.runUntil('it is in', () => release.length === 1, 2000)
    inviter.mesh.setJoinOpen(false)
    expect(await world.clock.settle(joining, 1000)).toBe('unreachable')
  })

  it('who connect and say nothing are cut off after ten seconds too', async () => {
    const connections = await Promise.all(
      Array.from({ length: 8 }, (_, index) => world.bareConnection(inviter, `198.18.3.${index + 1}:7400`)),
    )
    const [ninth] = await strangers(1)
    expect(await world.clock.settle(join(present(ninth, 'a ninth')), 2000)).toBe('unreachable')
    await world.clock.run(10_100)
    expect(connections.some((connection) => connection.isOpen())).toBe(false)
    const late = join(present(ninth, 'a ninth'))
    await world.clock.runUntil('the ninth is in', () => release.length === 1, 2000)
    release[0]?.()
    expect(await world.clock.settle(late, 2000)).toBe('in')
  })
})

it('a place that was given to somebody who never came is free again after ten seconds', async () => {
  const { clock } = world
  const hello = { protocol: 1, meshId: MESH, generation: 1, generationId: null, bootId: 'b', version: '1', addresses: [] }
  const gate = new JoinGate({
    self: inviter.id,
    clock,
    random: seededRandom(1),
    log: silentLog,
    alarms: new Alarms(clock),
    hello: () => hello,
  })
  gate.handle(async () => 'in')
  gate.setOpen(true)
  const knock = (count: number): boolean[] => Array.from({ length: count }, (_, index) => gate.admit(`host-${index}` as HostId))
  expect(knock(9)).toEqual([...Array.from({ length: 8 }, () => true), false])
  await clock.run(9999)
  expect(knock(1)).toEqual([false])
  await clock.run(1)
  expect(knock(9)).toEqual([...Array.from({ length: 8 }, () => true), false])
})

it('a gate whose handler was taken back is closed, and takes another', async () => {
  const [host] = await strangers(1)
  if (host === undefined) throw new Error('one host wanted')
  const off = host.mesh.handleJoin(async () => 'in')
  host.mesh.setJoinOpen(true)
  off()
  expect(() => host.mesh.setJoinOpen(true)).toThrow('nobody handles joins')
  host.mesh.handleJoin(async () => 'in')
  host.mesh.setJoinOpen(true)
})

it('a gate without anybody who handles joins is never opened', async () => {
  const [other] = await strangers(1)
  expect(() => other?.mesh.setJoinOpen(true)).toThrow('nobody handles joins')
})

describe('a stranger inside', () => {
  let connection: FakeConnection

  beforeEach(async () => {
    connection = await world.bareConnection(inviter, '198.18.2.1:7400')
  })

  it.each(['link', 'rpc', 'mail', 'bytes'] as const)('gets no %s stream', async (kind) => {
    const stream = frames(await world.clock.settle(connection.openStream(kind, new AbortController().signal), 1000))
    let end: string | null | undefined
    stream.onClose((cause) => {
      end = cause
    })
    stream.send(FRAME.hello, new Uint8Array(3), 'urgent')
    await world.clock.run(100)
    expect(end).toEqual(expect.any(String))
  })

  it.each([
    ['another protocol version', { protocol: 2, meshId: MESH, tokenId: 't' }, 'join-protocol'],
    ['another mesh', { protocol: 1, meshId: 'm2', tokenId: 't' }, 'token-wrong-mesh'],
  ])('that asks with %s is told so', async (_name, ask, code) => {
    const reply = await say([FRAME.joinAsk, Buffer.from(JSON.stringify(ask))])
    expect(reply).toMatchObject({ kind: 'refused', error: { code: 'refused', reasons: [{ code }] } })
  })

  it.each([
    ['no JSON', [FRAME.joinAsk, Buffer.from('{')]],
    ['a wrong frame', [FRAME.joinProof, Buffer.from('{}')]],
    ['no fields', [FRAME.joinAsk, Buffer.from('{}')]],
  ] as const)('that sends %s is told so, and nothing else happens', async (_name, frame) => {
    expect(await say(frame)).toMatchObject({ kind: 'refused', error: { code: 'usage' } })
    expect(release).toEqual([])
  })

  it('that sends more than a quarter of a megabyte is cut off', async () => {
    const stream = frames(await world.clock.settle(connection.openStream('join', new AbortController().signal), 1000))
    stream.send(FRAME.joinAsk, new Uint8Array(300_000), 'normal')
    await expect(world.clock.settle(stream.next(new AbortController().signal), 2000)).rejects.toMatchObject({ code: 'unreachable' })
  })

  const say = async ([type, payload]: readonly [15 | 17, Uint8Array]): Promise<unknown> => {
    const stream = frames(await world.clock.settle(connection.openStream('join', new AbortController().signal), 1000))
    stream.send(type, payload, 'normal')
    return parseJoinReply((await world.clock.settle(stream.next(new AbortController().signal), 2000)).payload)
  }
})

describe('messages of the join protocol', () => {
  it('of any bytes are refused with `usage` alone', () => {
    const parsers = [parseAsk, parseProof, parseJoinReply]
    const texts = fc.oneof(fc.json(), fc.string()).map((text) => Buffer.from(text))
    fc.assert(
      fc.property(texts, fc.constantFrom(...parsers), (bytes, parse) => {
        try {
          parse(bytes)
        } catch (error) {
          expect(error).toMatchObject({ code: 'usage' })
        }
      }),
    )
  })

  it('are the same after writing and reading', () => {
    const ask = { protocol: 1, meshId: MESH, tokenId: 't' as TokenId }
    const proof = { signature: 'c2ln', addresses: ['198.18.0.1:7400'], facts: { cpus: 8, list: [1, null] } }
    const refused = {
      kind: 'refused',
      error: {
        code: 'conflict',
        message: 'taken',
        data: { a: 1 },
        reasons: [
          { code: 'x', message: 'y', fix: 'z' },
          { code: 'x', message: 'y' },
        ],
      },
    } as const
    expect(parseAsk(encodeJson(ask))).toEqual(ask)
    expect(parseProof(encodeJson(proof))).toEqual(proof)
    expect(parseJoinReply(encodeJson({ kind: 'accepted', reply: { a: 1 } }))).toEqual({ kind: 'accepted', reply: { a: 1 } })
    expect(parseJoinReply(encodeJson(refused))).toEqual(refused)
  })

  it('a request that was passed on is checked field by field', () => {
    const request = { meshId: 'm', tokenId: 't', inviter: 'i', joiner: 'j', nonce: 'n', signature: 's', addresses: ['a'], facts: 1 }
    expect(parseJoinRequest({ ...request, more: 1 })).toEqual(request)
    for (const field of Object.keys(request).filter((key) => key !== 'facts')) {
      expect(() => parseJoinRequest({ ...request, [field]: 7 })).toThrow(expect.objectContaining({ code: 'usage' }))
    }
  })
})

function frames(wire: ConstructorParameters<typeof FrameStream>[0]): FrameStream {
  return new FrameStream(wire, { maxFrameBytes: 1_000_000, maxWaitingBytes: 1_000_000 })
}
