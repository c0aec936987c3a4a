// Disk files are made by the host that took the request. If it is away, another host does the work: the file operations may be repeated.
import { type HostId } from '../base/ids.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Disk } from '../inventory/model.ts'
import { type Duty } from './controllers.ts'

/** A host must be away this long: a restart of its agent is not worth a hand-over. */
const AWAY_MS = 10_000

export function diskController(): { readonly name: string; run(duty: Duty, signal: AbortSignal): Promise<void> } {
  const awaySince = new Map<HostId, number>()
  return {
    name: 'disks',
    async run(duty, signal) {
      const nowMs = duty.clock.now()
      const liveness = duty.liveness()
      for (const disk of duty.cluster.view().disks.values()) {
        const host = worker(disk)
        if (host === null) continue
        if (liveness.get(host) === 'up') awaySince.delete(host)
        else if (!awaySince.has(host)) awaySince.set(host, nowMs)
        else if (nowMs - (awaySince.get(host) ?? nowMs) >= AWAY_MS) {
          const to = standIn(duty.cluster.view(), liveness)
          if (to !== null) await duty.propose({ kind: 'disk-reassign', disk: disk.id, to }, signal)
        }
      }
    },
  }
}

function worker(disk: Disk): HostId | null {
  return disk.state.kind === 'ready' || disk.state.kind === 'failed' ? null : disk.state.host
}

function standIn(inventory: Inventory, liveness: ReadonlyMap<HostId, 'up' | 'suspect'>): HostId | null {
  for (const host of inventory.hosts.values()) {
    if (host.role === 'host' && liveness.get(host.id) === 'up') return host.id
  }
  return null
}
