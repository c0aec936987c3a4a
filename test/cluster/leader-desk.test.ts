// Who may ask the leader for what, and which commands change the members of the Raft group.
import { beforeEach, describe, expect, it } from 'vitest'
import { exitCode } from '../../src/base/errors.ts'
import { emitter } from '../../src/base/emitter.ts'
import { leaderDesk, type LeaderDesk, type LeaderDeskOptions } from '../../src/cluster/leader-desk.ts'
import { inventoryMachine, type InventoryMachine } from '../../src/cluster/inventory-machine.ts'
import { type ProposeRequest } from '../../src/cluster/wire.ts'
import { encodeConfChange } from '../../src/consensus/conf-codec.ts'
import { members } from '../../src/cluster/members.ts'
import { type ReplicaStatus } from '../../src/consensus/replica.ts'
import { type ConfChange, type ConfState } from '../../src/consensus/types.ts'
import { type AdminCommand, type Command, type HostCommand } from '../../src/inventory/command.ts'
import { RESERVE_MIB } from '../../src/inventory/load.ts'
import { decodeRecord } from '../../src/inventory/record.ts'
import { toRows } from '../../src/inventory/snapshot.ts'
import { aJoiner, aMesh, hostId, memberId, someVm, tokenId, vmId } from '../fixture/inventory.ts'
import { restoreWhole } from '../fixture/loaded-state.ts'
import { type ManualClock, manualClock } from '../fixture/manual-clock.ts'

interface Proposed {
  readonly data: Uint8Array
  readonly change: ConfChange | null
  readonly term: number | undefined
}

let machine: InventoryMachine
let proposed: Proposed[]
let desk: LeaderDesk
let clock: ManualClock
let status: ReplicaStatus
let freeMiB: number | null
const statuses = emitter<ReplicaStatus>()
const { signal } = new AbortController()

function become(changes: Partial<ReplicaStatus>): void {
  status = { ...status, ...changes }
  statuses.emit(status)
}

function conf(voters: readonly number[], learners: readonly number[] = []): ConfState {
  return { voters, outgoing: [], learners, learnersNext: [], autoLeave: false }
}

beforeEach(() => {
  clock = manualClock()
  machine = inventoryMachine()
  const { now } = aMesh({ hosts: 3 })
  const { index } = now
  restoreWhole(machine, { meta: { index, term: 1, conf: conf([1], [2, 3]) }, values: toRows(now) })
  status = {
    id: 1,
    role: 'leader',
    term: 3,
    leader: 1,
    commitIndex: index,
    appliedIndex: index,
    lastIndex: index,
    lastTerm: 1,
    firstIndex: 1,
    conf: conf([1], [2, 3]),
    progress: new Map(),
    leading: true,
  }
  proposed = []
  freeMiB = 4096
  const take = (data: Uint8Array, change: ConfChange | null, term: number | undefined) => {
    proposed.push({ data, change, term })
    return Promise.resolve({ index: 100, term: 1, result: { kind: 'done', value: {} } })
  }
  const replica: LeaderDeskOptions['replica'] = {
    status: () => status,
    onStatus: (listener) => statuses.on(listener),
    transferLeadership: () => Promise.resolve(),
    propose: (data, options) => take(data, null, options.term),
    proposeConfChange: (change, options) => take(change.context, change, options.term),
  }
  desk = leaderDesk({
    self: hostId('h1'),
    clock,
    replica,
    machine,
    members: members(() => machine.inventory(), new Map()),
    generations: { superseded: () => null },
    space: { freeMiB: () => freeMiB },
  })
})

function request(command: AdminCommand | HostCommand): ProposeRequest {
  return { command, actor: 'admin@h2', reason: 'because', requestKey: null }
}

describe('the leader accepts', () => {
  it('what a person asks for at any host, stamped with its own time', async () => {
    await desk.accept(request(someVm('web')), hostId('h2'), signal)
    const record = decodeRecord(proposed[0]?.data ?? new Uint8Array())
    expect(record).toMatchObject({ actor: 'admin@h2', reason: 'because', command: { kind: 'vm-create', name: 'web' } })
    expect(record.at).toBe(Date.UTC(2026, 10, 25))
    expect(proposed[0]?.change).toBeNull()
  })

  it("a host's report of itself", async () => {
    await desk.accept(request({ kind: 'host-addresses', host: hostId('h2'), addresses: ['198.18.0.2:7400'] }), hostId('h2'), signal)
    expect(proposed).toHaveLength(1)
  })
})

describe('the leader refuses', () => {
  const reports: readonly HostCommand[] = [
    { kind: 'host-addresses', host: hostId('h3'), addresses: ['198.18.0.3:7400'] },
    { kind: 'vm-observed', host: hostId('h3'), vm: vmId('web'), epoch: { generation: 1, counter: 1 }, status: 'running' },
    { kind: 'vm-stopped', host: hostId('h3'), vm: vmId('web'), epoch: { generation: 1, counter: 1 }, intent: 'off', reasons: [] },
  ]

  it.each(reports)('a report ($kind) of one host for another', async (command) => {
    await expect(desk.accept(request(command), hostId('h2'), signal)).rejects.toMatchObject({ code: 'forbidden' })
    expect(proposed).toEqual([])
  })

  const decisions: readonly Command[] = [
    { kind: 'vm-assign', leaderTerm: 1, vm: vmId('web'), to: hostId('h2'), epoch: { generation: 1, counter: 1 }, reasons: [] },
    { kind: 'host-join', token: tokenId('t'), host: aJoiner('h9') },
    { kind: 'voters-change', leaderTerm: 1, promote: [memberId(2)], demote: [], remove: [] },
  ]

  it.each(decisions)('a decision ($kind) that a host asks for', async (command) => {
    // What no honest host sends; a broken one might.
    const forged: ProposeRequest = { ...request(someVm('web')), ...JSON.parse(JSON.stringify({ command })) }
    await expect(desk.accept(forged, hostId('h2'), signal)).rejects.toMatchObject({ code: 'forbidden' })
    expect(proposed).toEqual([])
  })

  it('a command of no known kind, before it can enter the log', async () => {
    const unknown: ProposeRequest = { ...request(someVm('web')), ...JSON.parse('{"command":{"kind":"vm-teleport"}}') }
    await expect(desk.accept(unknown, hostId('h2'), signal)).rejects.toThrow('vm-teleport')
    expect(proposed).toEqual([])
  })
})

describe('short of space', () => {
  const wish = (): Promise<unknown> => desk.accept(request(someVm('web')), hostId('h2'), signal)

  it('the leader refuses what a person asks for, with exit code 3 and where to make room', async () => {
    freeMiB = RESERVE_MIB - 1
    const message = `host h1, which leads, has ${RESERVE_MIB - 1} MiB free where it keeps the log of the mesh, ${RESERVE_MIB} MiB are needed`
    const error = await wish().catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      code: 'refused',
      data: { freeMiB: RESERVE_MIB - 1, neededMiB: RESERVE_MIB },
      reasons: [{ code: 'disk-full', message, fix: 'make room on the disk of the data directory of h1' }],
    })
    expect(exitCode('refused')).toBe(3)
    expect(proposed).toEqual([])
  })

  it.each([RESERVE_MIB, null])('with %s MiB free, as far as it is known, it does not', async (free) => {
    freeMiB = free
    await wish()
    expect(proposed).toHaveLength(1)
  })

  it('what hosts report and the leader decides goes in', async () => {
    freeMiB = 0
    await desk.accept(request({ kind: 'host-addresses', host: hostId('h2'), addresses: ['198.18.0.2:7400'] }), hostId('h2'), signal)
    await desk.decide({ kind: 'voters-change', leaderTerm: 3, promote: [memberId(2)], demote: [], remove: [] }, signal)
    expect(proposed).toHaveLength(2)
  })

  it('a host that leads no more sends its askers on instead', async () => {
    freeMiB = 0
    become({ role: 'follower' })
    await expect(wish()).resolves.toBeDefined()
  })
})

describe('members change', () => {
  const steps = (): ConfChange['changes'] | undefined => proposed[0]?.change?.changes

  it('with a join: the newcomer learns', async () => {
    await desk.decide({ kind: 'host-join', token: tokenId('t'), host: aJoiner('h4') }, signal)
    expect(steps()).toEqual([{ kind: 'add-learner', node: 4 }])
  })

  it('with a join of a known host whose data directory is new: its old member goes', async () => {
    await desk.decide({ kind: 'host-join', token: tokenId('t'), host: aJoiner('h3', { member: memberId(33) }) }, signal)
    expect(steps()).toEqual([
      { kind: 'remove', node: 3 },
      { kind: 'add-learner', node: 33 },
    ])
  })

  it('with a join of a known host whose lost member votes: that one counts on until it is replaced, so that the number stays odd', async () => {
    become({ conf: conf([1, 2, 3]) })
    await desk.decide({ kind: 'host-join', token: tokenId('t'), host: aJoiner('h3', { member: memberId(33) }) }, signal)
    expect(steps()).toEqual([{ kind: 'add-learner', node: 33 }])
  })

  it('with the removal of a host that votes, after it has given up its vote', async () => {
    become({ conf: conf([1, 2, 3]) })
    let asked = 0
    desk.leaving.changes.on(() => (asked += 1))
    const removed = desk.accept(request({ kind: 'host-remove', host: hostId('h3') }), hostId('h2'), signal)
    await clock.run(1_000)
    expect([asked, desk.leaving.has(3), desk.leaving.has(2), proposed]).toEqual([1, true, false, []])
    // Joint: in one of its halves it votes still.
    become({ conf: { ...conf([1]), outgoing: [1, 2, 3] } })
    await clock.run(1_000)
    expect(proposed).toEqual([])
    become({ conf: conf([1], [2, 3]) })
    await clock.settle(removed, 100)
    expect(steps()).toEqual([{ kind: 'remove', node: 3 }])
  })

  it.each([
    ['when it is needed for longer than a try takes', () => undefined, { code: 'conflict', data: { kind: 'vote-needed' } }],
    ['when this host leads no more', () => become({ role: 'follower' }), { code: 'unreachable', data: { kind: 'not-leader' } }],
  ])('not with the removal of a host whose vote stays: %s', async (_, meanwhile, error) => {
    become({ conf: conf([1, 2, 3]) })
    const outcome = desk
      .accept(request({ kind: 'host-remove', host: hostId('h3') }), hostId('h2'), signal)
      .catch((caught: unknown) => caught)
    await clock.run(10)
    meanwhile()
    expect(await clock.settle(outcome, 4_000)).toMatchObject(error)
    expect(proposed).toEqual([])
    // Its asker may have given up: after a while it counts again.
    await clock.run(15_000)
    expect(desk.leaving.has(3)).toBe(false)
  })

  it('not for a removal that will be refused: the vote stays, the log says no', async () => {
    become({ conf: conf([1, 2, 3]) })
    await desk.accept(request({ kind: 'host-remove', host: hostId('nobody') }), hostId('h2'), signal)
    expect([desk.leaving.has(3), proposed.length]).toEqual([false, 1])
  })

  it('with the removal of a host', async () => {
    await desk.accept(request({ kind: 'host-remove', host: hostId('h3') }), hostId('h2'), signal)
    expect(steps()).toEqual([{ kind: 'remove', node: 3 }])
  })

  it('with a change of voters, which counts in its own term only', async () => {
    await desk.decide({ kind: 'voters-change', leaderTerm: 7, promote: [memberId(2), memberId(3)], demote: [], remove: [] }, signal)
    expect(proposed[0]?.term).toBe(7)
    expect(steps()).toEqual([
      { kind: 'add-voter', node: 2 },
      { kind: 'add-voter', node: 3 },
    ])
  })

  it('by the very record that changes the inventory', async () => {
    await desk.decide({ kind: 'host-join', token: tokenId('t'), host: aJoiner('h4') }, signal)
    expect(decodeRecord(proposed[0]?.change?.context ?? new Uint8Array()).command.kind).toBe('host-join')
    // It fits into an entry as it is.
    expect(proposed[0]?.change === null || proposed[0] === undefined ? 0 : encodeConfChange(proposed[0].change).length).toBeGreaterThan(0)
  })
})
