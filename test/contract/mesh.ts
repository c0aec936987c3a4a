// What every Mesh promises, whatever carries it.
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { OperationError, toWireError } from '../../src/base/errors.ts'
import { type GenerationId, type HostId, type MeshId, type TokenId } from '../../src/base/ids.ts'
import { seededRandom } from '../../src/base/random.ts'
import { type JoinRequest } from '../../src/mesh/join-messages.ts'
import { type Dismissal, type Mesh, type MeshAlarm, type OtherGeneration, type PeerEvent } from '../../src/mesh/mesh.ts'
import { createToken, type JoinToken, verifyJoin } from '../../src/mesh/token.ts'

export interface MeshWorld {
  /** A new host that belongs to no mesh, with gossip topic `load`. */
  host(): Promise<Mesh>
  /** A new process of a host that stopped: same identity, same address. */
  again(host: HostId): Promise<Mesh>
  /** A second process under a host's identity, at another address. */
  clone(host: HostId): Promise<Mesh>
  /** Lets time pass until it is so; fails after 15 s. */
  until(what: string, condition: () => boolean): Promise<void>
  /** What the promise gives, while time passes. */
  settle<T>(promise: Promise<T>): Promise<T>
  close(): Promise<void>
}

const MESH = 'm000000000000001' as MeshId
const OTHER_MESH = 'm000000000000002' as MeshId
const SOON = { deadlineMs: 5000 }

export function meshContract(name: string, makeWorld: () => Promise<MeshWorld>): void {
  describe(`mesh over ${name}`, () => {
    let world: MeshWorld

    beforeEach(async () => {
      const made = await makeWorld()
      onTestFinished(() => made.close())
      world = made
    })

    const hosts = (count: number): Promise<Mesh[]> => Promise.all(Array.from({ length: count }, () => world.host()))

    const linked = async (count: number): Promise<[Mesh, Mesh, ...Mesh[]]> => {
      const [a, b, ...more] = await hosts(count)
      if (a === undefined || b === undefined) throw new Error('a mesh has two hosts at least')
      introduce([a, b, ...more])
      await allUp([a, b, ...more])
      return [a, b, ...more]
    }

    const allUp = (meshes: readonly Mesh[]): Promise<void> =>
      world.until('all links are up', () => meshes.every((mesh) => mesh.peers().every(({ link }) => link === 'up')))

    describe('links', () => {
      it('link all members, in whatever order they hear of each other', async () => {
        const [a, b, c] = await hosts(3)
        if (a === undefined || b === undefined || c === undefined) throw new Error('three hosts')
        const events = record(a.onPeer.bind(a))
        introduce([a], [a, b, c])
        introduce([b, c], [a, b, c])
        await allUp([a, b, c])
        expect(events.map(({ kind, host }) => [kind, host])).toEqual(
          expect.arrayContaining([
            ['up', b.self],
            ['up', c.self],
          ]),
        )
        expect(events).toHaveLength(2)
        expect(a.peers().map(({ host }) => host)).toEqual(expect.arrayContaining([b.self, c.self]))
        expect(a.peers()[0]).toMatchObject({ link: 'up', cause: null, version: '1.2.3', address: expect.any(String) })
      })

      it('say when a peer stops and when its next process is there, with its boot id', async () => {
        const [a, b] = await linked(2)
        const events = record(a.onPeer.bind(a))
        await world.settle(b.stop())
        await world.until('a noticed', () => a.peers()[0]?.link === 'down')
        expect(a.peers()[0]?.cause).toEqual(expect.any(String))
        const fresh = await world.again(b.self)
        introduce([fresh], [a, fresh])
        await world.until('a is linked again', () => a.peers()[0]?.link === 'up')
        expect(events).toEqual([
          { kind: 'down', host: b.self, cause: expect.any(String) },
          { kind: 'up', host: b.self, bootId: expect.any(String) },
        ])
      })

      it('cut off a member that is taken out, at once on this side, and refuse it from then on', async () => {
        const [a, b, c] = await linked(3)
        if (c === undefined) throw new Error('three hosts')
        const events = record(a.onPeer.bind(a))
        introduce([a, b], [a, b])
        expect(events).toEqual([{ kind: 'down', host: c.self, cause: expect.stringContaining('no member') }])
        expect(a.send(c.self, bytes(1), 'urgent')).toBe(false)
        const alarms = record(a.onAlarm.bind(a))
        await world.until('c lost both', () => c.peers().every(({ link }) => link === 'down'))
        await world.until('c knocked in vain', () => alarms.some(({ kind, host }) => kind === 'refused' && host === c.self))
        await expect(world.settle(c.request(a.self, 'echo', 1, SOON))).rejects.toMatchObject({ code: 'unreachable' })
        expect(a.peers().map(({ host, link }) => [host, link])).toEqual([[b.self, 'up']])
      })

      describe('of a member that is taken out and is to be told so', () => {
        const notice = { member: 7, why: 'sold' }
        const takeOut = (meshes: readonly Mesh[], stay: readonly Mesh[], host: HostId): void => {
          const former = [{ host, notice }]
          for (const mesh of meshes) mesh.setMembers({ meshId: MESH, generation: 1, members: stay.map(address), former })
        }

        it('tell it, and are cut half a second later; nothing is sent to it meanwhile', async () => {
          const [a, b, c] = await linked(3)
          if (c === undefined) throw new Error('three hosts')
          const told = record(c.onDismissed.bind(c))
          const events = record(a.onPeer.bind(a))
          let reply: ((answer: string) => void) | undefined
          a.handle('slow', () => new Promise((resolve) => (reply = resolve)))
          const answer = world.settle(c.request(a.self, 'slow', 1, SOON))
          await world.until('the request is there', () => reply !== undefined)
          takeOut([a], [a, b], c.self)
          expect(events).toEqual([])
          expect(a.peers().map(({ host }) => host)).toEqual([b.self])
          reply?.('answered')
          await world.until('it was told', () => told.length > 0)
          expect(told[0]).toEqual({ from: a.self, notice })
          expect(await answer).toBe('answered')
          await world.until('it is cut off', () => events.some(({ kind, host }) => kind === 'down' && host === c.self))
        })

        it('tell it at every knock, without an alarm', async () => {
          const [a, b, c] = await linked(3)
          if (c === undefined) throw new Error('three hosts')
          await c.stop()
          takeOut([a, b], [a, b], c.self)
          const alarms = record(a.onAlarm.bind(a))
          const back = await world.again(c.self)
          const told = record(back.onDismissed.bind(back))
          back.setMembers({ meshId: MESH, generation: 1, members: [a, b, back].map(address) })
          await world.until('both told it, again and again', () => new Set(told.map(({ from }) => from)).size === 2 && told.length > 3)
          expect(told.every((one) => JSON.stringify(one.notice) === JSON.stringify(notice))).toBe(true)
          expect(back.peers().every(({ link }) => link === 'down')).toBe(true)
          expect(alarms).toEqual([])
        })

        it('begin anew when it is a member again', async () => {
          const [a, b, c] = await linked(3)
          if (c === undefined) throw new Error('three hosts')
          takeOut([a, b], [a, b], c.self)
          await world.until('c lost both', () => c.peers().every(({ link }) => link === 'down'))
          introduce([a, b], [a, b, c])
          await allUp([a, b, c])
          expect(a.peers().map(({ host, link }) => [host, link])).toContainEqual([c.self, 'up'])
        })

        it('let it in to join again', async () => {
          const [a, c] = await linked(2)
          takeOut([a], [a], c.self)
          const { token } = createToken(
            {
              meshId: MESH,
              tokenId: 't' as TokenId,
              role: 'host',
              expiresAt: 0,
              inviters: [{ host: a.self, addresses: a.ownAddresses() }],
            },
            seededRandom(1),
          )
          a.handleJoin(async () => 'in')
          a.setJoinOpen(true)
          c.setMembers(null)
          expect(await world.settle(c.join(token, { addresses: [], facts: null }, SOON))).toBe('in')
        })
      })

      it('end at once when this host moves to another mesh or generation', async () => {
        const [a, b] = await linked(2)
        const events = record(a.onPeer.bind(a))
        a.setMembers({ meshId: MESH, generation: 2, members: [a, b].map(address) })
        expect(events).toEqual([{ kind: 'down', host: b.self, cause: expect.any(String) }])
        await world.until('b lost it too', () => b.peers()[0]?.link === 'down')
        b.setMembers({ meshId: MESH, generation: 2, members: [a, b].map(address) })
        await allUp([a, b])
        a.setMembers(null)
        expect(events.at(-1)).toMatchObject({ kind: 'down', host: b.self })
        expect(a.peers()).toEqual([])
      })

      it('refuse a stranger that knows all addresses', async () => {
        const [a, b] = await linked(2)
        const stranger = await world.host()
        const alarms = record(a.onAlarm.bind(a))
        introduce([stranger], [a, b, stranger])
        await world.until('it was refused', () => alarms.length > 0)
        expect(alarms[0]).toMatchObject({ kind: 'refused', host: stranger.self, address: expect.any(String) })
        await expect(world.settle(stranger.request(a.self, 'echo', 1, SOON))).rejects.toMatchObject({ code: 'unreachable' })
        await expect(world.settle(stranger.openStream(a.self, 'console', 1, SOON))).rejects.toMatchObject({ code: 'unreachable' })
        expect(stranger.peers().map(({ link }) => link)).toEqual(['down', 'down'])
      })

      it.each([
        ['another mesh', { meshId: OTHER_MESH, generation: 1 }, OTHER_MESH],
        ['another generation of the mesh', { meshId: MESH, generation: 2 }, 'generation'],
      ])('refuse a host of %s, and both sides say why', async (_name, theirs, word) => {
        const [a, b] = await hosts(2)
        if (a === undefined || b === undefined) throw new Error('two hosts')
        const alarms = record(a.onAlarm.bind(a))
        const members = [a, b].map(address)
        a.setMembers({ meshId: MESH, generation: 1, members })
        b.setMembers({ ...theirs, members })
        await world.until('both know why', () => [a, b].every((mesh) => mesh.peers()[0]?.cause?.includes(word)))
        await world.until('an alarm was raised', () => alarms.length > 0)
        expect(alarms[0]).toMatchObject({ kind: 'refused', host: b.self, reason: expect.stringContaining(word) })
        expect([...a.peers(), ...b.peers()].map(({ link }) => link)).toEqual(['down', 'down'])
      })

      it.each([
        ['a later one', { generation: 2, generationId: 'b2' as GenerationId }],
        ['the same number, begun apart', { generation: 1, generationId: 'b1' as GenerationId }],
      ])('tell each other of the generations they live in: %s', async (_name, later) => {
        const [a, b] = await hosts(2)
        if (a === undefined || b === undefined) throw new Error('two hosts')
        const heard = record(a.onGeneration.bind(a))
        const heardByB = record(b.onGeneration.bind(b))
        const members = [a, b].map(address)
        a.setMembers({ meshId: MESH, generation: 1, members })
        b.setMembers({ meshId: MESH, ...later, members })
        await world.until('both heard', () => heard.length > 0 && heardByB.length > 0)
        expect(heard[0]).toEqual({ host: b.self, ...later })
        expect(heardByB[0]).toEqual({ host: a.self, generation: 1, generationId: null })
      })

      it('let a member of another generation ask to be let in again, by nothing but its key', async () => {
        const [a, b] = await hosts(2)
        if (a === undefined || b === undefined) throw new Error('two hosts')
        const members = [a, b].map(address)
        a.setMembers({ meshId: MESH, generation: 1, members })
        b.setMembers({ meshId: MESH, generation: 2, members })
        const asked: JoinRequest[] = []
        b.handleJoin(async (request) => {
          asked.push(request)
          return 'in again'
        })
        const reply = world.settle(a.rejoin(MESH, b.self, { addresses: [], facts: { member: 7 } }, SOON))
        expect(await reply).toBe('in again')
        expect(asked[0]).toMatchObject({ joiner: a.self, inviter: b.self, tokenId: null, signature: null, facts: { member: 7 } })
      })

      it('let nobody else ask so', async () => {
        const [b, stranger] = await hosts(2)
        if (stranger === undefined || b === undefined) throw new Error('two hosts')
        b.setMembers({ meshId: MESH, generation: 2, members: [b].map(address) })
        b.handleJoin(async () => 'never')
        stranger.setMembers({ meshId: MESH, generation: 1, members: [b, stranger].map(address) })
        const asked = world.settle(stranger.rejoin(MESH, b.self, { addresses: [], facts: null }, SOON))
        await expect(asked).rejects.toMatchObject({ code: 'unreachable' })
      })

      it('refuse both of two processes under one identity, with an alarm on every side', async () => {
        const [a, b] = await linked(2)
        const alarms = record(a.onAlarm.bind(a))
        const clone = await world.clone(b.self)
        const ownAlarms = record(clone.onAlarm.bind(clone))
        introduce([clone], [a, b])
        await world.until('the alarm', () => alarms.some(({ kind }) => kind === 'cloned-identity'))
        expect(alarms.find(({ kind }) => kind === 'cloned-identity')).toMatchObject({
          host: b.self,
          bootIds: [expect.any(String), expect.any(String)],
        })
        await world.until('both are cut off', () => [a, b, clone].every((mesh) => mesh.peers()[0]?.link === 'down'))
        await world.until('the clone knows of itself', () =>
          ownAlarms.some(({ kind, host }) => kind === 'cloned-identity' && host === b.self),
        )
      })
    })

    describe('requests', () => {
      it('bring plain data there and back', async () => {
        const [a, b] = await linked(2)
        b.handle('echo', async (body, { from }) => ({ body, from }))
        const body = { text: 'ä', list: [1, null, true], nested: { big: 2 ** 45 }, bytes: bytes(3) }
        const reply = await world.settle(a.request(b.self, 'echo', body, SOON))
        expect(reply).toEqual({ body: { ...body, bytes: expect.any(Uint8Array) }, from: a.self })
      })

      it('bring errors back with code, data and reasons', async () => {
        const [a, b] = await linked(2)
        const thrown = new OperationError('conflict', 'the name is taken', {
          data: { name: 'web' },
          reasons: [{ code: 'name-taken', message: 'taken', fix: 'another' }],
        })
        b.handle('create', () => Promise.reject(thrown))
        const error = await world.settle(a.request(b.self, 'create', null, SOON).catch((caught: unknown) => caught))
        expect(error).toBeInstanceOf(OperationError)
        expect(toWireError(error)).toEqual(toWireError(thrown))
      })

      it('fail with not-found for a method that nobody handles', async () => {
        const [a, b] = await linked(2)
        await expect(world.settle(a.request(b.self, 'nothing', null, SOON))).rejects.toMatchObject({ code: 'not-found' })
      })

      it('are surely not done where the handler was taken back, until there is another', async () => {
        const [a, b] = await linked(2)
        const off = b.handle('echo', async (body) => body)
        off()
        const asked = world.settle(a.request(b.self, 'echo', 1, SOON))
        await expect(asked).rejects.toMatchObject({ code: 'unreachable', data: { sent: false } })
        b.handle('echo', async () => 'again')
        expect(await world.settle(a.request(b.self, 'echo', 1, SOON))).toBe('again')
      })

      it('end at their deadline, and the handler hears of it', async () => {
        const [a, b] = await linked(2)
        const heard = hang(b, 'slow')
        await expect(world.settle(a.request(b.self, 'slow', null, { deadlineMs: 200 }))).rejects.toMatchObject({ code: 'timeout' })
        await world.until('the handler was told', () => heard.aborted)
      })

      it('end when their caller gives up, and the handler hears of it', async () => {
        const [a, b] = await linked(2)
        const heard = hang(b, 'slow')
        const controller = new AbortController()
        const asked = a.request(b.self, 'slow', null, { ...SOON, signal: controller.signal })
        const outcome = failure(world.settle(asked))
        await world.until('it is under way', () => heard.called)
        controller.abort(new Error('enough'))
        expect(await outcome).toMatchObject({ message: 'enough' })
        await world.until('the handler was told', () => heard.aborted)
      })

      it('fail as surely not done where no link is', async () => {
        const [a, b] = await hosts(2)
        if (a === undefined || b === undefined) throw new Error('two hosts')
        introduce([a], [a, b])
        await expect(world.settle(a.request(b.self, 'echo', 1, SOON))).rejects.toMatchObject({ code: 'unreachable', data: { sent: false } })
      })

      it('fail as perhaps done when the peer goes away before it answers', async () => {
        const [a, b] = await linked(2)
        const heard = hang(b, 'slow')
        const outcome = failure(world.settle(a.request(b.self, 'slow', null, SOON)))
        await world.until('it is under way', () => heard.called)
        await world.settle(b.stop())
        expect(await outcome).toMatchObject({ code: 'unreachable', data: { sent: true } })
        expect(heard.aborted).toBe(true)
      })

      it('run side by side, each with its own answer', async () => {
        const [a, b] = await linked(2)
        const gates = new Map<unknown, () => void>()
        b.handle('wait', async (body) => {
          await new Promise<void>((resolve) => gates.set(body, resolve))
          return body
        })
        const answers = [1, 2, 3].map((body) => a.request(b.self, 'wait', body, SOON))
        await world.until('all three are under way', () => gates.size === 3)
        for (const body of [3, 1, 2]) gates.get(body)?.()
        expect(await world.settle(Promise.all(answers))).toEqual([1, 2, 3])
      })
    })

    describe('frames', () => {
      it('arrive in order within a priority, from both sides', async () => {
        const [a, b] = await linked(2)
        const [atA, atB] = [frames(a), frames(b)]
        for (let number = 0; number < 200; number += 1) {
          expect(a.send(b.self, numbered(number), 'bulk')).toBe(true)
          expect(b.send(a.self, numbered(number), 'urgent')).toBe(true)
        }
        await world.until('all are there', () => atA.length === 200 && atB.length === 200)
        const inOrder = Array.from({ length: 200 }, (_, number) => number)
        expect(atA.map(({ frame }) => numberOf(frame))).toEqual(inOrder)
        expect(atB).toEqual(inOrder.map((number) => ({ from: a.self, frame: numbered(number) })))
      })

      it('of a megabyte and more arrive whole', async () => {
        const [a, b] = await linked(2)
        const atB = frames(b)
        const large = Uint8Array.from({ length: 3_000_001 }, (_, index) => index % 251)
        expect(a.send(b.self, large, 'bulk')).toBe(true)
        expect(a.send(b.self, large.subarray(0, 900_000), 'urgent')).toBe(true)
        await world.until('both are there', () => atB.length === 2)
        expect(atB.map(({ frame }) => frame.length)).toEqual(expect.arrayContaining([900_000, 3_000_001]))
        expect(Buffer.from(atB.find(({ frame }) => frame.length === 3_000_001)?.frame ?? []).equals(large)).toBe(true)
      })

      it('overtake each other only by urgency, and are dropped only when they are not urgent', async () => {
        const [a, b] = await linked(2)
        const atB = frames(b)
        const taken = Array.from({ length: 100 }, (_, number) => a.send(b.self, numbered(number, 100_000), 'bulk'))
        expect(a.send(b.self, bytes(1), 'urgent')).toBe(true)
        expect(taken[0]).toBe(true)
        expect(taken.at(-1)).toBe(false)
        const kept = taken.filter(Boolean).length
        await world.until('the rest is there', () => atB.length === kept + 1)
        expect(atB[0]?.frame).toEqual(bytes(1))
        expect(atB.slice(1).map(({ frame }) => numberOf(frame))).toEqual(Array.from({ length: kept }, (_, number) => number))
      })
    })

    describe('byte streams', () => {
      it('carry a header, then bytes both ways in order, then an end', async () => {
        const [a, b] = await linked(2)
        const ends: (string | null)[] = []
        b.handleStream('console', async (stream, header) => {
          expect([stream.host, header]).toEqual([a.self, { vm: 'web' }])
          void stream.write(Buffer.from('hello '))
          stream.onData((data) => void stream.write(data))
          stream.onClose((cause) => ends.push(cause))
        })
        const stream = await world.settle(a.openStream(b.self, 'console', { vm: 'web' }, SOON))
        const got: Uint8Array[] = []
        stream.onData((data) => got.push(data))
        stream.onClose((cause) => ends.push(cause))
        const sent = Uint8Array.from({ length: 300_000 }, (_, index) => index % 253)
        await world.settle(stream.write(sent))
        await world.until('all came back', () => Buffer.concat(got).length === 300_006)
        expect(Buffer.concat(got).equals(Buffer.concat([Buffer.from('hello '), sent]))).toBe(true)
        stream.close()
        await world.until('both ends closed', () => ends.length === 2)
        expect(ends).toEqual([null, null])
      })

      it('deliver what was written before the end, also to a reader that begins late', async () => {
        const [a, b] = await linked(2)
        const opened: { onData(listener: (data: Uint8Array) => void): void; onClose(listener: (cause: string | null) => void): void }[] = []
        b.handleStream('log', async (stream) => void opened.push(stream))
        const stream = await world.settle(a.openStream(b.self, 'log', null, SOON))
        await world.settle(stream.write(Buffer.from('last words')))
        stream.close()
        await world.until('it is open there', () => opened.length === 1)
        const got: string[] = []
        opened[0]?.onClose((cause) => got.push(`end ${cause}`))
        opened[0]?.onData((data) => got.push(Buffer.from(data).toString()))
        await world.until('all is there', () => got.length === 2)
        expect(got).toEqual(['last words', 'end null'])
      })

      it('make a writer wait for a reader that pauses', async () => {
        const [a, b] = await linked(2)
        let release = (): void => {}
        let received = 0
        b.handleStream('slow', async (stream) => {
          stream.onData((data) => {
            received += data.length
            stream.pause()
          })
          release = () => {
            stream.onClose(() => {})
            stream.resume()
          }
        })
        const stream = await world.settle(a.openStream(b.self, 'slow', null, SOON))
        let written = false
        const writing = stream.write(new Uint8Array(8 * 1024 * 1024)).then(() => {
          written = true
        })
        await world.until('the first bytes are there', () => received > 0)
        // Time for eight requests: the writer would be done if nothing held it.
        b.handle('echo', async (body) => body)
        for (let turn = 0; turn < 8; turn += 1) await world.settle(a.request(b.self, 'echo', turn, SOON))
        expect(written).toBe(false)
        await world.until('the rest arrives as the reader takes it', () => {
          release()
          return received === 8 * 1024 * 1024
        })
        await world.settle(writing)
      })

      it('are refused with the error of the handler, or not-found', async () => {
        const [a, b] = await linked(2)
        b.handleStream('console', () => Promise.reject(new OperationError('conflict', 'it is off')))
        await expect(world.settle(a.openStream(b.self, 'console', null, SOON))).rejects.toMatchObject({
          code: 'conflict',
          message: 'it is off',
        })
        await expect(world.settle(a.openStream(b.self, 'nothing', null, SOON))).rejects.toMatchObject({ code: 'not-found' })
      })

      it('break with a cause when one side aborts or goes away', async () => {
        const [a, b] = await linked(2)
        const causes: (string | null)[] = []
        b.handleStream('console', async (stream) => stream.onClose((cause) => causes.push(cause)))
        const first = await world.settle(a.openStream(b.self, 'console', null, SOON))
        first.abort('the viewer crashed')
        await world.until('b heard', () => causes.length === 1)
        expect(causes[0]).not.toBeNull()
        const second = await world.settle(a.openStream(b.self, 'console', null, SOON))
        second.onClose((cause) => causes.push(cause))
        introduce([a], [a])
        expect(causes[1]).toContain('no member')
        await expect(world.settle(second.write(bytes(1)))).rejects.toMatchObject({ code: 'unreachable' })
      })
    })

    describe('gossip', () => {
      it('reaches every other member and says who wrote it', async () => {
        const meshes = await linked(4)
        const heard = meshes.map((mesh) => {
          const got: unknown[] = []
          mesh.subscribe('load', (from, body) => got.push([from, body]))
          return got
        })
        // Gossip promises nothing: it is repeated until everyone heard it once.
        await world.until('all heard', () => {
          meshes[0].publish('load', { cpu: 0.5 })
          return heard.slice(1).every((got) => got.length > 0)
        })
        expect(heard.slice(1).map((got) => got[0])).toEqual(Array.from({ length: 3 }, () => [meshes[0].self, { cpu: 0.5 }]))
      })

      it('of a member that was taken out is not heard any more', async () => {
        const [a, b, c] = await linked(3)
        if (c === undefined) throw new Error('three hosts')
        const heard: HostId[] = []
        a.subscribe('load', (from) => heard.push(from))
        introduce([a], [a, b])
        await world.until('b is heard', () => {
          c.publish('load', 1)
          b.publish('load', 2)
          return heard.length >= 3
        })
        expect(new Set(heard)).toEqual(new Set([b.self]))
      })
    })

    describe('joining', () => {
      const EXPIRES = Date.UTC(2026, 11, 1)

      const tokenFor = (inviters: readonly Mesh[], meshId = MESH): { token: JoinToken; publicKey: string } =>
        createToken(
          { meshId, tokenId: 't1' as TokenId, role: 'host', expiresAt: EXPIRES, inviters: inviters.map(address) },
          seededRandom(7),
        )

      it('hands a request to the inviter that proves the token, and the reply to the joiner', async () => {
        const [a, b] = await linked(2)
        const joiner = await world.host()
        const { token, publicKey } = tokenFor([a])
        const requests: JoinRequest[] = []
        a.handleJoin(async (request) => {
          requests.push(request)
          return { welcome: request.joiner }
        })
        a.setJoinOpen(true)
        const offer = { addresses: joiner.ownAddresses(), facts: { cpus: 8 } }
        expect(await world.settle(joiner.join(token, offer, SOON))).toEqual({ welcome: joiner.self })
        const [request] = requests
        expect(request).toMatchObject({ meshId: MESH, tokenId: 't1', inviter: a.self, joiner: joiner.self, ...offer })
        if (request === undefined) throw new Error('no request')
        expect(verifyJoin(publicKey, request)).toBe(true)
        expect(verifyJoin(publicKey, { ...request, joiner: b.self })).toBe(false)
        expect(verifyJoin(tokenFor([b]).publicKey, request)).toBe(true)
        expect(verifyJoin(createToken({ ...token, tokenId: token.tokenId }, seededRandom(8)).publicKey, request)).toBe(false)
        await world.settle(joiner.join(token, offer, SOON))
        const nonces = requests.map(({ nonce }) => Buffer.from(nonce, 'base64url'))
        expect(nonces.map(({ length }) => length)).toEqual([32, 32])
        expect(nonces[0]?.equals(nonces[1] ?? new Uint8Array(0))).toBe(false)
        introduce([a, b, joiner])
        await allUp([a, b, joiner])
      })

      it('is refused with the reason that the handler gives', async () => {
        const [a] = await linked(2)
        const joiner = await world.host()
        const alarms = record(a.onAlarm.bind(a))
        a.handleJoin(() =>
          Promise.reject(
            new OperationError('refused', 'the token is used up', { reasons: [{ code: 'token-used-up', message: 'used up' }] }),
          ),
        )
        a.setJoinOpen(true)
        const joining = joiner.join(tokenFor([a]).token, { addresses: [], facts: null }, SOON)
        await expect(world.settle(joining)).rejects.toMatchObject({ code: 'refused', reasons: [{ code: 'token-used-up' }] })
        // The alarm is for the event log: it holds what the check found, not the sentence for the joiner.
        expect(alarms).toEqual([expect.objectContaining({ kind: 'refused', host: joiner.self, reason: 'used up' })])
      })

      it('is refused for the token of another mesh', async () => {
        const [a] = await linked(2)
        const joiner = await world.host()
        a.handleJoin(async () => 'never')
        a.setJoinOpen(true)
        const joining = joiner.join(tokenFor([a], OTHER_MESH).token, { addresses: [], facts: null }, SOON)
        await expect(world.settle(joining)).rejects.toMatchObject({ code: 'refused', reasons: [{ code: 'token-wrong-mesh' }] })
      })

      it('is not possible while no token is valid', async () => {
        const [a] = await linked(2)
        const joiner = await world.host()
        a.handleJoin(async () => 'never')
        const { token } = tokenFor([a])
        await expect(world.settle(joiner.join(token, { addresses: [], facts: null }, SOON))).rejects.toMatchObject({ code: 'unreachable' })
      })

      it('asks the next inviter when the first is away or has no leader', async () => {
        const [a, b, c] = await linked(3)
        if (c === undefined) throw new Error('three hosts')
        const joiner = await world.host()
        b.handleJoin(() => Promise.reject(new OperationError('no-quorum', 'nobody leads')))
        c.handleJoin(async () => 'in')
        for (const mesh of [b, c]) mesh.setJoinOpen(true)
        await world.settle(a.stop())
        expect(await world.settle(joiner.join(tokenFor([a, b, c]).token, { addresses: [], facts: null }, { deadlineMs: 15_000 }))).toBe(
          'in',
        )
      })

      it('works again with the same token after the joiner gave up half-way, also for a member', async () => {
        const [a, b] = await linked(2)
        const joiner = await world.host()
        const { token } = tokenFor([a])
        let calls = 0
        a.handleJoin(async (_request, signal) => {
          calls += 1
          if (calls > 1) return 'in'
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
          return 'never'
        })
        a.setJoinOpen(true)
        const controller = new AbortController()
        const first = failure(world.settle(joiner.join(token, { addresses: [], facts: null }, { ...SOON, signal: controller.signal })))
        await world.until('it is half-way', () => calls === 1)
        introduce([a, b], [a, b, joiner])
        controller.abort(new Error('killed'))
        expect(await first).toMatchObject({ message: 'killed' })
        expect(await world.settle(joiner.join(token, { addresses: [], facts: null }, SOON))).toBe('in')
      })

      it('lets a stranger do nothing else', async () => {
        const [a, b] = await linked(2)
        const stranger = await world.host()
        a.handle('echo', async (body) => body)
        a.handleJoin(async () => 'never')
        a.setJoinOpen(true)
        introduce([stranger], [a, b, stranger])
        await world.until('it tried in vain', () => stranger.peers().find(({ host }) => host === a.self)?.cause !== 'not reached yet')
        expect(stranger.peers().every(({ link }) => link === 'down')).toBe(true)
        expect(a.peers().map(({ host }) => host)).toEqual([b.self])
      })
    })
  })
}

/** Tells each of these who the members are (themselves, if not said otherwise). */
function introduce(meshes: readonly Mesh[], members: readonly Mesh[] = meshes): void {
  for (const mesh of meshes) mesh.setMembers({ meshId: MESH, generation: 1, members: members.map(address) })
}

/** What a promise fails with; waits may come before it is looked at. */
function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'no failure',
    (error: unknown) => error,
  )
}

function address(mesh: Mesh): { host: HostId; addresses: readonly string[] } {
  return { host: mesh.self, addresses: mesh.ownAddresses() }
}

function record<T extends Dismissal | MeshAlarm | PeerEvent | OtherGeneration>(on: (listener: (event: T) => void) => () => void): T[] {
  const events: T[] = []
  on((event) => events.push(event))
  return events
}

function frames(mesh: Mesh): { from: HostId; frame: Uint8Array }[] {
  const got: { from: HostId; frame: Uint8Array }[] = []
  mesh.onFrame((from, frame) => got.push({ from, frame }))
  return got
}

/** A handler that never answers. */
function hang(mesh: Mesh, method: string): { called: boolean; aborted: boolean } {
  const heard = { called: false, aborted: false }
  mesh.handle(method, (_body, { signal }) => {
    heard.called = true
    return new Promise((_, reject) =>
      signal.addEventListener('abort', () => {
        heard.aborted = true
        reject(signal.reason)
      }),
    )
  })
  return heard
}

function bytes(length: number): Uint8Array {
  return new Uint8Array(length).fill(7)
}

function numbered(number: number, length = 4): Uint8Array {
  const frame = new Uint8Array(length)
  new DataView(frame.buffer).setUint32(0, number)
  return frame
}

function numberOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset).getUint32(0)
}
