// The words of a recovery: where hosts stand when the quorum is lost, and what going on without the others would mean.
import { type Reason } from '../base/errors.ts'
import { type GenerationId, type HostId, type MemberId } from '../base/ids.ts'

/** What a member says of itself, also without a quorum. */
export interface Standing {
  readonly generation: number
  readonly generationId: GenerationId | null
  readonly member: MemberId
  /** Whom it follows or is; null where it knows no leader. */
  readonly leader: HostId | null
  readonly term: number
  readonly lastTerm: number
  readonly lastIndex: number
  readonly commitIndex: number
  readonly appliedIndex: number
  /** Members, as far as it has applied their changes; `outgoing` while a change of voters is under way. */
  readonly voters: readonly number[]
  readonly outgoing: readonly number[]
}

/** What becomes of a host. */
export type Part =
  /** Its log goes on; it votes alone until others have caught up. */
  | 'goes-on'
  /** Comes in again as a learner by itself, and votes again later. */
  | 'rejoins'
  /** Answered, and there is nothing to go on from, or no need to: it stays what it is. */
  | 'stays'
  /** Did not answer: refused when it comes back in the old generation, and let in again as a learner. */
  | 'away'

export interface PlannedHost {
  readonly host: HostId
  readonly name: string
  readonly voted: boolean
  readonly part: Part
  /** Null: it did not answer. */
  readonly standing: Standing | null
  /** Why it did not answer. */
  readonly why: string | null
}

export interface RecoveryPlan {
  readonly from: number
  readonly to: number
  /** Null where nobody can go on, or nobody has to. */
  readonly chosen: HostId | null
  /** By name. */
  readonly hosts: readonly PlannedHost[]
  /** Of the most advanced one that answered: the entries up to `lastIndex` stay, those above `commitIndex` are taken for committed, which nobody here knows. */
  readonly kept: { readonly lastIndex: number; readonly lastTerm: number; readonly commitIndex: number }
  /** The hosts that did not answer could have agreed on more by themselves: what that was, nobody here knows. */
  readonly mayLoseMore: boolean
  /** VMs that may be running on hosts that did not answer, by the name of the host. */
  readonly running: readonly { readonly host: string; readonly vms: readonly string[] }[]
  /** Empty: go. */
  readonly reasons: readonly Reason[]
}
