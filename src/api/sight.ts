// What one request sees: the state it read, and what this host knows beside it.
import { type HostId } from '../base/ids.ts'
import { type RaftRole } from '../inventory/cluster.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Liveness } from '../inventory/view.ts'
import { type ApiContext } from './context.ts'
import { type Sight } from './shapes.ts'

export function sightOf(context: ApiContext, inventory: Inventory): Sight {
  const members = context.cluster.status().members
  const roles = new Map<HostId, RaftRole>(members.map(({ host, role }) => [host, role]))
  return { inventory, liveness: livenessOf(context), load: context.load(), roles }
}

/** A detector says nothing of its own host, which is up: it answers. */
export function livenessOf({ self, liveness }: Pick<ApiContext, 'self' | 'liveness'>): Liveness {
  return new Map([...liveness(), [self.id, 'up']])
}
