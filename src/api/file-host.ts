// Which host carries out file work on datastores: the one that was asked where it can, else the first that can. Pure.
import { type DatastoreId, type HostId } from '../base/ids.ts'
import { refusal } from '../base/errors.ts'
import { type Host } from '../inventory/model.ts'
import { hostState } from '../inventory/view.ts'
import { byName, type Sight } from './shapes.ts'

/** Throws `refused` with one reason a host where none can. Witnesses hold no files. */
export function fileHost({ inventory, liveness, load }: Sight, self: HostId, datastores: readonly DatastoreId[]): Host {
  const hosts = byName(inventory.hosts.values())
  const faultsOf = (host: Host): string[] => {
    if (host.role === 'witness') return ['it is a witness']
    const state = hostState(host, liveness)
    const faults = load.hosts.get(host.id)?.datastoreFaults
    return [...(state === 'up' ? [] : [`it is ${state}`]), ...datastores.flatMap((id) => faults?.get(id) ?? [])]
  }
  const able = hosts.filter((host) => faultsOf(host).length === 0)
  const chosen = able.find(({ id }) => id === self) ?? able[0]
  if (chosen !== undefined) return chosen
  const reasons = hosts.map((host) => ({ code: 'file-host', message: `host ${host.name}: ${faultsOf(host).join(', ')}` }))
  throw refusal('no host can work on the files of this datastore', reasons)
}
