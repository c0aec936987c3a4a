// Which members should vote: one, or three. Pure; voters-controller.ts proposes what this decides.
import { type HostId, type MemberId } from '../base/ids.ts'
import { type MemberStatus } from '../inventory/cluster.ts'
import { type Inventory } from '../inventory/inventory.ts'

export interface VotersView {
  readonly inventory: Inventory
  readonly members: readonly MemberStatus[]
  readonly commitIndex: number
  /** Since when (monotonic ms) each host has been up without a break; absent while it is not. */
  readonly upSince: ReadonlyMap<HostId, number>
  readonly nowMs: number
}

/** A newcomer must have been up this long before it counts in the quorum: one that flaps would take the mesh down with it. */
export const STABLE_MS = 10_000
/** "Caught up": the newcomer lacks at most this many entries, a fraction of one append message. */
const CAUGHT_UP_ENTRIES = 64
/** One voter tolerates no loss, three tolerate one; two would be worse than one. Five follow when voters are replaced as well. */
const VOTERS_WANTED = 3

/** The members to promote in one joint change (from one voter to three at once, never even), or null. */
export function votersToPromote(view: VotersView): readonly MemberId[] | null {
  const voters = view.members.filter((member) => member.role === 'leader' || member.role === 'voter')
  if (voters.length >= VOTERS_WANTED) return null
  const missing = VOTERS_WANTED - voters.length
  const ready = view.members
    .filter((member) => member.role === 'learner' && isReady(view, member))
    .map((member) => view.inventory.hosts.get(member.host))
    .filter((host) => host !== undefined)
    .sort((a, b) => a.joinedAt - b.joinedAt || (a.id < b.id ? -1 : 1))
  if (ready.length < missing) return null
  return ready.slice(0, missing).map((host) => host.member)
}

function isReady(view: VotersView, member: MemberStatus): boolean {
  const since = view.upSince.get(member.host)
  const stable = since !== undefined && view.nowMs - since >= STABLE_MS
  return stable && member.active === true && member.matchIndex !== null && member.matchIndex + CAUGHT_UP_ENTRIES >= view.commitIndex
}
