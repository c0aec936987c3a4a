// The inventory as Raft's state machine: entries are command records, the stored state is one value a row.
import { emitter, type Emitter } from '../base/emitter.ts'
import { type StateMachine } from '../consensus/types.ts'
import { apply } from '../inventory/apply.ts'
import { type Change } from '../inventory/cluster.ts'
import { EMPTY, type Inventory } from '../inventory/inventory.ts'
import { decodeRecord } from '../inventory/record.ts'
import { encodeRow, rowKey, RowLoader } from '../inventory/snapshot.ts'

export interface InventoryMachine extends StateMachine {
  /** Never goes back: stores that were opened again may hold a little less, a new member's hold nothing until the leader's snapshot came. */
  inventory(): Inventory
  readonly changes: Emitter<Change>
}

export function inventoryMachine(): InventoryMachine {
  /** What Raft has applied, and the newest of it that anybody was shown. */
  let current: Inventory = EMPTY
  let shown: Inventory = EMPTY
  const changes = emitter<Change>()
  const become = (next: Inventory): void => {
    const before = shown
    current = next
    if (next.index <= before.index) return
    shown = next
    changes.emit({ index: next.index, before, after: next })
  }
  return {
    inventory: () => shown,
    changes,
    apply(entry) {
      const step = apply(current, decodeRecord(entry.data), entry)
      become(step.inventory)
      return {
        result: step.result,
        accept: step.result.kind === 'done',
        changes: step.changes.map((change) => ({ key: rowKey(change), value: encodeRow(change) })),
      }
    },
    restore() {
      const loader = new RowLoader()
      return {
        add(pairs) {
          for (const { key, value } of pairs) loader.add(key, value)
        },
        finish: (meta) => become(loader.finish(meta.index)),
      }
    },
  }
}
