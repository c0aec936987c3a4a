// How fresh an answer is: reads fall back to what this host knows and say so, writes wait for the mesh to agree.
import { sleep } from '../base/clock.ts'
import { deadline, within } from '../base/deadline.ts'
import { hasCode, OperationError, refusal } from '../base/errors.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type ApiContext } from './context.ts'

/** A read waits this long for a quorum: longer than an election (0.7 to 1.4 s), short enough for a person. */
const READ_MS = 2_000
/** A write looks up its names this long: it outlasts two elections in a row, then the mesh has lost its quorum. */
const WRITE_READ_MS = 5_000
const RETRY_MS = 100

export interface Fresh {
  readonly inventory: Inventory
  /** Null: everything that was committed when the read began is in it. */
  readonly stale: { readonly ageMs: number } | null
}

type Source = Pick<ApiContext, 'cluster' | 'clock' | 'lifecycle'>

/** The agreed state, or where no quorum answers in time what this host applied, marked with its age. */
export async function readOrStale(source: Source, signal: AbortSignal): Promise<Fresh> {
  assertMember(source)
  const { clock, cluster, lifecycle } = source
  try {
    const inventory = await within({ clock, ms: READ_MS, what: 'reading the inventory', signal }, (limited) => cluster.read(limited))
    return { inventory, stale: null }
  } catch (error) {
    signal.throwIfAborted()
    // What a generation that is over agreed on is old by nature, and worth a look all the same.
    if (!hasCode(error, 'no-quorum', 'timeout', 'unreachable') && cluster.status().superseded === null) throw error
    const damaged = lifecycle.damaged()
    if (damaged !== null) throw needsRepair(damaged, error)
    // While the quorum seems fine nothing measures the age: it is at least the wait.
    return { inventory: cluster.view(), stale: { ageMs: Math.round(cluster.status().staleMs ?? READ_MS) } }
  }
}

/** The agreed state for a write. Rejects with `no-quorum` when nobody leads for WRITE_READ_MS. */
export async function readForWrite(source: Source, signal: AbortSignal): Promise<Inventory> {
  assertMember(source)
  const { clock, cluster } = source
  const limit = deadline(clock, WRITE_READ_MS, 'reading the inventory', signal)
  try {
    for (;;) {
      try {
        return await cluster.read(limit.signal)
      } catch (error) {
        if (!hasCode(error, 'no-quorum', 'unreachable') || limit.signal.aborted) throw error
        await sleep(clock, RETRY_MS, limit.signal)
      }
    }
  } catch (error) {
    signal.throwIfAborted()
    if (!hasCode(error, 'no-quorum', 'timeout', 'unreachable')) throw error
    const damaged = source.lifecycle.damaged()
    throw damaged === null ? noQuorum(error) : needsRepair(damaged, error)
  } finally {
    limit.done()
  }
}

function noQuorum(cause: unknown): OperationError {
  const message = `the mesh has no quorum: no leader answered within ${WRITE_READ_MS} ms, so nothing was changed`
  const reason = { code: 'no-quorum', message: 'more than half of the voters must be up and reach each other', fix: 'hostmesh mesh status' }
  return new OperationError('no-quorum', message, { cause, reasons: [reason] })
}

/** Not an empty mesh, as it would look: this host has nothing to show, and what mends that depends on whether others have it. */
function needsRepair({ why, alone }: { readonly why: string; readonly alone: boolean }, cause: unknown): OperationError {
  const fix = alone
    ? 'it knows no other host: if there is one, hostmesh mesh status there; else hostmesh mesh restore FILE, which sets the damaged stores aside'
    : 'wait: it comes back as a learner by itself; while the mesh has no quorum, run hostmesh mesh status on another host, and only without one for good hostmesh mesh recover --plan there'
  return new OperationError('no-quorum', 'this host needs repair: its member takes no part, and has no state of the mesh to show', {
    cause,
    reasons: [{ code: 'needs-repair', message: why, fix }],
  })
}

/** Throws `refused` on a host that was neither initialised nor joined, or was removed since; `no-quorum` while it becomes another member. */
export function assertMember({ lifecycle }: Pick<ApiContext, 'lifecycle'>): void {
  if (!lifecycle.initialised()) throw noMember({ ended: lifecycle.ended(), changing: lifecycle.changing() })
}

/** `ended`: how its last membership ended, if it had one. `changing`: the mesh of which it is about to be a new member. */
export function noMember({ ended, changing }: { readonly ended: string | null; readonly changing: string | null }): OperationError {
  if (changing !== null) {
    const message = `this host is becoming a new member of mesh ${changing}, and takes no part for a moment`
    const reason = { code: 'member-changes', message: 'its former member has stopped, the new one is not up yet', fix: 'try again' }
    return new OperationError('no-quorum', message, { reasons: [reason] })
  }
  if (ended === null) {
    const fix = 'hostmesh init --name MESH on the first host, hostmesh join TOKEN on every other'
    return refusal('this host belongs to no mesh yet', [{ code: 'no-mesh', message: 'neither init nor join was run on it', fix }])
  }
  const fix = 'hostmesh join TOKEN, with a token of the mesh (hostmesh token create), or hostmesh init --name MESH'
  return refusal('this host belongs to no mesh', [{ code: 'removed', message: `it was ${ended}`, fix }])
}
