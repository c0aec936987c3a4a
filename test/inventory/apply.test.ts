// apply itself: what stops a member, whose term counts, what an answer changes.
import { describe, expect, it } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { apply } from '../../src/inventory/apply.ts'
import { COMMAND_VERSION, type Command } from '../../src/inventory/command.ts'
import { EVENTS_KEPT } from '../../src/inventory/inventory.ts'
import { UnknownCommand } from '../../src/inventory/unknown-command.ts'
import { aMesh, aRecord, hostId, jobId, someVm, vmId } from '../fixture/inventory.ts'

const at = (index: number, term = 1) => ({ index, term })

describe('a member stops', () => {
  it('at a record of a newer version, even of a kind that it knows', () => {
    const { now } = aMesh()
    const record = aRecord(someVm('web'), { version: COMMAND_VERSION + 1 })
    expect(() => apply(now, record, at(now.index + 1))).toThrow(UnknownCommand)
  })

  it('at a kind that it does not know', () => {
    const { now } = aMesh()
    const command = JSON.parse('{"kind":"vm-teleport","vm":"web"}') as Command
    expect(() => apply(now, aRecord(command), at(now.index + 1))).toThrow(/vm-teleport.*upgrade this host/)
    expect(() => apply(now, aRecord(command), at(now.index + 1))).toThrow(UnknownCommand)
  })

  it('at an entry that its state contains already', () => {
    const { now } = aMesh()
    expect(() => apply(now, aRecord(someVm('web')), at(now.index))).toThrow(BugError)
  })
})

describe('the index', () => {
  it('is that of the entry, also when entries of Raft itself lie between, and when nothing was done', () => {
    const { now } = aMesh()
    const refused = apply(now, aRecord({ kind: 'vm-stop', vm: vmId('none'), job: jobId('j') }), at(now.index + 5))
    expect(refused.result.kind).toBe('refused')
    expect(refused.inventory.index).toBe(now.index + 5)
    expect(refused.changes).toEqual([])
  })
})

describe("a controller's command", () => {
  const decision = { kind: 'vm-unplaceable', leaderTerm: 4, vm: vmId('web'), reasons: [{ code: 'memory', message: 'no room' }] } as const
  const aWaitingVm = () => {
    const log = aMesh()
    log.do(someVm('web', { startJob: jobId('start') }))
    return log.now
  }

  it('counts in an entry of its own term', () => {
    const now = aWaitingVm()
    const { result, inventory } = apply(now, aRecord(decision), at(now.index + 1, 4))
    expect(result.kind).toBe('done')
    expect(inventory.vms.get(vmId('web'))?.fault?.kind).toBe('unplaceable')
  })

  it.each([3, 5])('is stale in an entry of term %i', (term) => {
    const now = aWaitingVm()
    const { result, changes } = apply(now, aRecord(decision), at(now.index + 1, term))
    expect(result).toEqual({ kind: 'stale', why: `decided in term 4, committed in term ${term}` })
    expect(changes).toEqual([])
  })

  it('is held to its term also where it changes members', () => {
    const { now } = aMesh()
    const change = { kind: 'voters-change', leaderTerm: 4, promote: [], demote: [], remove: [] } as const
    expect(apply(now, aRecord(change), at(now.index + 1, 5)).result.kind).toBe('stale')
  })
})

describe('events', () => {
  it('carry who asked, why, and when by the clock of the leader', () => {
    const log = aMesh()
    log.do(someVm('web'), { actor: 'admin@h2', reason: 'for the shop', at: 1_800_000_000_000 })
    expect(log.now.events.at(-1)).toMatchObject({
      index: log.now.index,
      ordinal: 0,
      at: 1_800_000_000_000,
      type: 'vm.created',
      object: 'vm web',
      actor: 'admin@h2',
      reason: 'for the shop',
    })
  })

  it(`are kept up to ${EVENTS_KEPT}, the oldest go, and their rows with them`, () => {
    const log = aMesh()
    const before = log.now.events.length
    for (let number = before; number < EVENTS_KEPT + 3; number += 1) {
      log.do({ kind: 'host-set', host: hostId('h1'), labels: { number: String(number) } })
    }
    expect(log.now.events).toHaveLength(EVENTS_KEPT)
    const rows = log.steps.flatMap(({ changes }) => changes).filter(({ table }) => table === 'events')
    expect(rows.filter(({ row }) => row === undefined)).toHaveLength(3)
    expect(log.now.events[0]?.type).toBe('host.changed')
  })
})
