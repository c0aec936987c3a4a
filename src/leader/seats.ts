// How each member does, from what the leader sees of it: Raft's progress, and how long its link is up or down. Pure.
import { type HostId, type MemberId } from '../base/ids.ts'
import { type ClusterStatus, type MemberStatus } from '../inventory/cluster.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Host } from '../inventory/model.ts'
import { settingNumber } from '../inventory/settings.ts'
import { type Contact } from './controllers.ts'
import { type Seat, type Standing } from './voters.ts'

export interface SeatsView {
  readonly inventory: Inventory
  readonly self: HostId
  readonly status: Pick<ClusterStatus, 'members' | 'strangers' | 'commitIndex'>
  readonly contacts: ReadonlyMap<HostId, Contact>
  /** Since when (monotonic ms) each member does not answer this leader; absent: it does. */
  readonly inactiveSince: ReadonlyMap<MemberId, number>
  readonly nowMs: number
}

/** A newcomer must have been up this long before it counts in the quorum: one that flaps would take the mesh down with it. */
export const STABLE_MS = 10_000
/** "Caught up": at most this many entries are missing, a fraction of one append message. */
const CAUGHT_UP_ENTRIES = 64
/** The label that names a host's failure domain: a room, a rack, a power feed. */
export const ZONE = 'zone'

/** Hosts with the same label fail together; one without is a domain of its own. */
export function zoneOf(host: Pick<Host, 'id' | 'labels'>): string {
  const label = host.labels[ZONE]
  return label === undefined ? `host ${host.id}` : `zone ${label}`
}

export function seatsOf(view: SeatsView): readonly Seat[] {
  const seats = view.status.members.flatMap((member) => {
    const host = view.inventory.hosts.get(member.host)
    return host === undefined ? [] : [seatOf(view, member, host)]
  })
  return [...seats, ...view.status.strangers.map(strangerSeat)]
}

function seatOf(view: SeatsView, member: MemberStatus, host: Host): Seat {
  const votes = member.role !== 'learner'
  const standing = standingOf(view, member, host)
  return {
    member: member.member,
    name: host.name,
    zone: zoneOf(host),
    role: host.role,
    votes,
    leads: member.role === 'leader',
    standing,
    because: because(standing, awayMs(view, member)),
    joinedAt: host.joinedAt,
  }
}

function strangerSeat(member: MemberId): Seat {
  const name = `member ${member}`
  const rest = { role: 'host', votes: true, leads: false, standing: 'gone', joinedAt: 0 } as const
  return { member, name, zone: name, because: 'belongs to no host of the mesh any more', ...rest }
}

function standingOf(view: SeatsView, member: MemberStatus, host: Host): Standing {
  if (member.leaving) return 'leaving'
  if (member.host === view.self) return 'ready'
  const answers = member.active === true
  const caughtUp = member.matchIndex !== null && member.matchIndex + CAUGHT_UP_ENTRIES >= view.status.commitIndex
  if (member.role === 'learner') {
    const upMs = view.contacts.get(member.host)?.upMs ?? 0
    const stable = upMs >= STABLE_MS && host.status !== 'joining'
    return !answers ? 'dead' : stable && caughtUp ? 'ready' : 'unready'
  }
  if (answers) return caughtUp ? 'ready' : 'unready'
  const limitMs = settingNumber(view.inventory, 'mesh.voter-replace-after-s') * 1_000
  return awayMs(view, member) >= limitMs ? 'dead' : 'unready'
}

/**
 * By Raft for as long as this host leads, by the link for longer: a new leader does not begin to count anew. A member that answers is not away,
 * whatever its link did.
 */
function awayMs({ contacts, inactiveSince, nowMs }: SeatsView, { host, member, active }: MemberStatus): number {
  if (active === true) return 0
  const byRaft = nowMs - (inactiveSince.get(member) ?? nowMs)
  const contact = contacts.get(host)
  const byLink = contact === undefined || contact.upMs !== null ? 0 : (contact.silentMs ?? 0)
  return Math.max(byRaft, byLink)
}

function because(standing: Standing, away: number): string {
  switch (standing) {
    case 'leaving':
      return 'is being removed'
    case 'dead':
      return `was not heard of for ${Math.floor(away / 1_000)} s`
    case 'gone':
    case 'ready':
    case 'unready':
      return ''
  }
}
