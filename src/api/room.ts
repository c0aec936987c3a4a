// Whether a VM has room in the mesh, by the code that will place it: now, or at least once everything is up and empty. Pure.
import { type Reason } from '../base/errors.ts'
import { NO_LOAD } from '../inventory/load.ts'
import { hostName } from '../inventory/view.ts'
import { place } from '../scheduler/place.ts'
import { type Placeable, type World } from '../scheduler/world.ts'

export type Room =
  /** `step` says where it would go, and why there. */
  { readonly kind: 'room'; readonly step: string } | { readonly kind: 'none'; readonly reasons: readonly Reason[] }

/** As things are now. */
export function roomNow(world: World, vm: Placeable): Room {
  const placement = place(world, vm)
  if (placement.kind === 'refused') return { kind: 'none', reasons: placement.perHost.flatMap(({ reasons }) => reasons) }
  const { host, reasons } = placement
  return { kind: 'room', step: `start it on ${hostName(world.inventory, host)}, as things are now: ${reasons.join(', ')}` }
}

/** With every host up, no datastore at fault and no other VM: who has no room then, never has. */
export function roomEver({ inventory }: Pick<World, 'inventory'>, vm: Placeable): Room {
  const hosts = new Map(
    [...inventory.hosts].map(([id, host]) => [id, host.status === 'joining' ? { ...host, status: 'up' as const } : host]),
  )
  const liveness = new Map([...hosts.keys()].map((id) => [id, 'up' as const]))
  return roomNow({ inventory: { ...inventory, hosts, vms: new Map() }, load: NO_LOAD, liveness }, vm)
}
