// Proposals on a leader: data, and changes of the configuration with the checks that refuse them.
import { type NodeId } from './types.ts'

/** Why a proposal was not taken. `not-leader`: another member leads, ask it. The last four concern configuration changes only. */
export type DropReason =
  | 'no-leader'
  | 'not-leader'
  | 'not-a-member'
  | 'transferring'
  | 'too-much-uncommitted'
  | 'pending-change'
  | 'in-joint'
  | 'not-joint'
  | 'invalid-change'

export type ProposeResult =
  | { readonly kind: 'accepted'; readonly index: number; readonly term: number }
  | { readonly kind: 'forwarded'; readonly to: NodeId }
  | { readonly kind: 'dropped'; readonly why: DropReason }
