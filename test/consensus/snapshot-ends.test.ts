// The stream of a snapshot and both sides of it at their end: a peer that does not wait or says nothing, a leader no longer, a member that ended.
import { describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { LIMITS } from '../../src/consensus/replica-options.ts'
import { SnapshotChannel } from '../../src/consensus/snapshot-channel.ts'
import { encodeSnapshotFrame, type SnapshotFrame } from '../../src/consensus/snapshot-frames.ts'
import { Snapshots } from '../../src/consensus/snapshots.ts'
import { type Message } from '../../src/consensus/types.ts'
import { errorOf } from '../fixture/error-of.ts'
import { type ManualClock, manualClock } from '../fixture/manual-clock.ts'
import { memoryLogDisk, openMemoryLog } from '../fixture/memory-log.ts'
import { memoryStateDisk, openMemoryState } from '../fixture/memory-state.ts'
import { memoryStreams } from '../fixture/memory-streams.ts'
import { textMachine } from '../fixture/text-machine.ts'
import { confOf, Member, snapshotAt } from './member.ts'

function streamsOf(clock: ManualClock) {
  return memoryStreams({ clocks: [clock, clock], networkMs: 1, carry: (_side, piece) => piece })
}

function channelOver(stream: ReturnType<typeof streamsOf>[number], clock: ManualClock): SnapshotChannel {
  return new SnapshotChannel(stream, clock, new AbortController().signal)
}

describe('the stream of a snapshot', () => {
  it.each([
    [64, null],
    [65, 'the other end of a snapshot sends without waiting'],
  ])('holds %i frames that nobody takes, and ends with the cause %s', async (count, cause) => {
    const clock = manualClock()
    const [mine, theirs] = streamsOf(clock)
    const channel = channelOver(theirs, clock)
    const causes: (string | null)[] = []
    mine.onClose((why) => causes.push(why))
    for (let at = 0; at < count; at++) await mine.write(encodeSnapshotFrame({ kind: 'staged', bytes: at }))
    await clock.run(10)
    channel.close()
    await clock.run(10)
    expect(causes).toEqual([cause])
  })

  it('gives out what came before its end, and then says why it ended, to whoever hears or sends', async () => {
    const clock = manualClock()
    const [mine, theirs] = streamsOf(clock)
    const channel = channelOver(theirs, clock)
    await mine.write(encodeSnapshotFrame({ kind: 'done' }))
    await clock.run(10)
    mine.abort('the power is gone')
    await clock.run(10)
    expect(await clock.settle(channel.next(), 10)).toEqual({ kind: 'done' })
    for (const use of [() => channel.next(), () => channel.send({ kind: 'done' })]) {
      expect(await errorOf(clock.settle<unknown>(use(), 10))).toMatchObject({
        code: 'unreachable',
        message: expect.stringContaining('the power is gone'),
      })
    }
  })

  it('is given up after 30 s of silence', async () => {
    const clock = manualClock()
    const [, theirs] = streamsOf(clock)
    const hearing = errorOf(channelOver(theirs, clock).next())
    let isOver = false
    void hearing.then(() => (isOver = true))
    await clock.run(29_999)
    expect(isOver).toBe(false)
    await clock.run(1)
    expect(await hearing).toMatchObject({ code: 'timeout' })
  })
})

describe('both sides of snapshots', () => {
  function sides(role: 'leader' | 'follower') {
    const clock = manualClock()
    const status = { ...new Member({ term: 3 }).raft.status(), role, commitIndex: 100 }
    const stepped: Message[] = []
    const snapshots = new Snapshots({
      replica: {
        ...{ id: 1, clock, random: seededRandom(1), log: silentLog, machine: textMachine(), tickMs: 50 },
        ...{ logStore: openMemoryLog(memoryLogDisk()), stateStore: openMemoryState(memoryStateDisk()), onFatal: () => {} },
        transport: { send: () => {}, openSnapshot: () => new Promise(() => {}) },
      },
      limits: LIMITS,
      applied: () => snapshotAt(100, 3, confOf([1, 2, 3])),
      view: () => new Promise(() => {}),
      status: () => status,
      step: (message) => stepped.push(message),
      report: () => {},
      onError: () => {},
    })
    return { clock, snapshots, stepped, status }
  }

  it('keep the log for a follower that was offered one, as long as this member leads', () => {
    const { snapshots, status } = sides('leader')
    expect(snapshots.offer(2)).toMatchObject({ index: 100 })
    Object.assign(status, { progress: new Map([[2, { match: 0, recentActive: true, active: true, state: 'snapshot' }]]) })
    snapshots.tick()
    expect(snapshots.cutIndex(150)).toBe(100)
    status.role = 'follower'
    snapshots.tick()
    expect(snapshots.cutIndex(150)).toBe(150)
  })

  it('offer nothing, and give the core nothing, once the member has ended; whoever waits for that is let go', async () => {
    for (const isEnded of [false, true]) {
      const { clock, snapshots, stepped } = sides('follower')
      if (isEnded) snapshots.end()
      expect(snapshots.offer(3) === undefined).toBe(isEnded)
      const [mine, theirs] = streamsOf(clock)
      const channel = channelOver(mine, clock)
      snapshots.receive(theirs, 2)
      const meta = snapshotAt(9, 3, confOf([1, 2]))
      const offer = { id: 7, meta, digest: { count: 0, bytes: 0, sum: 0 } }
      const frame: SnapshotFrame = { kind: 'offer', message: { kind: 'snapshot', from: 2, to: 1, term: 3, snapshot: meta }, offer }
      await channel.send(frame)
      await clock.run(10)
      expect(stepped).toHaveLength(isEnded ? 0 : 1)
      await clock.settle(snapshots.stop(), 1000)
    }
  })
})
