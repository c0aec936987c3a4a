// A follower's side of a snapshot by itself, against a leader's end that a test plays frame by frame: what it refuses, takes, keeps and says.
import { afterEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { SnapshotChannel } from '../../src/consensus/snapshot-channel.ts'
import { type SnapshotFrame, type SnapshotMessage } from '../../src/consensus/snapshot-frames.ts'
import { type DeliveryOutcome, type PreparedSnapshot, SnapshotReceiver } from '../../src/consensus/snapshot-receiver.ts'
import { StateTally } from '../../src/consensus/state-tally.ts'
import { type SnapshotOffer, type StatePair } from '../../src/consensus/types.ts'
import { type ManualClock, manualClock } from '../fixture/manual-clock.ts'
import { memoryStateDisk, openMemoryState, type StateDisk } from '../fixture/memory-state.ts'
import { memoryStreams } from '../fixture/memory-streams.ts'
import { bytes, snapshotAt, confOf } from './member.ts'

const PAIRS: readonly StatePair[] = ['a', 'b', 'c'].map((key) => ({ key, value: bytes('x'.repeat(200)) }))
const META = snapshotAt(9, 3, confOf([1, 2]))

function offerOf(id: number): SnapshotOffer {
  const tally = new StateTally()
  for (const { key, value } of PAIRS) tally.set(key, bytes(key), value)
  return { id, meta: META, digest: tally.digest }
}

const MESSAGE: SnapshotMessage = { kind: 'snapshot', from: 2, to: 1, term: 3, snapshot: META }
const OFFER: SnapshotFrame = { kind: 'offer', message: MESSAGE, offer: offerOf(7) }
const CHUNK: SnapshotFrame = { kind: 'chunk', bytes: 0, pairs: PAIRS }

interface Follower {
  readonly clock: ManualClock
  readonly disk: StateDisk
  readonly receiver: SnapshotReceiver
  readonly delivered: { readonly message: SnapshotMessage; readonly prepared: PreparedSnapshot | undefined }[]
  readonly errors: unknown[]
}

interface FollowerOptions {
  readonly commitIndex?: number
  readonly outcome?: DeliveryOutcome
  /** Of its own clock with each look at it: a machine that takes so long for every page. */
  readonly msALook?: number
  readonly onWrite?: () => Promise<void>
  /** The state machine is given some of what is staged. */
  readonly onLoad?: () => void
}

/** Member 1, in term 3. */
async function follower({ commitIndex = 5, outcome = 'unwanted', msALook = 0, onWrite, onLoad }: FollowerOptions = {}): Promise<Follower> {
  const clock = manualClock()
  const disk = memoryStateDisk(onWrite)
  const stateStore = openMemoryState(disk)
  await stateStore.load(async () => {})
  const delivered: Follower['delivered'] = []
  const errors: unknown[] = []
  let spent = 0
  const receiver = new SnapshotReceiver({
    id: 1,
    clock: {
      now: () => (spent += msALook),
      wall: () => clock.wall(),
      after: (ms, run) => clock.after(ms, run),
      defer: (run) => clock.defer(run),
    },
    log: silentLog,
    stateStore,
    machine: { restore: () => ({ add: () => onLoad?.(), finish: () => {} }) },
    status: () => ({ term: 3, commitIndex }),
    deliver: async (message, prepared) => {
      delivered.push({ message, prepared })
      return outcome
    },
    onError: (error) => errors.push(error),
  })
  return { clock, disk, receiver, delivered, errors }
}

/** A stream to it, with `from` at the other end; `heard` ends with `closed` once it is over. */
function leaderEnd(
  { clock, receiver }: Follower,
  from = 2,
): { readonly channel: SnapshotChannel; readonly heard: (SnapshotFrame | 'over')[] } {
  const [mine, theirs] = memoryStreams({ clocks: [clock, clock], networkMs: 1, carry: (_side, piece) => piece })
  const channel = new SnapshotChannel(mine, clock, new AbortController().signal)
  const heard: (SnapshotFrame | 'over')[] = []
  const listen = async (): Promise<void> => {
    for (;;) heard.push(await channel.next())
  }
  listen().catch(() => heard.push('over'))
  receiver.receive(theirs, from)
  return { channel, heard }
}

/** Sends all frames, one every 10 ms. */
async function say(at: Follower, channel: SnapshotChannel, ...frames: readonly SnapshotFrame[]): Promise<void> {
  for (const frame of frames) {
    await channel.send(frame)
    await at.clock.run(10)
  }
}

function staged(disk: StateDisk): readonly string[] | undefined {
  const values = disk.open().read().staged?.values
  return values && [...values.keys()]
}

describe('a follower that is offered a snapshot', () => {
  const members: Follower[] = []
  async function at(options?: FollowerOptions): Promise<Follower> {
    const member = await follower(options)
    members.push(member)
    return member
  }

  afterEach(async () => {
    for (const { clock, receiver } of members.splice(0)) await clock.settle(receiver.stop(), 1000)
  })

  it.each([
    ['of a term before its own', { ...MESSAGE, term: 2 }],
    ['for another member id', { ...MESSAGE, to: 4 }],
  ])('refuses one %s, and stages nothing', async (_, message) => {
    const member = await at()
    const { channel, heard } = leaderEnd(member)
    await say(member, channel, { ...OFFER, message })
    expect(heard).toEqual([{ kind: 'refused', why: 'stale' }, 'over'])
    expect([member.delivered, staged(member.disk), member.errors]).toEqual([[], undefined, []])
  })

  it.each([9, 10])(
    'lets its core answer and takes none of it when %i entries are committed here: it has all of entry 9',
    async (commitIndex) => {
      const member = await at({ commitIndex })
      const { channel, heard } = leaderEnd(member)
      await say(member, channel, OFFER)
      expect(heard).toEqual([{ kind: 'done' }, 'over'])
      expect(member.delivered).toEqual([{ message: MESSAGE, prepared: undefined }])
      expect(staged(member.disk)).toBeUndefined()
    },
  )

  it('ends a stream that another member opened than the one it speaks for, without blame for its own disk', async () => {
    const member = await at()
    const { channel, heard } = leaderEnd(member, 3)
    await say(member, channel, OFFER)
    expect(heard).toEqual(['over'])
    expect([member.delivered, member.errors]).toEqual([[], []])
  })

  it('ends a stream whose pairs do not begin where it stands', async () => {
    const member = await at()
    const { channel, heard } = leaderEnd(member)
    await say(member, channel, OFFER, { ...CHUNK, bytes: 1 })
    expect(heard).toEqual([{ kind: 'resume', bytes: 0, after: undefined }, 'over'])
    expect([staged(member.disk), member.errors]).toEqual([[], []])
  })

  it('gives the whole to its core, and throws away what that does not want', async () => {
    const member = await at({ outcome: 'unwanted' })
    const { channel, heard } = leaderEnd(member)
    await say(member, channel, OFFER, CHUNK)
    expect(heard.at(-2)).toEqual({ kind: 'done' })
    expect(member.delivered).toMatchObject([{ message: MESSAGE, prepared: { meta: META } }])
    expect(staged(member.disk)).toBeUndefined()
  })

  it('throws away what is not what was offered', async () => {
    const member = await at()
    const { channel, heard } = leaderEnd(member)
    const offer = { ...offerOf(7), digest: { ...offerOf(7).digest, sum: 1 } }
    await say(member, channel, { kind: 'offer', message: MESSAGE, offer }, CHUNK)
    expect(heard.at(-2)).toEqual({ kind: 'refused', why: 'not-what-was-offered' })
    expect([member.delivered, staged(member.disk)]).toEqual([[], undefined])
  })

  it('does not say that it is done when it ended meanwhile, and leaves what may be under installation as it is', async () => {
    const member = await at({ outcome: 'ended' })
    const { channel, heard } = leaderEnd(member)
    await say(member, channel, OFFER, CHUNK)
    expect(heard).not.toContainEqual({ kind: 'done' })
    expect(heard.at(-1)).toBe('over')
    expect(staged(member.disk)).toEqual(['a', 'b', 'c'])
  })

  it('goes over to a later stream, and goes on there where the first one stopped', async () => {
    const member = await at()
    const first = leaderEnd(member)
    await say(member, first.channel, OFFER, { ...CHUNK, pairs: PAIRS.slice(0, 1) })
    const second = leaderEnd(member)
    await say(member, second.channel, OFFER, { ...CHUNK, bytes: 201, pairs: PAIRS.slice(1) })
    expect(first.heard.at(-1)).toBe('over')
    expect(second.heard.slice(0, 1)).toEqual([{ kind: 'resume', bytes: 201, after: 'a' }])
    expect(second.heard.at(-2)).toEqual({ kind: 'done' })
    expect(member.errors).toEqual([])
  })

  it('goes on saying that it is there while it makes a complete state ready', async () => {
    const member = await at({ msALook: 600 })
    const { channel, heard } = leaderEnd(member)
    await say(member, channel, OFFER, CHUNK)
    const whole = { kind: 'staged', bytes: 603 } as const
    expect(heard.filter((frame) => frame !== 'over' && frame.kind === 'staged')).toContainEqual(whole)
    expect(heard.filter((frame) => frame !== 'over' && frame.kind === 'staged').length).toBeGreaterThan(1)
    expect(heard.at(-2)).toEqual({ kind: 'done' })
  })

  it('takes no stream after it was stopped', async () => {
    const member = await at()
    await member.clock.settle(member.receiver.stop(), 1000)
    const { channel, heard } = leaderEnd(member)
    await say(member, channel, OFFER).catch(() => {})
    await member.clock.run(10)
    expect(heard).toEqual(['over'])
    expect(staged(member.disk)).toBeUndefined()
  })

  it('reads no further in what is staged once it is told to stop, and gives nothing to its core', async () => {
    let loads = 0
    const stop: (() => void)[] = []
    const member = await at({
      onLoad: () => {
        loads++
        for (const tell of stop) tell()
      },
    })
    stop.push(() => void member.receiver.stop())
    const { channel, heard } = leaderEnd(member)
    await say(member, channel, OFFER, CHUNK)
    expect([loads, heard.at(-1), member.delivered, member.errors]).toEqual([1, 'over', [], []])
    expect(staged(member.disk)).toEqual(['a', 'b', 'c'])
  })

  it('that fails to stage says whose disk failed, but not when it was stopped before', async () => {
    for (const isStopped of [false, true]) {
      const written = Promise.withResolvers<void>()
      const member = await at({ onWrite: () => written.promise })
      const { channel } = leaderEnd(member)
      await say(member, channel, OFFER)
      const stopping = isStopped ? member.receiver.stop() : undefined
      written.reject(new Error('no space'))
      await member.clock.run(10)
      await stopping
      expect(member.errors.length).toBe(isStopped ? 0 : 1)
    }
  })
})
