// Members that come and go: changes of the configuration, snapshots for newcomers, a log that is cut.
import { describe, expect, it } from 'vitest'
import { encodeConfChange } from '../../src/consensus/conf-codec.ts'
import { type ConfChange, type ConfChangeStep } from '../../src/consensus/types.ts'
import { ReplicaGroup } from '../fixture/replica-group.ts'
import { command } from '../fixture/text-machine.ts'

const FEW = { replica: { limits: { compactAbove: 20, keepEntries: 10 } } }

function change(kind: ConfChangeStep['kind'], node: number, text = ''): ConfChange {
  return { transition: 'auto', changes: [{ kind, node }], context: command(text) }
}

/** Carries a change through whoever leads. */
async function reconfigure(group: ReplicaGroup, wanted: ConfChange): Promise<unknown> {
  const leader = await group.leader()
  return (await group.clock.settle(leader.replica.proposeConfChange(wanted, {}), 2000)).result
}

describe('a change of the configuration', () => {
  it('is applied with the command that it carries, as one entry', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    await group.commit('set a 1')
    expect(await reconfigure(group, change('add-learner', 4, 'set a joined'))).toBe('1')
    await group.level()
    for (const { replica, machine, stateDisk } of group.members.values()) {
      expect(replica.status().conf).toMatchObject({ voters: [1, 2, 3], learners: [4] })
      expect(machine.values.get('a')).toBe('joined')
      expect(machine.calls.at(-1)).toMatch(/ set a joined$/)
      await group.clock.runUntil('the state is stored', () => stateDisk.current.meta.conf.learners.includes(4), 100)
    }
    await group.stop()
  })

  it('that the state machine refuses changes nothing, and is no obstacle to the next', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    expect(await reconfigure(group, change('add-learner', 4, 'refuse'))).toBe('refused')
    await group.rest()
    for (const { replica, stateDisk } of group.members.values()) {
      expect(replica.status().conf.learners).toEqual([])
      expect(stateDisk.current.meta.conf.learners).toEqual([])
    }
    await reconfigure(group, change('add-learner', 5, 'set a 1'))
    await group.level()
    expect(group.get(1).replica.status().conf.learners).toEqual([5])
    await group.stop()
  })

  it('without a command is nothing for the state machine', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    expect(await reconfigure(group, change('add-learner', 4))).toBeUndefined()
    await group.level()
    expect(group.get(1).replica.status().conf.learners).toEqual([4])
    expect(group.get(1).machine.calls).toEqual([])
    await group.stop()
  })

  it('is refused while another is under way', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    const leader = await group.leader()
    const first = leader.replica.proposeConfChange(change('add-learner', 4), {})
    const second = leader.replica.proposeConfChange(change('add-learner', 5), {})
    await expect(group.clock.settle(second, 1000)).rejects.toMatchObject({ code: 'conflict', data: { kind: 'pending-change' } })
    await group.clock.settle(first, 1000)
    await group.stop()
  })

  it('survives a restart of every member', async () => {
    const group = await ReplicaGroup.of([1, 2, 3])
    await reconfigure(group, change('add-learner', 4, 'set a 1'))
    await group.level()
    for (const id of [1, 2, 3]) group.crash(id)
    for (const id of [1, 2, 3]) await group.restart(id)
    await group.level()
    for (const { replica, machine } of group.members.values()) {
      expect(replica.status().conf).toMatchObject({ voters: [1, 2, 3], learners: [4] })
      expect(machine.values.get('a')).toBe('1')
    }
    await group.stop()
  })

  it('that no member can read ends all of them: it is never skipped', async () => {
    const group = await ReplicaGroup.of([1])
    const { logDisk } = group.get(1)
    await group.commit('set a 1')
    await group.stop()
    const { hardState, snapshot, entries } = logDisk.current
    const bad = { index: snapshot.index + entries.length + 1, term: hardState.term, kind: 'config' as const, data: Uint8Array.of(9, 9, 9) }
    await group.clock.settle(logDisk.open().write({ what: 'write', sync: true }, { hardState, snapshot, entries: [...entries, bad] }), 100)
    const { fatal } = await group.restart(1)
    await group.clock.runUntil('it ended', () => fatal.length === 1, 2000)
    expect(fatal).toEqual([expect.objectContaining({ code: 'failed' })])
    await group.stop()
  })
})

describe('a new member', () => {
  it('with an empty log gets the state as a snapshot, then the rest, learns, votes, leads, and goes', async () => {
    const group = await ReplicaGroup.of([1])
    for (let at = 0; at < 20; at += 1) await group.commit(`set k${at} ${at}`)
    const newcomer = await group.add(2)
    await reconfigure(group, change('add-learner', 2, 'set member two'))
    await group.level()
    expect(newcomer.machine.values).toEqual(group.get(1).machine.values)
    expect(newcomer.logDisk.current.snapshot.index).toBeGreaterThan(0)
    await reconfigure(group, change('add-voter', 2))
    await group.clock.settle(group.get(1).replica.transferLeadership(2, { signal: new AbortController().signal }), 500)
    await group.clock.runUntil('it leads', () => newcomer.replica.status().leading, 500)
    await reconfigure(group, change('remove', 1))
    await group.clock.run(200)
    expect(newcomer.replica.status().conf.voters).toEqual([2])
    await group.commit('set alone 1')
    await group.stop()
  })

  it('gets the snapshot again soon when its stream broke', async () => {
    const group = await ReplicaGroup.of([1])
    await group.commit('set a 1')
    let pieces = 0
    group.carry = (_from, _to, piece) => (++pieces === 3 ? undefined : piece)
    const newcomer = await group.add(2)
    await reconfigure(group, change('add-learner', 2))
    await group.clock.runUntil('the stream broke', () => pieces === 3, 500)
    expect(newcomer.replica.status().appliedIndex).toBe(0)
    await group.clock.run(400)
    expect(newcomer.machine.values.get('a')).toBe('1')
    await group.stop()
  })

  it('gets the snapshot after 30 s when the leader hears nothing more of a stream that is open', async () => {
    const group = await ReplicaGroup.of([1])
    await group.commit('set a 1')
    let isDeaf = true
    group.carry = (from, _to, piece) => (isDeaf && from === 2 ? new Uint8Array(0) : piece)
    const newcomer = await group.add(2)
    await reconfigure(group, change('add-learner', 2))
    await group.clock.run(29_000)
    isDeaf = false
    expect(newcomer.replica.status().appliedIndex).toBe(0)
    await group.clock.run(2000)
    expect(newcomer.machine.values.get('a')).toBe('1')
    await group.stop()
  })

  it('gets the newest snapshot, not one made for another', async () => {
    const group = await ReplicaGroup.of([1], FEW)
    for (const id of [2, 3]) {
      for (let at = 0; at < 60; at += 1) await group.commit(`set k${at}-${id} x`)
      const newcomer = await group.add(id)
      await reconfigure(group, change('add-learner', id))
      await group.level()
      expect(newcomer.machine.values).toEqual(group.get(1).machine.values)
    }
    await group.stop()
  })

  it('tells a proposer whose entry a snapshot skipped that the outcome is unknown', async () => {
    const group = await ReplicaGroup.of([1, 2, 3], FEW)
    const old = await group.leader()
    group.deliver = ({ from, to }) => from !== old.id && to !== old.id
    const outcome = old.replica.propose(command('set a lost'), {}).catch((error: unknown) => error)
    await group.clock.run(3000)
    for (let at = 0; at < 60; at += 1) await group.commit(`set k${at} ${at}`)
    group.deliver = () => true
    await group.level()
    expect(await group.clock.settle(outcome, 10)).toMatchObject({ code: 'timeout', data: { kind: 'unknown' } })
    expect(old.machine.values).toEqual((await group.leader()).machine.values)
    await group.stop()
  })
})

it('a snapshot that comes while the log is being cut waits for the end of that', async () => {
  const group = await ReplicaGroup.of([1, 2, 3], FEW)
  const leader = await group.leader()
  const slow = [1, 2, 3].find((id) => id !== leader.id) ?? 0
  const release = Promise.withResolvers<void>()
  let held = false
  group.onDisk = (id, _disk, { what }) => {
    if (id !== slow || what !== 'compact') return undefined
    held = true
    return release.promise
  }
  for (let at = 0; !held; at += 1) {
    await group.commit(`set k${at} x`)
    await group.rest()
  }
  group.deliver = ({ from, to }) => from !== slow && to !== slow
  for (let at = 0; at < 60; at += 1) await group.commit(`set later${at} x`)
  group.deliver = () => true
  group.get(slow).journal.length = 0
  await group.clock.run(500)
  expect(group.get(slow).journal).not.toContain('state install')
  release.resolve()
  await group.level()
  expect(group.get(slow).journal).toContain('state install')
  expect(group.get(slow).machine.values).toEqual(leader.machine.values)
  expect(group.get(slow).fatal).toEqual([])
  await group.stop()
})

describe('a long log', () => {
  it('is cut to its tail, only when the state that it led to is durable', async () => {
    const group = await ReplicaGroup.of([1, 2, 3], FEW)
    let cuts = 0
    group.onDisk = (id, disk, write) => {
      const { logDisk, stateDisk } = group.get(id)
      if (write.what !== 'compact') return
      cuts += 1
      const cut = logDisk.current.snapshot.index
      const copy = stateDisk.current.meta.index
      expect(disk).toBe('log')
      expect(stateDisk.unsyncedGroups === 0 || copy > cut).toBe(true)
    }
    for (let at = 0; at < 100; at += 1) await group.commit(`set k${at % 7} ${at}`)
    await group.rest()
    for (const { replica, logDisk } of group.members.values()) {
      const { firstIndex, lastIndex } = replica.status()
      expect(lastIndex - firstIndex + 1).toBeLessThanOrEqual(21)
      expect(lastIndex - firstIndex + 1).toBeGreaterThanOrEqual(10)
      expect(logDisk.current.snapshot).toMatchObject({ index: firstIndex - 1, conf: { voters: [1, 2, 3] } })
    }
    expect(cuts).toBeGreaterThanOrEqual(3 * 8)
    await group.stop()
  })

  it('keeps enough for a member that was away a little: no snapshot', async () => {
    const group = await ReplicaGroup.of([1, 2, 3], FEW)
    const leader = await group.leader()
    const away = [1, 2, 3].find((id) => id !== leader.id) ?? 0
    let snapshots = 0
    group.deliver = ({ kind }) => {
      if (kind === 'snapshot') snapshots += 1
      return true
    }
    for (let round = 0; round < 6; round += 1) {
      group.crash(away)
      for (let at = 0; at < 9; at += 1) await group.commit(`set k${at} ${round}`)
      await group.restart(away)
      await group.rest()
    }
    expect(snapshots).toBe(0)
    await group.stop()
  })

  it('starts with the configuration of its own beginning, though that changed since', async () => {
    const group = await ReplicaGroup.of([1], FEW)
    for (let at = 0; at < 15; at += 1) await group.commit(`set k ${at}`)
    await reconfigure(group, change('add-learner', 9))
    const changed = group.get(1).replica.status().appliedIndex
    for (let at = 0; at < 40; at += 1) {
      await group.commit(`set k ${at}`)
      const { snapshot } = group.get(1).logDisk.current
      expect(snapshot.conf.learners).toEqual(snapshot.index >= changed ? [9] : [])
    }
    await group.rest()
    expect(group.get(1).logDisk.current.snapshot.index).toBeGreaterThan(changed)
    await group.stop()
  })
})

it('a change that says nothing has no bytes, so an entry without data is read as one', () => {
  expect(encodeConfChange({ transition: 'auto', changes: [], context: new Uint8Array(0) })).toHaveLength(0)
})
