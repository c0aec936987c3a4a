// The inventory as bytes: one value a row, for the store and for whoever copies it. Equal states give equal rows.
import { assert, BugError } from '../base/assert.ts'
import { asFields, parseJson } from '../base/parse.ts'
import { type Shape } from '../base/shape.ts'
import { canonicalJson } from './canonical-json.ts'
import { inOrder } from './draft.ts'
import { eventKey, type Inventory, type Rows, type RowTable, type TableChange } from './inventory.ts'
import {
  type Datastore,
  type Disk,
  type Event,
  type Host,
  type Job,
  type Mesh,
  type RequestRecord,
  type Settings,
  type Token,
  type Vm,
} from './model.ts'
import { ROW_SHAPES } from './row-shapes.ts'
import { compareText } from './view.ts'

/** Raised with every change of a row's shape that an older program could not read. It stands in every row. */
export const FORMAT_VERSION = 1

/** The store's key of a row: `vms/0a1b…`. */
export function rowKey(change: Pick<TableChange, 'table' | 'key'>): string {
  return `${change.table}/${change.key}`
}

/** The store's value of a row; undefined where the row is gone. */
export function encodeRow(change: TableChange): Uint8Array | undefined {
  return change.row === undefined ? undefined : encodeJson({ v: FORMAT_VERSION, row: change.row })
}

/** Throws a BugError for a table or format that is not known here, `usage` for a row that has not its table's shape. */
export function decodeRow(key: string, value: Uint8Array): TableChange {
  const found = asFields(decodeJson(value, key), key)
  assert(
    found['v'] === FORMAT_VERSION,
    `row ${key} has format ${String(found['v'])}, this hostmesh reads ${FORMAT_VERSION}: upgrade this host`,
  )
  return parseRow(key, found['row'])
}

/** All rows of a state, as `encodeRow` gives them one by one. */
export function toRows(inventory: Inventory): ReadonlyMap<string, Uint8Array> {
  return new Map(eachRow(inventory))
}

/** The same one after the other, in the order of their keys: `inventory` never changes, so a walk may take its time. */
export function* eachRow(inventory: Inventory): Generator<readonly [key: string, value: Uint8Array], void, undefined> {
  for (const [key, row] of allRows(inventory)) yield [key, encodeJson({ v: FORMAT_VERSION, row })]
}

/** The state whose rows these are, in any order; `index` is the last entry that they contain. */
export function fromRows(rows: ReadonlyMap<string, Uint8Array>, index: number): Inventory {
  const loader = new RowLoader()
  for (const [key, value] of rows) loader.add(key, value)
  return loader.finish(index)
}

/**
 * Makes a state of rows that come one by one, so that a large one need not be made in one go: with rows in the order of their keys, as a store
 * gives them, nothing is left for the end that takes as long as the state is large.
 */
export class RowLoader {
  #mesh: Mesh | null = null
  readonly #settings: [string, Settings[string]][] = []
  readonly #events: Event[] = []
  readonly #requests: RequestRecord[] = []
  readonly #hosts = new OrderedTable<Host>()
  readonly #vms = new OrderedTable<Vm>()
  readonly #datastores = new OrderedTable<Datastore>()
  readonly #disks = new OrderedTable<Disk>()
  readonly #jobs = new OrderedTable<Job>()
  readonly #tokens = new OrderedTable<Token>()

  /** Throws as `decodeRow`. */
  add(key: string, value: Uint8Array): void {
    const change = decodeRow(key, value)
    // A stored row is there.
    if (change.row === undefined) return
    switch (change.table) {
      case 'mesh':
        this.#mesh = change.row
        return
      case 'settings':
        this.#settings.push([change.key, change.row])
        return
      case 'events':
        this.#events.push(change.row)
        return
      case 'requests':
        this.#requests.push(change.row)
        return
      case 'hosts':
        return this.#hosts.add(change.row)
      case 'vms':
        return this.#vms.add(change.row)
      case 'datastores':
        return this.#datastores.add(change.row)
      case 'disks':
        return this.#disks.add(change.row)
      case 'jobs':
        return this.#jobs.add(change.row)
      case 'tokens':
        return this.#tokens.add(change.row)
    }
  }

  /** `index` is the last entry that the rows contain. */
  finish(index: number): Inventory {
    return {
      index,
      mesh: this.#mesh,
      settings: Object.fromEntries(this.#settings),
      events: this.#events.sort((a, b) => a.index - b.index || a.ordinal - b.ordinal),
      hosts: this.#hosts.inOrder(),
      vms: this.#vms.inOrder(),
      datastores: this.#datastores.inOrder(),
      disks: this.#disks.inOrder(),
      jobs: this.#jobs.inOrder(),
      tokens: this.#tokens.inOrder(),
      // Their eviction goes by this order: it must be that of the log.
      requests: new Map(this.#requests.sort((a, b) => a.index - b.index).map((row) => [row.key, row])),
    }
  }
}

/** A table that is in the order of its ids, and sorted at the end only if it was not filled so. */
class OrderedTable<T extends { readonly id: string }> {
  readonly #rows = new Map<T['id'], T>()
  #last = ''
  #isOrdered = true

  add(row: T): void {
    this.#isOrdered &&= this.#last <= row.id
    this.#last = row.id
    this.#rows.set(row.id, row)
  }

  inOrder(): ReadonlyMap<T['id'], T> {
    return this.#isOrdered ? this.#rows : inOrder([...this.#rows.values()])
  }
}

/** Key and row, sorted by key: the tables themselves are in the order of their history, which differs between members. */
function allRows(inventory: Inventory): readonly (readonly [string, Rows[RowTable]])[] {
  const { mesh, settings, events, requests, hosts, vms, datastores, disks, jobs, tokens } = inventory
  const tables = { hosts, vms, datastores, disks, jobs, tokens, requests }
  const rows: [string, Rows[RowTable]][] = [
    ...(mesh === null ? [] : [['mesh/mesh', mesh] satisfies [string, Rows['mesh']]]),
    ...Object.entries(settings).map(([key, value]): [string, Rows['settings']] => [`settings/${key}`, value]),
    ...events.map((event): [string, Event] => [`events/${eventKey(event)}`, event]),
  ]
  for (const [table, byKey] of Object.entries(tables)) for (const [key, row] of byKey) rows.push([`${table}/${key}`, row])
  return rows.sort(([a], [b]) => compareText(a, b))
}

function parseRow(path: string, row: unknown): TableChange {
  const slash = path.indexOf('/')
  const table = path.slice(0, slash)
  if (!isRowTable(table)) throw new BugError(`row ${path} is of a table that this hostmesh does not know: upgrade this host`)
  const shape: Shape<Rows[RowTable]> = ROW_SHAPES[table]
  const change = { table, key: path.slice(slash + 1), row: shape(row, path) }
  // ROW_SHAPES pairs each table with the shape of its rows.
  return change as TableChange
}

function isRowTable(table: string): table is RowTable {
  return Object.hasOwn(ROW_SHAPES, table)
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(canonicalJson(value))
}

function decodeJson(encoded: Uint8Array, what: string): unknown {
  return parseJson(new TextDecoder().decode(encoded), what)
}
