// Which Raft member is which host: from the inventory, and for members that it does not know yet from the frames they send.
import { type HostId, type MemberId } from '../base/ids.ts'
import { type NodeId } from '../consensus/types.ts'
import { type Inventory } from '../inventory/inventory.ts'

export interface Members {
  hostOf(member: NodeId): HostId | undefined
  memberOf(host: HostId): NodeId | undefined
  /** A frame of `member` came over the authenticated link of `host`. False when another host is known to be that member. */
  heard(member: NodeId, host: HostId): boolean
}

/** `introduced`: pairs that a join reply named, before the own log holds them. */
export function members(inventory: () => Inventory, introduced: ReadonlyMap<NodeId, HostId>): Members {
  const heard = new Map<NodeId, HostId>(introduced)
  const hostOf = (member: NodeId): HostId | undefined => {
    for (const host of inventory().hosts.values()) if (host.member === member) return host.id
    return heard.get(member)
  }
  return {
    hostOf,
    memberOf(host) {
      const known: MemberId | undefined = inventory().hosts.get(host)?.member
      if (known !== undefined) return known
      for (const [member, of] of heard) if (of === host) return member
      return undefined
    },
    heard(member, host) {
      const known = hostOf(member)
      if (known !== undefined) return known === host
      heard.set(member, host)
      return true
    },
  }
}
