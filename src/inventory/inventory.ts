// The state that every host holds alike: tables by id, immutable; a new state shares every table that did not change.
import { type RequestKey } from '../base/ids.ts'
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

/** The rows of the tables that are keyed by the row's own id. */
export interface IdRows {
  readonly hosts: Host
  readonly vms: Vm
  readonly datastores: Datastore
  readonly disks: Disk
  readonly jobs: Job
  readonly tokens: Token
}

export type IdTable = keyof IdRows

/** The tables by id: name, key and row. */
export type Tables = { readonly [T in IdTable]: ReadonlyMap<IdRows[T]['id'], IdRows[T]> }

export interface Inventory extends Tables {
  /** Raft index of the last entry that this state contains. */
  readonly index: number
  /** Null before `mesh-init`. */
  readonly mesh: Mesh | null
  readonly settings: Settings
  /** The newest EVENTS_KEPT, oldest first. */
  readonly events: readonly Event[]
  /** In order of their index. */
  readonly requests: ReadonlyMap<RequestKey, RequestRecord>
}

/** Everything that is kept, one row each: what the store on disk and a snapshot hold. The mesh's key is `mesh`, a setting's its name. */
export interface Rows extends IdRows {
  readonly mesh: Mesh
  readonly settings: Settings[string]
  /** Key: (index, ordinal) as sortable text, `eventKey`. */
  readonly events: Event
  readonly requests: RequestRecord
}

export type RowTable = keyof Rows

/** A row that an entry changed; `row` undefined means that it is gone. */
export type TableChange = {
  [T in RowTable]: { readonly table: T; readonly key: string; readonly row: Rows[T] | undefined }
}[RowTable]

/** How many events stay; a person reads hundreds, and each member holds and snapshots them all. */
export const EVENTS_KEPT = 2_000

/** Sorts as text like (index, ordinal) as numbers: 16 digits hold every safe integer. */
export function eventKey(event: Pick<Event, 'index' | 'ordinal'>): string {
  return `${String(event.index).padStart(16, '0')}.${String(event.ordinal).padStart(4, '0')}`
}

export const EMPTY: Inventory = {
  index: 0,
  mesh: null,
  settings: {},
  events: [],
  hosts: new Map(),
  vms: new Map(),
  datastores: new Map(),
  disks: new Map(),
  jobs: new Map(),
  tokens: new Map(),
  requests: new Map(),
}
