// A leader that is short of space hands over before it has to refuse: to the voter with the most room, as far as anybody has said so.
import { type HostId } from '../base/ids.ts'
import { type MemberStatus } from '../inventory/cluster.ts'
import { type Load, RESERVE_MIB } from '../inventory/load.ts'
import { type Duty } from './controllers.ts'

/** An heir has room for a while: leadership must not come back with the next file that somebody writes. */
const HEIR_MIB = 2 * RESERVE_MIB
/** A transfer that fails is not tried again at once: nothing can be proposed while it is under way. */
const AGAIN_MS = 10_000

export function spaceController(): { readonly name: string; run(duty: Duty, signal: AbortSignal): Promise<void> } {
  let tryAfter = -Infinity
  return {
    name: 'space',
    async run(duty, signal) {
      const { self, clock, cluster } = duty
      const measured = duty.load()
      const free = measured.hosts.get(self)?.stores.freeMiB ?? null
      if (free === null || free >= RESERVE_MIB || clock.now() < tryAfter) return
      const heir = roomiest(cluster.status().members, measured, self)
      if (heir === undefined) return
      tryAfter = clock.now() + AGAIN_MS
      await duty.handOver(heir, `${free} MiB free on its data disk, ${RESERVE_MIB} MiB are needed`, signal)
    },
  }
}

/** Undefined: no voter that answers is known to have room; the leader stays, and refuses wishes until there is. */
export function roomiest(members: readonly MemberStatus[], { hosts }: Load, self: HostId): HostId | undefined {
  const room = ({ host }: MemberStatus): number => {
    const stores = hosts.get(host)?.stores
    return stores === undefined || stores.trouble !== null ? 0 : (stores.freeMiB ?? 0)
  }
  return members
    .filter((member) => member.role === 'voter' && member.active === true && member.host !== self && room(member) >= HEIR_MIB)
    .toSorted((a, b) => room(b) - room(a) || (a.host < b.host ? -1 : 1))[0]?.host
}
