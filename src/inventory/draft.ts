// One entry's changes in the making: reads see its own writes, and every changed row is noted for the store.
import { canonicalJson } from './canonical-json.ts'
import { type CommandRecord } from './command.ts'
import {
  EVENTS_KEPT,
  eventKey,
  type IdRows,
  type IdTable,
  type Inventory,
  type RowTable,
  type TableChange,
  type Tables,
} from './inventory.ts'
import { compareText } from './view.ts'
import { type Event, type Mesh, type RequestRecord, type Settings } from './model.ts'

/** Where a command stands in the log. */
export interface LogPosition {
  readonly index: number
  readonly term: number
}

/** Lives for one call of `apply`. No inventory that was ever handed out changes: each write makes a new table. */
export class Draft {
  readonly record: CommandRecord
  readonly entry: LogPosition
  #state: Inventory
  readonly #changes = new Map<string, TableChange>()
  #events = 0

  constructor(before: Inventory, record: CommandRecord, entry: LogPosition) {
    this.record = record
    this.entry = entry
    this.#state = { ...before, index: entry.index }
  }

  /** The inventory with all changes so far. */
  get state(): Inventory {
    return this.#state
  }

  /** The time of the entry: the only time that `apply` knows. */
  get at(): number {
    return this.record.at
  }

  /** A row that is written as it was is no change. */
  put<T extends IdTable>(table: T, row: IdRows[T]): void {
    const tables: Tables = this.#state
    const before = tables[table].get(row.id)
    if (before !== undefined && canonicalJson(before) === canonicalJson(row)) return
    const rows = before === undefined ? inOrder([...tables[table].values(), row]) : new Map(tables[table]).set(row.id, row)
    this.#state = { ...this.#state, [table]: rows }
    this.#note(table, row.id, row)
  }

  remove<T extends IdTable>(table: T, id: IdRows[T]['id']): void {
    const tables: Tables = this.#state
    const rows = new Map<IdRows[T]['id'], IdRows[T]>(tables[table])
    if (!rows.delete(id)) return
    this.#state = { ...this.#state, [table]: rows }
    this.#note(table, id, undefined)
  }

  setMesh(mesh: Mesh): void {
    this.#state = { ...this.#state, mesh }
    this.#note('mesh', 'mesh', mesh)
  }

  /** `value` undefined takes the setting back to its default. */
  setSetting(key: string, value: Settings[string] | undefined): void {
    const others = Object.entries(this.#state.settings).filter(([name]) => name !== key)
    const entries = value === undefined ? others : [...others, [key, value] as const]
    this.#state = { ...this.#state, settings: Object.fromEntries(entries) }
    this.#note('settings', key, value)
  }

  /** `requests` holds `added` as its newest and lacks `dropped`. */
  setRequests(requests: Inventory['requests'], added: RequestRecord, dropped: readonly RequestRecord[]): void {
    this.#state = { ...this.#state, requests }
    for (const { key } of dropped) this.#note('requests', key, undefined)
    this.#note('requests', added.key, added)
  }

  /** Something a person wants to see: `type` is noun and past verb, `object` the noun and name of what it happened to. */
  event(type: string, object: string, data: Event['data'] = {}): void {
    const { actor, reason } = this.record
    const event: Event = { index: this.entry.index, ordinal: this.#events, at: this.at, type, object, actor, reason, data }
    this.#events += 1
    const events = [...this.#state.events, event]
    for (const old of events.splice(0, Math.max(0, events.length - EVENTS_KEPT))) this.#note('events', eventKey(old), undefined)
    this.#state = { ...this.#state, events }
    this.#note('events', eventKey(event), event)
  }

  /** The last state of each changed row, in the order of their first changes. */
  changes(): readonly TableChange[] {
    return [...this.#changes.values()]
  }

  #note(table: RowTable, key: string, row: TableChange['row']): void {
    const change = { table, key, row }
    // The callers above pair each table with its own kind of row; the compiler cannot follow that through a generic key.
    this.#changes.set(`${table}/${key}`, change as TableChange)
  }
}

/**
 * A table in the order of its ids. All tables are, whatever their history: a member that started from stored rows must meet the same order as
 * one that saw each entry, or their answers differ (the order of reasons is enough) and with them their kept answers.
 */
export function inOrder<T extends { readonly id: string }>(rows: readonly T[]): ReadonlyMap<T['id'], T> {
  const sorted = [...rows].sort((a, b) => compareText(a.id, b.id))
  return new Map(sorted.map((row) => [row.id, row]))
}
