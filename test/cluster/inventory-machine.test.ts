// What one member stores, row by row, is what another one gets as a snapshot, and what both compute.
import { describe, expect, it } from 'vitest'
import { inventoryMachine } from '../../src/cluster/inventory-machine.ts'
import { type ConfState } from '../../src/consensus/types.ts'
import { encodeRecord } from '../../src/inventory/record.ts'
import { toRows } from '../../src/inventory/snapshot.ts'
import { restoreWhole } from '../fixture/loaded-state.ts'
import { aMesh, aRecord, hostId, jobId, someVm, TERM, vmId } from '../fixture/inventory.ts'

const conf: ConfState = { voters: [1], outgoing: [], learners: [], learnersNext: [], autoLeave: false }

function started(): { readonly machine: ReturnType<typeof inventoryMachine>; readonly values: Map<string, Uint8Array>; index: number } {
  const { now } = aMesh({ hosts: 3 })
  const machine = inventoryMachine()
  const values = new Map(toRows(now))
  restoreWhole(machine, { meta: { index: now.index, term: TERM, conf }, values })
  return { machine, values, index: now.index }
}

function play(target: ReturnType<typeof started>): void {
  const commands = [
    someVm('web'),
    { kind: 'vm-start', vm: vmId('web'), job: jobId('j') },
    { kind: 'vm-assign', leaderTerm: TERM, vm: vmId('web'), to: hostId('h2'), epoch: { generation: 1, counter: 1 }, reasons: [] },
    { kind: 'config-set', key: 'vm.shutdown-timeout-s', value: 5 },
    { kind: 'config-set', key: 'vm.shutdown-timeout-s', value: null },
  ] as const
  for (const command of commands) {
    target.index += 1
    const { changes } = target.machine.apply({ index: target.index, term: TERM, kind: 'normal', data: encodeRecord(aRecord(command)) })
    for (const { key, value } of changes) {
      if (value === undefined) target.values.delete(key)
      else target.values.set(key, value)
    }
  }
}

describe('the inventory as a state machine', () => {
  it('stores changes that add up to the whole: a restart finds what was there', () => {
    const first = started()
    play(first)
    const second = inventoryMachine()
    restoreWhole(second, { meta: { index: first.index, term: TERM, conf }, values: first.values })
    expect(second.inventory()).toEqual(first.machine.inventory())
    expect([...first.values.keys()].sort()).toEqual([...toRows(first.machine.inventory()).keys()].sort())
  })

  it('tells of a restored state as of one change, and only once it is whole', () => {
    const first = started()
    const { machine } = started()
    play(first)
    const seen: number[] = []
    machine.changes.on(({ before, after }) => seen.push(before.vms.size, after.vms.size, after.index))
    const loader = machine.restore()
    loader.add([...first.values].map(([key, value]) => ({ key, value })))
    expect(machine.inventory().vms.size).toBe(0)
    loader.finish({ index: first.index, term: TERM, conf })
    expect(seen).toEqual([0, 1, first.index])
  })

  it('tells of every change, with the state before and after it', () => {
    const { machine, values, index } = started()
    const seen: string[] = []
    machine.changes.on(({ before, after }) => seen.push(`${before.vms.size} ${after.vms.size} ${after.index - before.index}`))
    play({ machine, values, index })
    expect(seen).toEqual(['0 1 1', '1 1 1', '1 1 1', '1 1 1', '1 1 1'])
  })

  it('accepts no configuration change whose command it refuses', () => {
    const { machine, index } = started()
    const join = { kind: 'host-remove', host: hostId('nobody') } as const
    const applied = machine.apply({ index: index + 1, term: TERM, kind: 'config', data: encodeRecord(aRecord(join)) })
    expect(applied.accept).toBe(false)
  })

  it('stops at a command that it does not know', () => {
    const { machine, index } = started()
    const data = new TextEncoder().encode(JSON.stringify({ ...aRecord(someVm('web')), command: { kind: 'vm-teleport' } }))
    expect(() => machine.apply({ index: index + 1, term: TERM, kind: 'normal', data })).toThrow('vm-teleport')
  })
})
