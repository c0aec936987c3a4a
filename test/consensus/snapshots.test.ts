// Snapshots between members of a group in virtual time, whatever happens to the stream, the leader, the follower or its disk meanwhile.
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { encodeSnapshotFrame, type SnapshotFrame, SnapshotFrameReader } from '../../src/consensus/snapshot-frames.ts'
import { type ReplicaLimits } from '../../src/consensus/replica-options.ts'
import { type Message } from '../../src/consensus/types.ts'
import { type GroupOptions, type Member, ReplicaGroup } from '../fixture/replica-group.ts'
import { command } from '../fixture/text-machine.ts'

const VALUE = 'x'.repeat(500)
const KEYS = 80
/** Of what all keys and values have together. */
const STATE_BYTES = KEYS * (VALUE.length + 4)

const LIMITS: Partial<ReplicaLimits> = { compactAbove: 20, keepEntries: 10, snapshotChunkBytes: 2000 }

interface Scene {
  readonly group: ReplicaGroup
  readonly leader: Member
  /** Its log ends before that of the others begins. It is down. */
  readonly away: Member
  /** The third one. */
  readonly other: Member
  /** The leader's last append to `away`: the network still has it. */
  readonly late: readonly Message[]
  /** What left of the snapshots' streams, frame by frame. */
  readonly frames: { readonly from: number; readonly to: number; readonly frame: SnapshotFrame }[]
}

function frameOf(piece: Uint8Array): SnapshotFrame | undefined {
  return new SnapshotFrameReader().push(piece)[0]
}

async function scene(limits: Partial<ReplicaLimits> = {}, options: GroupOptions = {}): Promise<Scene> {
  const group = await ReplicaGroup.of([1, 2, 3], { ...options, replica: { limits: { ...LIMITS, ...limits } } })
  const leader = await group.leader()
  const [away, other] = [...group.members.values()].filter((member) => member !== leader)
  if (away === undefined || other === undefined) throw new Error('three members')
  const late: Message[] = []
  group.deliver = (message) => {
    const isLate = message.kind === 'append' && message.to === away.id && message.entries.length > 0
    if (isLate && late.length === 0) late.push(message)
    return !isLate
  }
  await group.commit('set early 1')
  group.deliver = () => true
  group.crash(away.id)
  group.hangUp(away.id)
  for (let at = 0; at < KEYS; at += 1) await group.commit(`set k${at % KEYS} ${VALUE}`)
  const frames: Scene['frames'] = []
  group.carry = (from, to, piece) => {
    const frame = frameOf(piece)
    if (frame !== undefined) frames.push({ from, to, frame })
    return piece
  }
  return { group, leader, away, other, late, frames }
}

/** Changes what is carried, and still notes what was sent. */
function intercept({ group }: Scene, change: (frame: SnapshotFrame | undefined, piece: Uint8Array) => Uint8Array | undefined): void {
  const { carry } = group
  group.carry = (from, to, piece) => {
    carry(from, to, piece)
    return change(frameOf(piece), piece)
  }
}

function chunks({ frames }: Scene): number {
  return frames.filter(({ frame }) => frame.kind === 'chunk').length
}

function chunkBytes({ frames }: Scene): number {
  return frames.reduce((sum, { frame }) => sum + (frame.kind === 'chunk' ? encodeSnapshotFrame(frame).length : 0), 0)
}

function streams(member: Member): number {
  return member.journal.filter((line) => line.startsWith('stream ')).length
}

/** Holds every write of chunks at `id`, or the installation, back until it is called. */
function holdStaging(all: Scene, id: number, what: 'stage' | 'install' = 'stage'): () => void {
  const held = Promise.withResolvers<void>()
  all.group.onDisk = (member, _disk, write) => (member === id && write.what === what && chunks(all) > 0 ? held.promise : undefined)
  return held.resolve
}

async function expectEqual({ group, away }: Scene, limitMs = 5000): Promise<void> {
  await group.level(limitMs)
  const leader = await group.leader()
  expect(group.get(away.id).machine.values).toEqual(leader.machine.values)
  for (const { fatal } of group.members.values()) expect(fatal).toEqual([])
}

describe('a snapshot', () => {
  it('comes in chunks of the limit’s size, each acknowledged, and the log goes on behind it', async () => {
    const all = await scene()
    const { group, away, leader } = all
    await group.restart(away.id)
    await expectEqual(all)
    expect(streams(leader)).toBe(1)
    expect(chunks(all)).toBeGreaterThan(10)
    const sizes = all.frames.flatMap(({ frame }) => (frame.kind === 'chunk' ? [encodeSnapshotFrame(frame).length] : []))
    expect(Math.max(...sizes)).toBeLessThan(2000 + 600)
    expect(all.frames.filter(({ frame }) => frame.kind === 'staged').length).toBe(chunks(all))
    await group.clock.run(10)
    expect(all.frames.at(-1)?.frame).toEqual({ kind: 'done' })
    await group.stop()
  })

  it('goes on where its stream broke', async () => {
    const all = await scene()
    const { group, away, leader } = all
    let broken = 0
    intercept(all, (frame, piece) => {
      if (frame?.kind !== 'staged' || frame.bytes < ((broken + 1) * STATE_BYTES) / 4 || broken === 3) return piece
      broken += 1
      return undefined
    })
    await group.restart(away.id)
    await expectEqual(all)
    expect(broken).toBe(3)
    expect(streams(leader)).toBe(4)
    const resumes = all.frames.flatMap(({ frame }) => (frame.kind === 'resume' ? [frame.bytes] : []))
    expect(resumes[0]).toBe(0)
    expect(resumes.slice(1).every((bytes, at) => bytes >= ((at + 1) * STATE_BYTES) / 4)).toBe(true)
    await group.stop()
  })

  it('whose follower is killed while it stages goes on from what its disk still has', async () => {
    const all = await scene()
    const { group, away, leader } = all
    const isHalf = (): boolean => all.frames.some(({ frame }) => frame.kind === 'staged' && frame.bytes > STATE_BYTES / 2)
    await group.restart(away.id)
    await group.clock.runUntil('half is staged', isHalf, 2000)
    group.crash(away.id, { state: 8 })
    group.hangUp(away.id)
    await group.clock.run(300)
    await group.restart(away.id)
    await expectEqual(all)
    const resumes = all.frames.flatMap(({ frame }) => (frame.kind === 'resume' ? [frame.bytes] : []))
    expect(resumes).toHaveLength(2)
    expect(resumes[1]).toBeGreaterThan(2000)
    expect(resumes[1]).toBeLessThan(STATE_BYTES / 2)
    expect(streams(leader)).toBeGreaterThanOrEqual(2)
    await group.stop()
  })

  it('is begun anew by the next leader when its leader dies, or gives up leading, in the middle', async () => {
    for (const end of ['crash', 'transfer'] as const) {
      const all = await scene()
      const { group, away, leader, other } = all
      const release = holdStaging(all, away.id)
      await group.restart(away.id)
      await group.clock.runUntil('it has begun', () => chunks(all) > 0, 1000)
      if (end === 'crash') {
        group.crash(leader.id)
        group.hangUp(leader.id)
      } else {
        await group.clock.settle(leader.replica.transferLeadership(other.id, { signal: new AbortController().signal }), 1000)
      }
      release()
      await group.commit('set after 1')
      await expectEqual(all)
      expect(streams(other)).toBe(1)
      expect(new Set(all.frames.flatMap(({ frame }) => (frame.kind === 'offer' ? [frame.offer.id] : []))).size).toBe(2)
      await group.stop()
    }
  })

  it('that was damaged on its way is noticed, and sent again', async () => {
    const all = await scene()
    const { group, away, leader } = all
    let damaged = 0
    intercept(all, (frame, piece) => {
      if (frame?.kind !== 'chunk' || frame.bytes < STATE_BYTES / 2 || damaged > 0) return piece
      damaged += 1
      const flipped = piece.slice()
      flipped[flipped.length - 7] = (flipped[flipped.length - 7] ?? 0) ^ 1
      return flipped
    })
    await group.restart(away.id)
    await expectEqual(all)
    expect(damaged).toBe(1)
    expect(streams(leader)).toBe(2)
    await group.stop()
  })

  it('that is not what was offered is refused as a whole, and another one is made', async () => {
    const all = await scene()
    const { group, away, leader } = all
    let wrong = 0
    intercept(all, (frame, piece) => {
      const [first, ...rest] = frame?.kind === 'chunk' ? frame.pairs : []
      if (frame?.kind !== 'chunk' || first === undefined || wrong > 0) return piece
      wrong += 1
      return encodeSnapshotFrame({ ...frame, pairs: [{ ...first, value: first.value.map((byte) => byte + 1) }, ...rest] })
    })
    await group.restart(away.id)
    await expectEqual(all)
    expect(all.frames.filter(({ frame }) => frame.kind === 'refused').map(({ frame }) => frame)).toEqual([
      { kind: 'refused', why: 'not-what-was-offered' },
    ])
    expect(streams(leader)).toBe(2)
    await group.stop()
  })

  it('shows what was written until its view, and nothing of what is written while it travels', async () => {
    const all = await scene({ keepEntries: 100, compactAbove: 200, pinnedEntries: 1000 })
    const { group, away } = all
    for (let at = 0; at < 200; at += 1) await group.commit(`set k${at % KEYS} ${VALUE}`)
    const release = holdStaging(all, away.id)
    await group.restart(away.id)
    await group.clock.runUntil('it has begun', () => chunks(all) > 0, 1000)
    for (let at = 0; at < 30; at += 1) await group.commit(`set k${at} later`)
    release()
    await expectEqual(all)
    const offers = all.frames.flatMap(({ frame }) => (frame.kind === 'offer' ? [frame.offer] : []))
    expect(offers).toHaveLength(1)
    expect(offers[0]?.digest.bytes).toBeGreaterThan(STATE_BYTES - 2 * KEYS)
    expect(chunkBytes(all)).toBeGreaterThan(STATE_BYTES)
    await group.stop()
  })
})

describe('while a snapshot travels', () => {
  it('the log is kept for its follower, which then needs no other', async () => {
    const all = await scene({ pinnedEntries: 500 })
    const { group, away, leader } = all
    const release = holdStaging(all, away.id)
    await group.restart(away.id)
    await group.clock.runUntil('it has begun', () => chunks(all) > 0, 1000)
    const { lastIndex } = leader.replica.status()
    for (let at = 0; at < 200; at += 1) await group.commit(`set later${at} x`)
    expect(leader.replica.status().firstIndex).toBeLessThanOrEqual(lastIndex + 1)
    release()
    await expectEqual(all)
    expect(streams(leader)).toBe(1)
    await group.clock.run(100)
    for (let at = 0; at < 30; at += 1) await group.commit(`set last${at} x`)
    await group.rest()
    expect(leader.replica.status().lastIndex - leader.replica.status().firstIndex).toBeLessThanOrEqual(21)
    await group.stop()
  })

  it('the log is not kept beyond its limit: a newer snapshot takes the place of one that takes too long', async () => {
    const all = await scene({ pinnedEntries: 60 })
    const { group, away, leader } = all
    const release = holdStaging(all, away.id)
    await group.restart(away.id)
    await group.clock.runUntil('it has begun', () => chunks(all) > 0, 1000)
    let longest = 0
    for (let at = 0; at < 200; at += 1) {
      await group.commit(`set later${at} x`)
      const { lastIndex, firstIndex } = leader.replica.status()
      longest = Math.max(longest, lastIndex - firstIndex + 1)
    }
    expect(longest).toBeLessThanOrEqual(60 + 25)
    expect(longest).toBeGreaterThan(50)
    release()
    await expectEqual(all, 20_000)
    const offers = all.frames.flatMap(({ frame }) => (frame.kind === 'offer' ? [frame.offer] : []))
    expect(new Set(offers.map(({ id }) => id)).size).toBeGreaterThan(1)
    expect(offers.at(-1)?.meta.index).toBeGreaterThan((offers[0]?.meta.index ?? 0) + 60)
    await group.stop()
  })

  it('its follower may be writing its log: what is ready meanwhile is installed after that', async () => {
    const all = await scene()
    const { group, away, late } = all
    const release = holdStaging(all, away.id)
    const member = await group.restart(away.id)
    await group.clock.runUntil('it has begun', () => chunks(all) > 0, 1000)
    const writing = Promise.withResolvers<void>()
    group.onDisk = (id, disk, { what }) => (id === away.id && disk === 'log' && what === 'write' ? writing.promise : undefined)
    for (const message of late) member.replica.receive(message)
    release()
    await group.clock.run(500)
    expect(all.frames.filter(({ frame }) => frame.kind === 'staged')).toHaveLength(chunks(all))
    expect(member.journal.at(-1)).not.toBe('state install')
    writing.resolve()
    await expectEqual(all)
    expect(streams(all.leader)).toBe(1)
    expect(member.journal).toContain('state install')
    await group.stop()
  })

  it('no more than two travel at a time; the others get theirs in their turn', async () => {
    const group = await ReplicaGroup.of([1], { replica: { limits: LIMITS } })
    for (let at = 0; at < 40; at += 1) await group.commit(`set k${at} ${VALUE}`)
    const leader = group.get(1)
    const open = new Set<number>()
    let most = 0
    group.carry = (from, to, piece) => {
      const frame = frameOf(piece)
      if (frame?.kind === 'offer') open.add(to)
      most = Math.max(most, open.size)
      if (frame?.kind === 'done') open.delete(from)
      return piece
    }
    for (const id of [2, 3, 4, 5, 6]) {
      await group.add(id)
      const change = { transition: 'auto', changes: [{ kind: 'add-learner', node: id }], context: command('') } as const
      await group.clock.settle(leader.replica.proposeConfChange(change, {}), 1000)
    }
    await group.level(10_000)
    for (const { machine } of group.members.values()) expect(machine.values).toEqual(leader.machine.values)
    expect(most).toBe(2)
    expect(streams(leader)).toBe(5)
    await group.stop()
  })
})

describe('a follower', () => {
  it('that is stopped, or fails, while a snapshot is installed has the old state or the new one', async () => {
    for (const end of ['stop', 'log fails'] as const) {
      const all = await scene()
      const { group, away } = all
      const release = holdStaging(all, away.id, 'install')
      const member = await group.restart(away.id)
      await group.clock.runUntil('it installs', () => member.journal.at(-1) === 'state install', 5000)
      const from = member.journal.length
      const stopping = end === 'stop' ? member.replica.stop() : undefined
      await group.clock.run(50)
      expect(member.journal.slice(from).filter((line) => line.startsWith('state'))).toEqual([])
      if (stopping === undefined) {
        group.onDisk = (id, disk) => {
          if (id === away.id && disk === 'log') throw new OperationError('failed', 'no space left')
        }
      }
      release()
      await (stopping === undefined
        ? group.clock.runUntil('it failed', () => member.fatal.length === 1, 1000)
        : group.clock.settle(stopping, 1000))
      expect(member.journal.slice(from).filter((line) => line === 'state stage')).toEqual([])
      group.onDisk = () => {}
      group.crash(away.id)
      member.fatal.length = 0
      await group.restart(away.id)
      await expectEqual(all)
      await group.stop()
    }
  })

  it('whose disk is full rests, and gets the rest when there is space again', async () => {
    const all = await scene({}, { lasting: true })
    const { group, away, leader } = all
    let isFull = true
    let failures = 0
    group.onDisk = (id, _disk, { what }) => {
      if (id !== away.id || what !== 'stage' || !isFull || chunks(all) < 10) return
      failures += 1
      throw new OperationError('failed', 'no space left')
    }
    await group.restart(away.id)
    await group.clock.runUntil('it is full', () => failures > 2, 20_000)
    await group.commit('set meanwhile 1')
    isFull = false
    await expectEqual(all, 40_000)
    expect(leader.fatal).toEqual([])
    await group.stop()
  })
})
