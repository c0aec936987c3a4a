// What hosts measure and gossip to each other: loosely fresh, never agreed on, never a ground for ownership.
import { type DatastoreId, type HostId, type VmId } from '../base/ids.ts'

/** Below this much free space on the data disk of the leader it takes no more wishes: what is under way needs room to end well. */
export const RESERVE_MIB = 256

/** How the stores of a host's member are. */
export interface StoresLoad {
  /** Null: it could not be measured. */
  readonly freeMiB: number | null
  /** `reopening`: its disk failed, it tries again. `damaged`: it needs repair, and waits to be let in as another member. */
  readonly trouble: { readonly kind: 'reopening' | 'damaged'; readonly why: string } | null
}

export interface HostLoad {
  /** When this host's report was received, on the receiver's monotonic clock; never compared between hosts. */
  readonly receivedAtMs: number
  /** Of all its cores, 0 to 100. */
  readonly cpuPercent: number
  /** In use on the machine, guests and all else. */
  readonly memoryUsedMiB: number
  /** Datastores that it cannot use now, with the reason in words. */
  readonly datastoreFaults: ReadonlyMap<DatastoreId, string>
  readonly stores: StoresLoad
}

export interface VmLoad {
  /** CPU time used, as MHz of its host. */
  readonly cpuMHz: number
  readonly residentMiB: number
  /** Since its QEMU started. */
  readonly uptimeS: number
}

/** The last report of each host and of each VM; whoever was not heard of is absent. */
export interface Load {
  readonly hosts: ReadonlyMap<HostId, HostLoad>
  readonly vms: ReadonlyMap<VmId, VmLoad>
}

export const NO_LOAD: Load = { hosts: new Map(), vms: new Map() }
