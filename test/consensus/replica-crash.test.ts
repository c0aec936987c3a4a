// Members that crash or whose parts fail, at every point where that can happen: nothing acknowledged is ever lost.
import { describe, expect, it } from 'vitest'
import { between, seededRandom } from '../../src/base/random.ts'
import { OperationError } from '../../src/base/errors.ts'
import { bootstrap } from '../../src/consensus/bootstrap.ts'
import { manualClock } from '../fixture/manual-clock.ts'
import { memoryLogDisk, openMemoryLog } from '../fixture/memory-log.ts'
import { memoryStateDisk, openMemoryState } from '../fixture/memory-state.ts'
import { ReplicaGroup } from '../fixture/replica-group.ts'
import { command } from '../fixture/text-machine.ts'

const FEW = { replica: { limits: { compactAbove: 12, keepEntries: 6 } } }

describe('a crash during a received snapshot', () => {
  /** Member 3 was away for so long that it needs a snapshot; it crashes when the disk write number `point` begins or ends. */
  const crashAt = async (point: number, keep: number): Promise<'crashed' | 'through'> => {
    const group = await ReplicaGroup.of([1, 2, 3], FEW)
    const leader = await group.leader()
    const away = [1, 2, 3].find((id) => id !== leader.id) ?? 0
    group.crash(away)
    group.hangUp(away)
    for (let at = 0; at < 40; at += 1) await group.commit(`set k${at} ${at}`)
    const member = await group.restart(away)
    const from = member.journal.length
    const reached = (): boolean => member.journal.slice(from).filter((line) => /^(log|state) /.test(line)).length >= point
    let through = false
    await group.clock.runUntil(
      'the point or the end is reached',
      () => {
        through = member.replica.status().appliedIndex === leader.replica.status().lastIndex
        return through || reached()
      },
      5000,
    )
    group.crash(away, { log: keep })
    group.hangUp(away)
    await group.restart(away)
    await group.commit('set after 1')
    await group.level()
    expect(group.get(away).machine.values).toEqual(leader.machine.values)
    expect(group.get(away).fatal).toEqual([])
    await group.stop()
    return through ? 'through' : 'crashed'
  }

  it('is mended at every point, whatever of the unsynced writes is left', async () => {
    const outcomes: string[] = []
    for (let point = 1; outcomes.at(-1) !== 'through'; point += 1) {
      for (const keep of [0, 1]) outcomes.push(await crashAt(point, keep))
    }
    expect(outcomes.filter((outcome) => outcome === 'crashed').length).toBeGreaterThanOrEqual(2 * 4)
  })
})

describe('random crashes of any members under load', () => {
  /** Every acknowledged write must be there in the end, on every member, in an order that the answers agree with. */
  const run = async (seed: number): Promise<number> => {
    const random = seededRandom(seed)
    const group = await ReplicaGroup.of([1, 2, 3], { seed: seed * 100, syncMs: 3, ...FEW })
    const acknowledged: string[] = []
    let crashes = 0
    for (let at = 0; at < 80; at += 1) {
      for (const { alive, replica } of group.members.values()) {
        if (!alive) continue
        const key = `k${at}-${replica.status().id}`
        replica.propose(command(`set ${key} x`), {}).then(
          () => acknowledged.push(key),
          () => {},
        )
      }
      await group.clock.run(between(random, 0, 120))
      const victim = between(random, 1, 3)
      const dead = [...group.members.values()].filter(({ alive }) => !alive)
      if (dead.length === 0 && random.float() < 0.5) {
        group.crash(victim, { log: between(random, 0, 2) })
        crashes += 1
        if (random.float() < 0.5) group.hangUp(victim)
      } else if (dead[0] !== undefined && random.float() < 0.5) {
        await group.restart(dead[0].id)
      }
    }
    for (const { id, alive } of group.members.values()) if (!alive) await group.restart(id)
    await group.level(20_000)
    const reference = group.get(1).machine.values
    for (const { machine, fatal } of group.members.values()) {
      expect(machine.values).toEqual(reference)
      expect(fatal).toEqual([])
    }
    expect(acknowledged.filter((key) => !reference.has(key))).toEqual([])
    expect(acknowledged.length).toBeGreaterThan(0)
    await group.stop()
    return crashes
  }

  it('lose nothing that was acknowledged', async () => {
    let crashes = 0
    for (let seed = 1; seed <= 15; seed += 1) crashes += await run(seed)
    expect(crashes).toBeGreaterThan(60)
  })
})

describe('a member whose', () => {
  const failing = async (breakIt: (group: ReplicaGroup, id: number) => void): Promise<{ group: ReplicaGroup; id: number }> => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.rest()
    breakIt(group, leader.id)
    return { group, id: leader.id }
  }
  const full = new OperationError('failed', 'no space left')

  it('log cannot be written acknowledges nothing, votes no more, and says so once', async () => {
    const { group, id } = await failing((world, leader) => {
      world.onDisk = (member, disk) => {
        if (member === leader && disk === 'log') throw full
      }
    })
    const leader = group.get(id)
    const proposal = leader.replica.propose(command('set a 1'), {})
    await expect(group.clock.settle(proposal, 1000)).rejects.toMatchObject({ code: 'timeout', data: { kind: 'unknown' } })
    leader.journal.length = 0
    await group.clock.run(3000)
    expect(leader.fatal).toHaveLength(1)
    expect(leader.journal).toEqual([])
    await expect(leader.replica.propose(command('set a 2'), {})).rejects.toMatchObject({ code: 'no-quorum', data: { kind: 'stopped' } })
    expect((await group.leader()).id).not.toBe(id)
    await group.stop()
  })

  it('log cannot be written as a follower does not acknowledge the entries', async () => {
    const { group, id } = await failing((world, leader) => {
      world.onDisk = (member, disk) => {
        if (member !== leader && disk === 'log') throw full
      }
    })
    let answers = 0
    group.deliver = (message) => {
      if (message.kind === 'append-response' && !message.reject) answers += 1
      return true
    }
    const controller = new AbortController()
    const proposal = group.get(id).replica.propose(command('set a 1'), { signal: controller.signal })
    await group.clock.run(400)
    controller.abort()
    await expect(proposal).rejects.toMatchObject({ code: 'timeout' })
    expect(answers).toBe(0)
    expect([1, 2, 3].filter((member) => group.get(member).fatal.length === 1)).toEqual([1, 2, 3].filter((member) => member !== id))
    await group.stop()
  })

  it('state cannot be written ends, and applies the rest again after a restart', async () => {
    const { group, id } = await failing((world, leader) => {
      world.onDisk = (member, disk) => {
        if (member === leader && disk === 'state') throw full
      }
    })
    await group.clock.settle(group.get(id).replica.propose(command('set a 1'), {}), 1000)
    await group.clock.run(3000)
    expect(group.get(id).fatal).toHaveLength(1)
    group.onDisk = () => {}
    await group.clock.settle(group.get(id).replica.stop(), 1000)
    await group.commit('set b 2')
    await group.restart(id)
    await group.level()
    expect([...group.get(id).machine.values]).toEqual([
      ['a', '1'],
      ['b', '2'],
    ])
    await group.stop()
  })

  it('machine does not know a command ends: it is never skipped', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    await group.commit('set a 1')
    leader.replica.propose(command('nonsense'), {}).catch(() => {})
    leader.replica.propose(command('set a 2'), {}).catch(() => {})
    await group.clock.run(200)
    for (const { fatal, machine, replica, stateDisk } of group.members.values()) {
      expect(fatal).toEqual([expect.objectContaining({ message: 'unknown command "nonsense"' })])
      expect(machine.values.get('a')).toBe('1')
      expect(stateDisk.current.meta.index).toBeLessThan(replica.status().commitIndex)
    }
    await group.stop()
  })

  it('stores do not belong together does not start', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    for (let at = 0; at < 5; at += 1) await group.commit(`set k${at} ${at}`)
    await group.rest()
    const { logDisk } = group.get(1)
    group.crash(1)
    const { hardState, snapshot, entries } = logDisk.current
    const cut = { hardState: { ...hardState, commit: snapshot.index }, snapshot, entries: entries.slice(0, 1) }
    await group.clock.settle(logDisk.open().write({ what: 'write', sync: true }, cut), 100)
    await group.clock.settle(group.get(1).stateDisk.open().write({ what: 'write', sync: true }, group.get(2).stateDisk.current), 100)
    await expect(group.restart(1)).rejects.toMatchObject({ code: 'failed', data: { kind: 'damaged' } })
    await group.stop()
  })
})

describe('the first state of a group', () => {
  const first = { voters: [1], values: new Map([['a', command('1')]]), commands: [command('set b 2'), command('set c 3')] }

  it('holds values and commands, which are applied at the first start', async () => {
    const group = new ReplicaGroup()
    const member = await group.add(1, first)
    await group.leader()
    expect([...member.machine.values]).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ])
    expect(member.machine.calls).toEqual(['2:1 set b 2', '3:1 set c 3'])
    expect(member.replica.status()).toMatchObject({ conf: { voters: [1] }, leading: true })
    await group.stop()
  })

  it('can be made again after a crash at any point, and never twice', async () => {
    for (const survivors of [0, 1, 2]) {
      const clock = manualClock()
      let writes = 0
      const gate = (): Promise<void> => {
        writes += 1
        return writes > survivors ? new Promise(() => {}) : Promise.resolve()
      }
      const logDisk = memoryLogDisk(gate)
      const stateDisk = memoryStateDisk(gate)
      void bootstrap(openMemoryLog(logDisk), openMemoryState(stateDisk), first)
      await clock.run(10)
      logDisk.crash()
      stateDisk.crash()
      writes = -10
      const again = bootstrap(openMemoryLog(logDisk), openMemoryState(stateDisk), first)
      if (survivors === 2) await expect(again).rejects.toMatchObject({ code: 'conflict', data: { kind: 'not-empty', lastIndex: 3 } })
      else await again
      expect(logDisk.current).toMatchObject({ hardState: { term: 1, commit: 3 }, snapshot: { index: 1, term: 1, conf: { voters: [1] } } })
      expect(logDisk.current.entries).toHaveLength(2)
      expect(stateDisk.current).toMatchObject({ meta: { index: 1, term: 1, conf: { voters: [1] } } })
    }
  })

  it('is in force even when the crash came between state and log', async () => {
    const group = new ReplicaGroup()
    const member = await group.add(1)
    await group.stop()
    const { logDisk, stateDisk } = member
    const log = openMemoryLog(logDisk)
    const broken = { ...log, write: () => Promise.reject(new Error('crash')) }
    await expect(group.clock.settle(bootstrap(broken, openMemoryState(stateDisk), first), 1000)).rejects.toThrow('crash')
    await group.restart(1)
    await group.leader()
    expect([...group.get(1).machine.values]).toEqual([['a', '1']])
    await group.stop()
  })
})
