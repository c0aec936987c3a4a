// The state that every host holds alike: tables by id, immutable; a new state shares every table that did not change.
import { type DatastoreId, type DiskId, type HostId, type JobId, type RequestKey, type TokenId, type VmId } from '../base/ids.ts'
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

/** The tables of the inventory: name, key and row. */
export interface Tables {
  readonly hosts: ReadonlyMap<HostId, Host>
  readonly vms: ReadonlyMap<VmId, Vm>
  readonly datastores: ReadonlyMap<DatastoreId, Datastore>
  readonly disks: ReadonlyMap<DiskId, Disk>
  readonly jobs: ReadonlyMap<JobId, Job>
  readonly tokens: ReadonlyMap<TokenId, Token>
  readonly requests: ReadonlyMap<RequestKey, RequestRecord>
}

export interface Inventory extends Tables {
  /** Raft index of the last entry that this state contains. */
  readonly index: number
  /** Null before `mesh-init`. */
  readonly mesh: Mesh | null
  readonly settings: Settings
  /** The newest EVENTS_KEPT, oldest first. */
  readonly events: readonly Event[]
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
