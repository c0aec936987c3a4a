// How a host learns that it was removed: what the mesh says of it, by its own log or by any member that it greets.
import * as v from 'valibot'
import { type HostId, type MemberId, type MeshId } from '../base/ids.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type RemovedHost } from '../inventory/model.ts'

/** Who removed which host from where. Of one data directory: a host that joined again is not meant by what is said of its former one. */
export interface Removal {
  readonly mesh: { readonly id: MeshId; readonly name: string }
  readonly member: MemberId
  /** Milliseconds since 1970. */
  readonly at: number
  readonly by: string
  readonly reason: string | null
}

/** Shape of a removal, as it travels and as it lies on disk. */
export const removalShape = v.object({
  mesh: v.object({ id: v.custom<MeshId>((value) => typeof value === 'string'), name: v.string() }),
  member: v.custom<MemberId>((value) => typeof value === 'number' && Number.isSafeInteger(value)),
  at: v.number(),
  by: v.string(),
  reason: v.nullable(v.string()),
})

/** What each host that was taken out is to be told. */
export function noticesOf({ mesh }: Inventory): readonly { readonly host: HostId; readonly notice: Removal }[] {
  if (mesh === null) return []
  return (mesh.removed ?? []).map((removed) => ({ host: removed.id, notice: removalOf(mesh, removed) }))
}

/** What this host's own log says of it. */
export function ownRemoval({ mesh }: Inventory, self: HostId, member: MemberId): Removal | undefined {
  const removed = mesh?.removed?.find((one) => one.id === self && one.member === member)
  return mesh === null || removed === undefined ? undefined : removalOf(mesh, removed)
}

/** What a member said, if it is about this very membership. */
export function heardRemoval(notice: unknown, mesh: MeshId, member: MemberId): Removal | undefined {
  const { success, output } = v.safeParse(removalShape, notice)
  return success && output.mesh.id === mesh && output.member === member ? output : undefined
}

function removalOf({ id, name }: { readonly id: MeshId; readonly name: string }, removed: RemovedHost): Removal {
  const { member, at, by, reason } = removed
  return { mesh: { id, name }, member, at, by, reason }
}

/** For people: `removed from mesh lab on 2026-11-25 07:20:11 UTC by admin@h1 (sold)`. */
export function removalText({ mesh, at, by, reason }: Removal): string {
  const when = new Date(at).toISOString().slice(0, 19).replace('T', ' ')
  return `removed from mesh ${mesh.name} on ${when} UTC by ${by}${reason === null ? '' : ` (${reason})`}`
}
