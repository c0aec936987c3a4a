// The inventory as bytes: one value a row for the store, all rows together for a snapshot. Equal states give equal bytes.
import { assert, BugError } from '../base/assert.ts'
import { asCount, asFields, asList, asText, parseJson } from '../base/parse.ts'
import { type Shape } from '../base/shape.ts'
import { canonicalJson } from './canonical-json.ts'
import { inOrder } from './draft.ts'
import { eventKey, type Inventory, type Rows, type RowTable, type TableChange } from './inventory.ts'
import { type Event } from './model.ts'
import { ROW_SHAPES } from './row-shapes.ts'
import { compareText } from './view.ts'

/** Raised with every change of a row's shape that an older program could not read. It stands in every row and every snapshot. */
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
  return new Map(allRows(inventory).map(([key, row]) => [key, encodeJson({ v: FORMAT_VERSION, row })]))
}

/** The state whose rows these are, in any order; `index` is the last entry that they contain. */
export function fromRows(rows: ReadonlyMap<string, Uint8Array>, index: number): Inventory {
  return fromChanges(
    [...rows].map(([key, value]) => decodeRow(key, value)),
    index,
  )
}

export function encodeSnapshot(inventory: Inventory): Uint8Array {
  return encodeJson({ v: FORMAT_VERSION, index: inventory.index, rows: allRows(inventory) })
}

/** Throws as `decodeRow`. */
export function decodeSnapshot(encoded: Uint8Array): Inventory {
  const found = asFields(decodeJson(encoded, 'snapshot'), 'snapshot')
  assert(
    found['v'] === FORMAT_VERSION,
    `snapshot has format ${String(found['v'])}, this hostmesh reads ${FORMAT_VERSION}: upgrade this host`,
  )
  return fromChanges(
    asList(found['rows'], 'snapshot.rows').map((pair, at) => {
      const [key, row] = asList(pair, `snapshot.rows[${at}]`)
      return parseRow(asText(key, `snapshot.rows[${at}][0]`), row)
    }),
    asCount(found['index'], 'snapshot.index'),
  )
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

function fromChanges(changes: readonly TableChange[], index: number): Inventory {
  const rowsOf = <T extends RowTable>(table: T): readonly Rows[T][] => {
    const rows: unknown = changes.filter((change) => change.table === table && change.row !== undefined).map(({ row }) => row)
    // TableChange pairs each table with its own kind of row; the compiler cannot follow that through a generic name.
    return rows as readonly Rows[T][]
  }
  return {
    index,
    mesh: rowsOf('mesh')[0] ?? null,
    settings: Object.fromEntries(changes.flatMap((one) => (one.table === 'settings' && one.row !== undefined ? [[one.key, one.row]] : []))),
    events: [...rowsOf('events')].sort((a, b) => a.index - b.index || a.ordinal - b.ordinal),
    hosts: inOrder(rowsOf('hosts')),
    vms: inOrder(rowsOf('vms')),
    datastores: inOrder(rowsOf('datastores')),
    disks: inOrder(rowsOf('disks')),
    jobs: inOrder(rowsOf('jobs')),
    tokens: inOrder(rowsOf('tokens')),
    // Their eviction goes by this order: it must be that of the log.
    requests: new Map([...rowsOf('requests')].sort((a, b) => a.index - b.index).map((row) => [row.key, row])),
  }
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
