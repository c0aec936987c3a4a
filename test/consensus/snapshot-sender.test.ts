// A leader's side of a snapshot by itself, against a follower's end that a test plays frame by frame: who gets one, what is pinned, when it gives up.
import { describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { SnapshotChannel } from '../../src/consensus/snapshot-channel.ts'
import { type SnapshotFrame } from '../../src/consensus/snapshot-frames.ts'
import { SnapshotSender } from '../../src/consensus/snapshot-sender.ts'
import { type NodeId, type SnapshotMeta, type StatePair, type StateView } from '../../src/consensus/types.ts'
import { manualClock } from '../fixture/manual-clock.ts'
import { memoryStreams } from '../fixture/memory-streams.ts'
import { bytes, confOf, snapshotAt } from './member.ts'

const CHUNK = 64 * 1024
/** Twice what may be under way to a follower that says nothing. */
const PAIRS: readonly StatePair[] = Array.from({ length: 32 }, (_, at) => ({
  key: String(at).padStart(2, '0'),
  value: bytes('x'.repeat(CHUNK - 2)),
}))
const ALL_BYTES = PAIRS.length * CHUNK
const WINDOW_BYTES = 1024 * 1024

interface View extends StateView {
  isClosed: boolean
  readonly begunAfter: (string | undefined)[]
  pagesOpen: number
}

class Leader {
  readonly clock = manualClock()
  readonly views: View[] = []
  readonly reports: [NodeId, boolean][] = []
  readonly errors: unknown[] = []
  /** What the follower's end of every stream heard, and that end. */
  readonly streams: {
    readonly to: NodeId
    readonly channel: SnapshotChannel
    readonly heard: (SnapshotFrame | 'over')[]
  }[] = []
  applied: SnapshotMeta = snapshotAt(100, 3, confOf([1, 2, 3, 4]))
  unreadable: Error | undefined
  readonly sender = new SnapshotSender({
    clock: this.clock,
    random: seededRandom(1),
    log: silentLog,
    transport: { openSnapshot: (to) => Promise.resolve(this.#open(to)) },
    limits: { snapshotChunkBytes: CHUNK, snapshotsAtATime: 2, keepEntries: 10 },
    applied: () => this.applied,
    view: async () => this.#view(),
    report: (to, ok) => this.reports.push([to, ok]),
    onError: (error) => this.errors.push(error),
  })

  /** As the core does it: asks for an offer, and sends it. False where there is none now. */
  async begin(to: NodeId): Promise<boolean> {
    const snapshot = this.sender.offer(to)
    if (snapshot !== undefined) this.sender.send({ kind: 'snapshot', from: 1, to, term: 3, snapshot })
    await this.clock.run(10)
    return snapshot !== undefined
  }

  /** Says it to the leader on the last stream, as its follower. */
  async say(...frames: readonly SnapshotFrame[]): Promise<void> {
    for (const frame of frames) {
      await this.last.channel.send(frame)
      await this.clock.run(10)
    }
  }

  async breakOff(): Promise<void> {
    this.last.channel.abort('the connection closed')
    await this.clock.run(10)
  }

  tick(...matches: readonly (readonly [NodeId, number])[]): void {
    const known = { recentActive: true, active: true, state: 'snapshot' } as const
    this.sender.tick(new Map(matches.map(([id, match]) => [id, { match, ...known }])))
  }

  get last() {
    const stream = this.streams.at(-1)
    if (stream === undefined) throw new Error('no stream was opened')
    return stream
  }

  get lastView(): View {
    const view = this.views.at(-1)
    if (view === undefined) throw new Error('no view was opened')
    return view
  }

  sentBytes(): number {
    return this.last.heard.filter((frame) => frame !== 'over' && frame.kind === 'chunk').length * CHUNK
  }

  #open(to: NodeId) {
    const [mine, theirs] = memoryStreams({
      clocks: [this.clock, this.clock],
      networkMs: 1,
      carry: (_side, piece) => piece,
    })
    const channel = new SnapshotChannel(theirs, this.clock, new AbortController().signal)
    const heard: (SnapshotFrame | 'over')[] = []
    const listen = async (): Promise<void> => {
      for (;;) heard.push(await channel.next())
    }
    listen().catch(() => heard.push('over'))
    this.streams.push({ to, channel, heard })
    return mine
  }

  #view(): View {
    if (this.unreadable !== undefined) throw this.unreadable
    const view: View = {
      meta: this.applied,
      digest: { count: PAIRS.length, bytes: ALL_BYTES, sum: 1 },
      isClosed: false,
      begunAfter: [],
      pagesOpen: 0,
      async *pages({ after }) {
        view.begunAfter.push(after)
        view.pagesOpen++
        try {
          for (const pair of PAIRS) if (after === undefined || pair.key > after) yield [pair]
        } finally {
          view.pagesOpen--
        }
      },
      close: async () => {
        view.isClosed = true
      },
    }
    this.views.push(view)
    return view
  }
}

const FROM_START: SnapshotFrame = { kind: 'resume', bytes: 0, after: undefined }

function stagedUpTo(count: number): SnapshotFrame {
  return { kind: 'staged', bytes: count * CHUNK }
}

describe('a leader that sends a snapshot', () => {
  it('has no more under way than its follower’s disk can be expected to take', async () => {
    const leader = new Leader()
    await leader.begin(2)
    await leader.say(FROM_START)
    await leader.clock.run(100)
    expect(leader.sentBytes()).toBe(WINDOW_BYTES + CHUNK)
    await leader.say(stagedUpTo(3))
    await leader.clock.run(100)
    expect(leader.sentBytes()).toBe(WINDOW_BYTES + 4 * CHUNK)
    await leader.sender.stop()
  })

  it('keeps the log from the moment of the offer on: its view is opened later', async () => {
    const leader = new Leader()
    const snapshot = leader.sender.offer(2)
    expect([leader.sender.pinned, leader.views]).toEqual([100, []])
    leader.applied = snapshotAt(120, 3, leader.applied.conf)
    if (snapshot !== undefined) leader.sender.send({ kind: 'snapshot', from: 1, to: 2, term: 3, snapshot })
    await leader.clock.run(10)
    expect(leader.sender.pinned).toBe(120)
    expect(leader.last.heard).toMatchObject([{ kind: 'offer', message: { snapshot: { index: 120 } }, offer: { meta: { index: 120 } } }])
    await leader.sender.stop()
  })

  it('reports once, closes its view and keeps the log from there on until the follower is near', async () => {
    const leader = new Leader()
    await leader.begin(2)
    expect(leader.sender.pinned).toBe(100)
    await leader.say(FROM_START, stagedUpTo(16), stagedUpTo(32))
    expect(leader.reports).toEqual([])
    await leader.say({ kind: 'done' })
    expect(leader.reports).toEqual([[2, true]])
    expect(leader.views).toMatchObject([{ isClosed: true, pagesOpen: 0 }])
    leader.applied = snapshotAt(200, 3, leader.applied.conf)
    leader.tick([2, 150])
    expect(leader.sender.pinned).toBe(150)
    leader.tick([2, 194])
    expect(leader.sender.pinned).toBe(194)
    leader.tick([2, 195])
    expect(leader.sender.pinned).toBe(Infinity)
    expect(leader.sender.isIdle).toBe(true)
  })

  it('keeps the log for 10 s, no longer, for a follower that does not go on after its snapshot', async () => {
    const leader = new Leader()
    await leader.begin(2)
    await leader.say({ kind: 'done' })
    leader.applied = snapshotAt(200, 3, leader.applied.conf)
    await leader.clock.run(9_900)
    leader.tick([2, 100])
    expect(leader.sender.pinned).toBe(100)
    await leader.clock.run(100)
    leader.tick([2, 100])
    expect(leader.sender.pinned).toBe(Infinity)
  })

  it('offers none to whom one is on its way, and not at once again where nothing got across', async () => {
    const leader = new Leader()
    await leader.begin(2)
    expect(await leader.begin(2)).toBe(false)
    for (const waitMs of [200, 400, 800, 1600, 3200, 5000, 5000]) {
      await leader.breakOff()
      await leader.clock.run(waitMs - 21)
      expect(await leader.begin(2)).toBe(false)
      await leader.clock.run(11)
      expect(await leader.begin(2)).toBe(true)
    }
    expect(leader.views).toHaveLength(1)
    expect(leader.reports).toEqual(Array.from({ length: 7 }, () => [2, false]))
    await leader.sender.stop()
  })

  it('goes on from the same view where the follower stands, and soon again once something got across', async () => {
    const leader = new Leader()
    await leader.begin(2)
    await leader.breakOff()
    await leader.clock.run(200)
    await leader.begin(2)
    await leader.say(FROM_START, stagedUpTo(2))
    await leader.breakOff()
    await leader.clock.run(200)
    expect(await leader.begin(2)).toBe(true)
    await leader.say({ kind: 'resume', bytes: 30 * CHUNK, after: '29' })
    expect(leader.sentBytes()).toBe(2 * CHUNK)
    expect(leader.views).toMatchObject([{ begunAfter: [undefined, '29'], isClosed: false }])
    const offers = leader.streams.map(({ heard }) => heard[0])
    expect(offers[2]).toEqual(offers[0])
    await leader.sender.stop()
    expect(leader.views).toMatchObject([{ isClosed: true, pagesOpen: 0 }])
  })

  it('holds a view for 30 s for a follower whose stream broke', async () => {
    const leader = new Leader()
    await leader.begin(2)
    await leader.breakOff()
    await leader.clock.run(29_000)
    leader.tick([2, 0])
    expect([leader.lastView.isClosed, leader.sender.pinned]).toEqual([false, 100])
    await leader.clock.run(1_000)
    leader.tick([2, 0])
    expect([leader.lastView.isClosed, leader.sender.pinned]).toEqual([true, Infinity])
  })

  it.each(['stale', 'not-what-was-offered'] as const)('makes another one, at once, where this one will never do: %s', async (why) => {
    const leader = new Leader()
    await leader.begin(2)
    await leader.say({ kind: 'refused', why })
    expect(leader.reports).toEqual([[2, false]])
    expect(leader.lastView.isClosed).toBe(true)
    expect(await leader.begin(2)).toBe(true)
    expect(leader.views).toHaveLength(2)
    await leader.sender.stop()
  })

  it.each([
    ['its follower is no member any more', (leader: Leader) => leader.tick([3, 0])],
    ['the log can be kept for it no longer', (leader: Leader) => leader.sender.unpin(101)],
    ['it leads no longer', (leader: Leader) => leader.sender.dropAll()],
  ])('gives it up when %s, on its way or held', async (_, happens) => {
    for (const isHeld of [false, true]) {
      const leader = new Leader()
      await leader.begin(2)
      await leader.say(FROM_START)
      if (isHeld) await leader.breakOff()
      leader.sender.unpin(100)
      leader.tick([2, 0])
      expect(leader.lastView.isClosed).toBe(false)
      happens(leader)
      await leader.clock.run(10)
      expect([leader.lastView.isClosed, leader.lastView.pagesOpen, leader.sender.isIdle]).toEqual([true, 0, true])
      expect(leader.reports).toEqual([[2, false]])
      expect(leader.last.heard.at(-1)).toBe('over')
    }
  })

  it('sends two at a time; of those that wait for their follower the one that waits longest yields to another', async () => {
    const leader = new Leader()
    await leader.begin(2)
    await leader.begin(3)
    expect(await leader.begin(4)).toBe(false)
    await leader.breakOff()
    const [second] = leader.streams
    second?.channel.abort('the connection closed')
    await leader.clock.run(10)
    expect(await leader.begin(4)).toBe(true)
    expect(leader.views.map(({ isClosed }) => isClosed)).toEqual([false, true, false])
    await leader.sender.stop()
    expect(leader.views.every(({ isClosed }) => isClosed)).toBe(true)
  })

  it('says that its own disk failed, and that the follower got nothing', async () => {
    const leader = new Leader()
    leader.unreadable = new Error('no such file')
    await leader.begin(2)
    expect([leader.errors, leader.reports]).toEqual([[leader.unreadable], [[2, false]]])
    await leader.sender.stop()
  })
})
