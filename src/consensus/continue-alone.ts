// What is left of a group that lost its majority for good becomes a group of one: a member's log is folded into its state, which begins anew.
import { type Clock } from '../base/clock.ts'
import { OperationError } from '../base/errors.ts'
import { decodeConfChange } from './conf-codec.ts'
import { recover } from './recovery.ts'
import { feed } from './state-feed.ts'
import {
  type Applied,
  type Entry,
  type LogStore,
  NOBODY,
  type NodeId,
  type SnapshotMeta,
  type StateMachine,
  type StateStore,
  type TakePairs,
} from './types.ts'

/** A state, and the last entry in it. */
export interface Salvaged {
  readonly index: number
  /** The highest term that the member knew of, which may be above that of the entry. */
  readonly term: number
  readonly values: ReadonlyMap<string, Uint8Array>
}

/**
 * The state of a stopped member with its *whole* log applied, in `machine` and as values: what would become of it if this member were elected
 * now. Entries beyond its commit index may have been committed by those who are gone, so they are kept; nobody can have committed others in
 * their place, as far as those who are left know. Its configuration, and every change of it, is left behind. Throws as `startReplica`.
 */
export async function salvage(logStore: LogStore, stateStore: StateStore, machine: StateMachine, clock: Clock): Promise<Salvaged> {
  const values = new Map<string, Uint8Array>()
  const loader = machine.restore()
  const feeding = feed(clock, loader)
  const take: TakePairs = async (pairs) => {
    for (const { key, value } of pairs) values.set(key, value)
    await feeding(pairs)
  }
  const [log, state] = await Promise.all([logStore.load(), stateStore.load(take)])
  const recovered = recover(log, state).log
  loader.finish(state.meta)
  let { index } = state.meta
  for (const entry of recovered.entries) {
    if (entry.index <= index) continue
    keep(values, applyEntry(machine, entry))
    index = entry.index
  }
  return { index, term: recovered.hardState.term, values }
}

export interface Beginning {
  /** A new id: nobody must take it for the member that it was, or for the one whose state it has. */
  readonly member: NodeId
  /** Holds what is salvaged. */
  readonly machine: StateMachine
  /** The first entry of the new group, applied here, above all terms that were. */
  readonly command: Uint8Array
}

/**
 * Writes the first state of a group whose sole voter is `member` into two empty stores, which stay open. Its index goes on from what was
 * salvaged, so that "later" still means what it meant. Repeatable with other stores until a caller makes these the ones that count. Throws
 * `refused` when the machine does not accept the command, `conflict` when the stores are not empty.
 */
export async function beginAlone(
  logStore: LogStore,
  stateStore: StateStore,
  salvaged: Salvaged,
  { member, machine, command }: Beginning,
): Promise<SnapshotMeta> {
  const [log] = await Promise.all([logStore.load(), stateStore.load(async () => {})])
  if (log.snapshot.index + log.entries.length > 0) {
    throw new OperationError('conflict', 'the new stores are not empty: they belong to a member already', { data: { kind: 'not-empty' } })
  }
  const at = { index: salvaged.index + 1, term: salvaged.term + 1 }
  const applied = machine.apply({ ...at, kind: 'normal', data: command })
  if (!applied.accept) {
    throw new OperationError('refused', 'the state machine refused to go on as a group of one', { data: { result: applied.result } })
  }
  const values = new Map(salvaged.values)
  keep(values, applied)
  const meta: SnapshotMeta = { ...at, conf: { voters: [member], outgoing: [], learners: [], learnersNext: [], autoLeave: false } }
  // The state first, as for every snapshot: the log makes it valid.
  await stateStore.replace({ meta, values })
  await logStore.write({ entries: [], hardState: { term: at.term, vote: NOBODY, commit: at.index }, snapshot: meta, sync: true })
  return meta
}

function applyEntry(machine: StateMachine, { index, term, kind, data }: Entry): Applied | undefined {
  const content = kind === 'config' ? decodeConfChange(data).context : data
  return content.length === 0 ? undefined : machine.apply({ index, term, kind, data: content })
}

function keep(values: Map<string, Uint8Array>, applied: Applied | undefined): void {
  for (const { key, value } of applied?.changes ?? []) {
    if (value === undefined) values.delete(key)
    else values.set(key, value)
  }
}
