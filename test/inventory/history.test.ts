// Properties of every history: whatever commands come in whatever order, these hold after each entry.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { apply } from '../../src/inventory/apply.ts'
import { canonicalJson } from '../../src/inventory/canonical-json.ts'
import { check } from '../../src/inventory/check.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { decodeRecord, encodeRecord } from '../../src/inventory/record.ts'
import { encodeRow, fromRows, rowKey, toRows } from '../../src/inventory/snapshot.ts'
import { stateText } from '../fixture/state-text.ts'
import { compareEpoch, formatEpoch } from '../../src/inventory/view.ts'
import { history, KINDS, randomSteps, type HistoryStep } from './random-commands.ts'

/** Histories of up to 120 entries each. */
const RUNS = 50

const TABLES = ['hosts', 'vms', 'datastores', 'disks', 'jobs', 'tokens', 'requests', 'events'] as const

function everyHistory(holds: (steps: readonly HistoryStep[]) => void): void {
  const property = fc.property(randomSteps, (steps) => holds([...history(steps)]))
  fc.assert(property, { numRuns: RUNS })
}

/** Every part of a value frozen; a table refuses writes by its methods. */
function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (value instanceof Map) {
    for (const part of value.values()) frozen(part)
    const refuse = (): never => {
      throw new Error('a table that was handed out was written to')
    }
    Object.assign(value, { set: refuse, delete: refuse, clear: refuse })
  } else for (const part of Object.values(value)) frozen(part)
  return Object.freeze(value)
}

describe('every history', () => {
  it('is drawn so that every kind of command gets its way somewhere', () => {
    const done = new Set<string>()
    for (const steps of fc.sample(randomSteps, { numRuns: 300, seed: 4 })) {
      for (const { record, result } of history(steps)) if (result.kind === 'done') done.add(record.command.kind)
    }
    expect(KINDS.filter((kind) => !done.has(kind))).toEqual([])
  })

  it('breaks no invariant', () => {
    everyHistory((steps) => {
      for (const { inventory, record } of steps) expect(check(inventory), record.command.kind).toEqual([])
    })
  })

  it('comes out the same again, from states that cannot be written to', () => {
    everyHistory((steps) => {
      for (const { before, record, index, term, ...applied } of steps) {
        expect(apply(frozen(before), frozen(record), { index, term })).toEqual(applied)
      }
    })
  })

  it('is kept by its changed rows alone, none of which is as it was', () => {
    everyHistory((steps) => {
      const store = new Map<string, Uint8Array>()
      for (const [at, { changes, inventory, record }] of steps.entries()) {
        for (const change of changes) {
          const was = store.get(rowKey(change))
          const becomes = encodeRow(change)
          expect(becomes && textOf(becomes), `${record.command.kind} ${rowKey(change)}`).not.toBe(was && textOf(was))
          if (becomes === undefined) store.delete(rowKey(change))
          else store.set(rowKey(change), becomes)
        }
        if (at % 7 === 0 || at === steps.length - 1) expect(texts(store)).toBe(texts(toRows(inventory)))
      }
    })
  })

  it('goes on from stored rows as if nothing had happened', () => {
    everyHistory((steps) => {
      for (const { before, record, index, term, inventory, result, changes } of steps.filter((_, at) => at % 7 === 0)) {
        for (const rows of [toRows(before), shuffled(toRows(before))]) {
          const state = fromRows(rows, before.index)
          const again = apply(state, record, { index, term })
          expect(again.result).toEqual(result)
          expect(canonicalJson(again.changes)).toBe(canonicalJson(changes))
          expect(stateText(again.inventory)).toBe(stateText(inventory))
        }
      }
    })
  })

  it('survives the way through the log', () => {
    everyHistory((steps) => {
      for (const { record } of steps) expect(decodeRecord(encodeRecord(record))).toEqual(record)
    })
  })

  it('changes nothing but the event log and the kept answers when it refuses', () => {
    everyHistory((steps) => {
      for (const { before, inventory } of steps.filter(({ result }) => result.kind !== 'done')) {
        expect(withoutMemory(inventory)).toEqual(withoutMemory(before))
      }
    })
  })

  it('shares every table that an entry did not change', () => {
    everyHistory((steps) => {
      for (const { before, inventory, changes } of steps) {
        const changed = new Set(changes.map(({ table }) => table))
        const untouched = TABLES.filter((table) => !changed.has(table))
        for (const table of untouched) expect(inventory[table]).toBe(before[table])
      }
    })
  })
})

describe('ownership in every history', () => {
  it('begins by an assignment and ends by the report of the owner, or where its host makes a mesh of a backup, never otherwise', () => {
    everyHistory((steps) => {
      for (const { before, inventory, record } of steps) {
        for (const [id, vm] of inventory.vms) {
          const was = before.vms.get(id)?.owner ?? null
          if (sameOwner(was, vm.owner)) continue
          const { command } = record
          if (was === null) expect(command).toMatchObject({ kind: 'vm-assign', vm: id, to: vm.owner?.host, epoch: vm.owner?.epoch })
          else {
            expect(vm.owner).toBeNull()
            // The one word of a host that is no report: what it runs is what its own ledger says, not what the backup does.
            if (command.kind === 'mesh-renew') expect([command.cause, command.host.id]).toEqual(['restored', was.host])
            else expect(command).toMatchObject({ kind: 'vm-stopped', vm: id, host: was.host, epoch: was.epoch })
          }
        }
      }
    })
  })

  it('does not end with its VM: an owned VM cannot go', () => {
    everyHistory((steps) => {
      for (const { before, inventory } of steps) {
        const owned = [...before.vms.values()].filter(({ owner }) => owner !== null)
        expect(owned.filter(({ id }) => !inventory.vms.has(id))).toEqual([])
      }
    })
  })

  it('gives every epoch of a VM out once, each newer than the last', () => {
    everyHistory((steps) => {
      const given = new Map<string, string>()
      for (const { before, inventory, index } of steps) {
        for (const [id, vm] of inventory.vms) {
          const was = before.vms.get(id)
          if (was === undefined || compareEpoch(vm.lastEpoch, was.lastEpoch) === 0) continue
          expect(compareEpoch(vm.lastEpoch, was.lastEpoch)).toBeGreaterThan(0)
          // A VM made anew under an old id is another VM: its entry of creation tells them apart.
          const run = `${id} of ${vm.createdAt} as ${formatEpoch(vm.lastEpoch)}`
          expect(given.get(run), `${run} at ${index}`).toBeUndefined()
          given.set(run, `entry ${index}`)
        }
      }
    })
  })

  it('asks a run to end once and for all', () => {
    everyHistory((steps) => {
      for (const { before, inventory, record } of steps) {
        // Hard stops are never taken back; a shutdown is, by cancelling it or when the guest did not obey.
        const stopping = [...before.vms.values()]
          .filter(({ owner }) => owner?.ending === 'stop')
          .map(({ id }) => inventory.vms.get(id)?.owner)
        expect(
          stopping.filter((owner) => owner !== null && owner?.ending !== 'stop'),
          record.command.kind,
        ).toEqual([])
      }
    })
  })
})

/** As text: a difference of long byte arrays says nothing, and takes minutes to print. */
function texts(rows: ReadonlyMap<string, Uint8Array>): string {
  return [...rows]
    .map(([key, value]) => `${key} ${textOf(value)}`)
    .sort()
    .join('\n')
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

/** Another order of the same rows: nothing may hang on it. */
function shuffled(rows: ReadonlyMap<string, Uint8Array>): ReadonlyMap<string, Uint8Array> {
  return new Map([...rows].reverse())
}

function withoutMemory(inventory: Inventory): Omit<Inventory, 'index' | 'events' | 'requests'> {
  const { index: _, events: __, requests: ___, ...rest } = inventory
  return rest
}

function sameOwner(a: { readonly host: string; readonly epoch: { readonly counter: number } } | null, b: typeof a): boolean {
  if (a === null || b === null) return a === b
  return a.host === b.host && a.epoch.counter === b.epoch.counter
}
