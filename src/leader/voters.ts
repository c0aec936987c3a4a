// Which members should vote, and who should lead. Pure; voters-controller.ts proposes what this decides.
import { type MemberId } from '../base/ids.ts'
import { type HostRole } from '../inventory/model.ts'
import { compareText } from '../inventory/view.ts'

/**
 * How a member does. `ready`: alive and caught up (a learner: for a while already). `unready`: a voter that is away for less than the time
 * after which it is replaced, or lags; a learner that is alive, but not long enough or not caught up. `dead`: a voter that is away for longer,
 * a learner that is away. `gone`: a voter whose host is no host of the mesh any more, or has another member by now. `leaving`: its host is
 * being removed.
 */
export type Standing = 'ready' | 'unready' | 'dead' | 'gone' | 'leaving'

/** One member of the group, as the leader sees it. */
export interface Seat {
  readonly member: MemberId
  /** Of its host, for people. */
  readonly name: string
  /** What fails as a whole: hosts with the same one are no safety for each other. */
  readonly zone: string
  readonly role: HostRole
  readonly votes: boolean
  readonly leads: boolean
  readonly standing: Standing
  /** How that shows, for people: `was not heard of for 312 s`. */
  readonly because: string
  readonly joinedAt: number
}

export type VotersPlan =
  | { readonly kind: 'stay' }
  /** Leadership goes to this voter first; whoever leads then looks again. */
  | { readonly kind: 'transfer'; readonly to: MemberId; readonly why: string }
  /** One joint change. `demote` become learners, `remove` are no members any more. */
  | {
      readonly kind: 'change'
      readonly promote: readonly MemberId[]
      readonly demote: readonly MemberId[]
      readonly remove: readonly MemberId[]
      readonly why: string
    }

/** Always odd: an even number needs one more to agree and survives no further loss. More than five only make every write slower. */
const SIZES = [5, 3, 1] as const

/** What is to be done now; nothing, where the voters are the best ones already. The same seats in any order give the same plan. */
export function planVoters(unordered: readonly Seat[]): VotersPlan {
  const seats = [...unordered].sort(bySeniority)
  const voters = seats.filter(({ votes }) => votes)
  const wanted = bestVoters(seats, voters)
  const leader = seats.find(({ leads }) => leads)
  if (leader !== undefined && (leader.role === 'witness' || !wanted.includes(leader))) {
    const heir = voters.find((seat) => seat !== leader && seat.role === 'host' && seat.standing === 'ready' && wanted.includes(seat))
    if (heir !== undefined) return { kind: 'transfer', to: heir.member, why: `${heir.name} leads instead: ${whyNotLead(leader)}` }
  }
  return mustWait(seats, voters, wanted) ? { kind: 'stay' } : changeTo(wanted, voters)
}

/** How many voters of `chosen` may still be lost before those left are no majority; below 0 they are none now. */
export function margin(chosen: readonly Pick<Seat, 'standing'>[]): number {
  return chosen.filter(isAlive).length - majorityOf(chosen.length)
}

/** True where the loss of any one zone leaves a majority. */
export function survivesAnyZone(chosen: readonly Pick<Seat, 'standing' | 'zone'>[]): boolean {
  const alive = chosen.filter(isAlive)
  return alive.length > 0 && alive.every(({ zone }) => alive.filter((seat) => seat.zone !== zone).length >= majorityOf(chosen.length))
}

/**
 * The size is what survives most. A zone counts first, for its label says that it fails as a whole: five voters of which three share a zone are
 * worse than three apart. Then the number of voters that may be lost. So five need five members, three need three; two members have one voter;
 * and where two of five are dead without a replacement, the three that live survive more alone. What is equal stays as it is.
 */
function bestVoters(seats: readonly Seat[], voters: readonly Seat[]): readonly Seat[] {
  const worth = (chosen: readonly Seat[]): readonly number[] => [
    Number(survivesAnyZone(chosen)),
    margin(chosen),
    Number(chosen.length === voters.length),
    chosen.length,
  ]
  const choices = SIZES.map((size) => chosenOf(seats, size)).filter((chosen) => chosen !== undefined)
  return choices.toSorted((a, b) => compareWorth(worth(b), worth(a)))[0] ?? voters
}

/** The best voters in this number; undefined where there are not enough. The dead keep their vote only while nobody can take it. */
function chosenOf(seats: readonly Seat[], size: number): readonly Seat[] | undefined {
  const hosts = seats.filter(({ standing }) => standing !== 'gone' && standing !== 'leaving')
  if (hosts.length < size) return undefined
  const live = seats.filter((seat) => seat.standing === 'ready' || (seat.votes && seat.standing === 'unready'))
  const lost = (['dead', 'gone'] as const).flatMap((how) => seats.filter((seat) => seat.votes && seat.standing === how))
  const chosen = spread(live, size)
  const filled = [...chosen, ...lost.slice(0, size - chosen.length)]
  return chosen.length > 0 && filled.length === size ? filled : undefined
}

/** One after the other, from the zone that has fewest so far: as even as the zones allow. */
function spread(live: readonly Seat[], size: number): readonly Seat[] {
  const chosen: Seat[] = []
  const rest = new Set(live)
  const crowd = ({ zone }: Seat): number => chosen.filter((seat) => seat.zone === zone).length
  while (chosen.length < size && rest.size > 0) {
    const [next] = [...rest].sort((a, b) => crowd(a) - crowd(b) || byMerit(a, b))
    if (next === undefined) break
    rest.delete(next)
    chosen.push(next)
  }
  return chosen
}

/** Hosts before witnesses, which stand in where there are not enough hosts; whoever votes keeps its vote; the leader needs no transfer. */
function byMerit(a: Seat, b: Seat): number {
  const first = (has: (seat: Seat) => boolean): number => Number(has(b)) - Number(has(a))
  return (
    first(({ role }) => role === 'host') ||
    first(({ votes }) => votes) ||
    first(({ standing }) => standing === 'ready') ||
    first(({ leads }) => leads) ||
    bySeniority(a, b)
  )
}

function bySeniority(a: Seat, b: Seat): number {
  return a.joinedAt - b.joinedAt || a.member - b.member
}

/**
 * A quorum of members that are not ready would stop the mesh. And a host that is to leave waits for the one that will take its place in some
 * seconds: a smaller quorum meanwhile would survive less.
 */
function mustWait(seats: readonly Seat[], voters: readonly Seat[], wanted: readonly Seat[]): boolean {
  const ready = wanted.filter(({ standing }) => standing === 'ready').length
  if (ready < majorityOf(wanted.length)) return true
  const leaving = voters.some(({ standing }) => standing === 'leaving')
  const coming = seats.some((seat) => !seat.votes && seat.standing === 'unready')
  return leaving && coming && wanted.length < voters.length
}

function changeTo(wanted: readonly Seat[], voters: readonly Seat[]): VotersPlan {
  const promoted = wanted.filter(({ votes }) => !votes)
  const dropped = voters.filter((seat) => !wanted.includes(seat))
  if (promoted.length === 0 && dropped.length === 0) return { kind: 'stay' }
  const ids = (chosen: readonly Seat[]): readonly MemberId[] => chosen.map(({ member }) => member).toSorted((a, b) => a - b)
  return {
    kind: 'change',
    promote: ids(promoted),
    demote: ids(dropped.filter(({ standing }) => standing !== 'gone')),
    remove: ids(dropped.filter(({ standing }) => standing === 'gone')),
    why: whyChange({ wanted, voters, promoted, dropped }),
  }
}

function whyNotLead(leader: Seat): string {
  if (leader.standing === 'leaving') return `${leader.name} is being removed`
  return leader.role === 'witness' ? `${leader.name} is a witness` : `${leader.name} is going to give up its vote`
}

interface Turn {
  readonly wanted: readonly Seat[]
  readonly voters: readonly Seat[]
  readonly promoted: readonly Seat[]
  readonly dropped: readonly Seat[]
}

function whyChange({ wanted, voters, promoted, dropped }: Turn): string {
  const size = wanted.length === voters.length ? `${wanted.length} voters` : `${wanted.length} voters instead of ${voters.length}`
  const zones = new Set(wanted.map(({ zone }) => zone)).size
  const lost = margin(wanted)
  const survive = `in ${zones} failure domain${zones === 1 ? '' : 's'}, of which ${lost === 0 ? 'none' : lost} may be lost`
  const gains = promoted.length === 0 ? [] : [`${names(promoted)} ${promoted.length === 1 ? 'is' : 'are'} up, stable and caught up`]
  const losses = dropped.map((seat) => `${seat.name} ${whyDropped(seat, wanted)}`)
  return [`${size} ${survive}`, ...gains, ...losses].join('; ')
}

function whyDropped(seat: Seat, wanted: readonly Seat[]): string {
  if (seat.standing === 'dead' || seat.standing === 'gone' || seat.standing === 'leaving') return seat.because
  if (wanted.some(({ zone }) => zone === seat.zone)) return `shares zone ${seat.zone} with another voter`
  return seat.role === 'witness' ? 'is a witness, and there are hosts enough' : 'would make their number even'
}

function names(seats: readonly Seat[]): string {
  return seats
    .map(({ name }) => name)
    .toSorted(compareText)
    .join(', ')
}

function isAlive({ standing }: Pick<Seat, 'standing'>): boolean {
  return standing === 'ready' || standing === 'unready'
}

function majorityOf(size: number): number {
  return Math.floor(size / 2) + 1
}

/** The first figure that differs decides. */
function compareWorth(a: readonly number[], b: readonly number[]): number {
  for (const [at, figure] of a.entries()) {
    const other = b[at] ?? 0
    if (figure !== other) return figure - other
  }
  return 0
}
