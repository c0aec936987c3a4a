// Streams beside the link belong to the process that is linked, on both ends.
import { expect, it } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { type HostId, type MeshId } from '../../src/base/ids.ts'
import { silentLog } from '../../src/base/log.ts'
import { FRAME } from '../../src/mesh/frame.ts'
import { FrameStream } from '../../src/mesh/frame-stream.ts'
import { encodeHello, encodeRefusal, type Hello } from '../../src/mesh/hello.ts'
import { SideStreams } from '../../src/mesh/side-streams.ts'
import { type WireStream } from '../../src/mesh/wire.ts'
import { FakeConnection } from '../fixture/fake-connection.ts'
import { FakeNetwork } from '../fixture/fake-network.ts'
import { manualClock } from '../fixture/manual-clock.ts'
import { seededRandom } from '../../src/base/random.ts'

const MINE: Hello = { protocol: 1, meshId: 'm' as MeshId, generation: 1, generationId: null, bootId: 'mine', version: '1', addresses: [] }
const LINKED: Hello = { ...MINE, bootId: 'linked' }

it.each([
  ['a welcome of the linked process', FRAME.welcome, encodeHello(LINKED), undefined],
  ['a welcome of another process', FRAME.welcome, encodeHello({ ...LINKED, bootId: 'other' }), /before it was linked/],
  ['a welcome from another mesh', FRAME.welcome, encodeHello({ ...LINKED, meshId: 'm2' as MeshId }), /mesh m2/],
  ['a welcome from an earlier generation', FRAME.welcome, encodeHello({ ...LINKED, generation: 0 }), /generation 0/],
  ['a refusal', FRAME.refused, encodeRefusal({ code: 'no-link', message: 'who are you' }), /who are you/],
  ['anything else', FRAME.reply, new Uint8Array(4), /instead of a welcome/],
] as const)('an opener that gets %s goes on or ends the stream', async (_name, type, payload, cause) => {
  const clock = manualClock()
  const network = new FakeNetwork(clock, seededRandom(1))
  const [near, far] = ['near', 'far'].map((id, index) =>
    network.machine({ id: id as HostId, addresses: [`198.18.0.${index + 1}:1`], clock: clock.machine() }),
  )
  const answered: FrameStream[] = []
  const answer = (wire: WireStream): void => {
    const stream = new FrameStream(wire, { maxFrameBytes: 1000, maxWaitingBytes: 1000 })
    stream.receive({ onFrame: (frame) => frame.type === FRAME.hello && stream.send(type, payload, 'urgent') })
    answered.push(stream)
  }
  const nothing = (): void => {}
  const farHost = present(far, 'far')
  farHost.events = {
    admit: () => true,
    onConnection: nothing,
    onStream: (_kind, stream) => answer(stream),
    onGossip: nothing,
    onAddresses: nothing,
  }
  const [out] = FakeConnection.pair(present(near, 'near'), farHost, '198.18.0.2:1')
  const limits = { maxFrameBytes: 1000, maxWaitingBytes: 1000 }
  const sides = new SideStreams({
    clock,
    log: silentLog,
    limits: { rpc: limits, mail: limits, bytes: limits },
    hello: () => MINE,
    knows: (_host, bootId) => bootId === LINKED.bootId,
    onStream: nothing,
  })
  const stream = await clock.settle(sides.open('rpc', out, new AbortController().signal), 1000)
  let end: string | null | undefined
  stream.onClose((because) => {
    end = because
  })
  await clock.run(100)
  expect(answered).toHaveLength(1)
  if (cause === undefined) expect(end).toBeUndefined()
  else expect(end).toMatch(cause)
})
