// The first state of a brand-new group. A joiner needs none: empty stores wait for the leader's snapshot.
import { assert } from '../base/assert.ts'
import { OperationError } from '../base/errors.ts'
import { type Entry, type LogStore, NOBODY, type NodeId, type SnapshotMeta, type StateStore } from './types.ts'

export interface FirstState {
  readonly voters: readonly NodeId[]
  /** The state machine's stored values to begin with. */
  readonly values?: ReadonlyMap<string, Uint8Array>
  /** Entries that are committed from the beginning, applied at the first start. */
  readonly commands?: readonly Uint8Array[]
}

/** The state of a new group counts as entry 1, so that a member with an empty log can only begin with a snapshot. */
export const FIRST = { index: 1, term: 1 } as const

/**
 * Writes a new group's first state into two empty stores. Repeatable after a crash. With several voters each must write exactly the same.
 * Throws `conflict` when the log holds something already. The stores are loaded, and stay open.
 */
export async function bootstrap(logStore: LogStore, stateStore: StateStore, first: FirstState): Promise<void> {
  assert(first.voters.length > 0, 'bootstrap: a group needs a voter')
  const [log] = await Promise.all([logStore.load(), stateStore.load(async () => {})])
  const lastIndex = log.snapshot.index + log.entries.length
  if (lastIndex > 0) {
    throw new OperationError('conflict', `the log holds entries up to ${lastIndex} already: this member belongs to a group`, {
      data: { kind: 'not-empty', lastIndex },
    })
  }
  const conf = { voters: [...first.voters], outgoing: [], learners: [], learnersNext: [], autoLeave: false }
  const meta: SnapshotMeta = { ...FIRST, conf }
  // The state first, as for every snapshot: the log makes it valid.
  await stateStore.replace({ meta, values: first.values ?? new Map() })
  const entries = (first.commands ?? []).map((data, at): Entry => ({ index: FIRST.index + 1 + at, term: FIRST.term, kind: 'normal', data }))
  const hardState = { term: FIRST.term, vote: NOBODY, commit: FIRST.index + entries.length }
  await logStore.write({ entries, hardState, snapshot: meta, sync: true })
}
