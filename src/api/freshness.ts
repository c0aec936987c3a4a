// How fresh an answer is: reads fall back to what this host knows and say so, writes wait for the mesh to agree.
import { sleep } from '../base/clock.ts'
import { deadline, within } from '../base/deadline.ts'
import { hasCode, OperationError, refusal } from '../base/errors.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type ApiContext, type Membership } from './context.ts'

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
    if (cluster.view().mesh === null) throw noStateYet(lifecycle.membership(), error)
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
    if (damaged !== null) throw needsRepair(damaged, error)
    throw source.cluster.view().mesh === null ? noStateYet(source.lifecycle.membership(), error) : noQuorum(error)
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

/** A member from its admission on, with a state to show once the leader has sent it. Not an empty mesh either. */
function noStateYet(membership: Membership | null, cause: unknown): OperationError {
  const where = membership === null ? 'a mesh' : `generation ${membership.generation} of mesh ${membership.mesh}`
  const fix = 'wait, it takes seconds; if it does not end: hostmesh mesh members on another host'
  return new OperationError('no-quorum', `this host comes into ${where} as a new member, and has not received its state yet`, {
    cause,
    reasons: [{ code: 'no-state-yet', message: 'the leader sends it as soon as it reaches this host', fix }],
  })
}

/** Throws `refused` on a host that was neither initialised nor joined, or was removed since; `no-quorum` while it becomes another member. */
export function assertMember({ lifecycle }: Pick<ApiContext, 'lifecycle'>): void {
  if (!lifecycle.initialised()) throw noMember(lifecycle.membership(), lifecycle.ended())
}

/** `ended`: how its last membership ended, if it had one. */
export function noMember(membership: Membership | null, ended: string | null): OperationError {
  if (membership !== null) {
    const message = `this host changes what it is in mesh ${membership.mesh}, and shows nothing meanwhile`
    const reason = {
      code: 'changing-member',
      message: 'it becomes another member of its mesh; guests run on',
      fix: 'ask again in a moment',
    }
    return new OperationError('no-quorum', message, { reasons: [reason] })
  }
  if (ended === null) {
    const fix = 'hostmesh init --name MESH on the first host, hostmesh join TOKEN on every other'
    return refusal('this host belongs to no mesh yet', [{ code: 'no-mesh', message: 'neither init nor join was run on it', fix }])
  }
  const fix = 'hostmesh join TOKEN, with a token of the mesh (hostmesh token create), or hostmesh init --name MESH'
  return refusal('this host belongs to no mesh', [{ code: 'removed', message: `it was ${ended}`, fix }])
}
