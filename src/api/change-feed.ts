// The change feed: what changed in the agreed state as this host applies it, compact, in the order of the log.
import { type Clock } from '../base/clock.ts'
import { Queue } from '../base/queue.ts'
import { type Change, type Cluster } from '../inventory/cluster.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Liveness, hostState, vmState } from '../inventory/view.ts'
import { eventAnswer } from './shapes.ts'
import { drain, type StreamItem } from './stream.ts'
import { type ChangeMessage } from './types.ts'

/** A client that is this far behind gets one `reset` instead, and reads anew: cheaper for both than the backlog. */
const BACKLOG = 500
/** A change of more rows than a person can follow (a snapshot) is a `reset`. */
const MAX_ROWS = 500

export interface FeedSource {
  readonly cluster: Pick<Cluster, 'view' | 'onChange'>
  readonly clock: Clock
  liveness(): Liveness
}

/**
 * Changes after index `since`, without it from now on. Opens with one message at once: the events after `since` that are still kept, and
 * `reset` where rows may have changed since, for they have no history. Whoever reads a row after the opening misses nothing. Ends with the
 * signal.
 */
export async function* changeFeed(
  source: FeedSource,
  since: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<StreamItem<ChangeMessage> | null, void, undefined> {
  const queue = new Queue<ChangeMessage>(BACKLOG)
  const start = source.cluster.view()
  const from = since ?? start.index
  const off = source.cluster.onChange((change) => {
    if (change.index <= from || queue.push(messageOf(change, source.liveness()))) return
    queue.clear()
    queue.push(resetAt(change.index))
  })
  try {
    yield item({ index: start.index, reset: from < start.index, rows: [], events: eventsAfter(start, from) })
    for await (const message of drain(queue, source.clock, signal)) yield message === null ? null : item(message)
  } finally {
    off()
  }
}

function item(data: ChangeMessage): StreamItem<ChangeMessage> {
  return { data, id: data.index }
}

function resetAt(index: number): ChangeMessage {
  return { index, reset: true, rows: [], events: [] }
}

function eventsAfter(inventory: Inventory, since: number): ChangeMessage['events'] {
  return inventory.events.filter((event) => event.index > since).map(eventAnswer)
}

const messages = new WeakMap<Change, ChangeMessage>()

/** One change is the same message for every client: made once. Liveness is shown, so a second's age does no harm. */
function messageOf(change: Change, liveness: Liveness): ChangeMessage {
  const known = messages.get(change)
  if (known !== undefined) return known
  const rows = changedRows(change.before, change.after, liveness)
  const reset = rows.length > MAX_ROWS
  const message = { index: change.index, reset, rows: reset ? [] : rows, events: eventsAfter(change.after, change.before.index) }
  messages.set(change, message)
  return message
}

type ChangedRow = ChangeMessage['rows'][number]

/** Rows that differ between two states, table by table. A row that went has state `removed`. */
export function changedRows(before: Inventory, after: Inventory, liveness: Liveness): ChangedRow[] {
  return [
    ...diff('host', before.hosts, after.hosts, (host) => ({ name: host.name, state: hostState(host, liveness) })),
    ...diff('vm', before.vms, after.vms, (vm) => ({ name: vm.name, state: vmState(vm, liveness) })),
    ...diff('datastore', before.datastores, after.datastores, ({ name }) => ({ name, state: 'present' })),
    ...diff('disk', before.disks, after.disks, ({ name, state }) => ({ name, state: state.kind })),
    ...diff('job', before.jobs, after.jobs, ({ name, phase }) => ({ name, state: phase })),
    ...diff('token', before.tokens, after.tokens, ({ id, revoked }) => ({ name: id, state: revoked ? 'revoked' : 'present' })),
  ]
}

/** States share every table, and every row, that did not change: equal means the same object. */
function diff<R extends { readonly id: string }>(
  kind: string,
  before: ReadonlyMap<string, R>,
  after: ReadonlyMap<string, R>,
  describe: (row: R) => Pick<ChangedRow, 'name' | 'state'>,
): ChangedRow[] {
  if (before === after) return []
  const changed = [...after.values()].filter((row) => before.get(row.id) !== row).map((row) => ({ kind, id: row.id, ...describe(row) }))
  const gone = [...before.values()].filter((row) => !after.has(row.id))
  return [...changed, ...gone.map((row) => ({ kind, id: row.id, ...describe(row), state: 'removed' }))]
}
