// How well a VM would sit on a host that may take it: a few numbers from 0 (bad) to 1 (good), weighted and summed.
import { type Host } from '../inventory/model.ts'
import { capacityOf, freeMiB } from './capacity.ts'
import { type Placeable, type World } from './world.ts'

export interface Score {
  /** The weighted mean of its parts, 0 to 1. */
  readonly total: number
  readonly parts: readonly ScorePart[]
}

export interface ScorePart {
  readonly name: string
  readonly weight: number
  readonly value: number
  /** The figure behind the value, for people. */
  readonly text: string
}

/**
 * Memory first: it cannot be shared, so a host that runs full is the one that refuses the next VM. A busy CPU slows all its guests. The number
 * of VMs spreads equal ones, and what one host's death takes along. The last host wins only a tie: its caches are warm.
 */
const WEIGHTS = { memory: 4, cpu: 2, vms: 1, 'last-host': 0.25 } as const

export function score(world: World, vm: Placeable, host: Host): Score {
  const capacity = capacityOf(world.inventory, host, vm)
  const leftMiB = freeMiB(capacity) - vm.spec.memoryMiB
  const busy = busyShare(world, host, capacity)
  const stays = vm.lastHost === host.id
  const parts: readonly ScorePart[] = [
    part('memory', capacity.usableMiB > 0 ? leftMiB / capacity.usableMiB : 0, `${leftMiB} MiB free after it`),
    part('cpu', 1 - busy.share, busy.text),
    part('vms', 1 / (1 + capacity.vms), `${capacity.vms} other ${capacity.vms === 1 ? 'VM' : 'VMs'}`),
    part('last-host', stays ? 1 : 0, stays ? 'ran there last' : ''),
  ]
  const weight = parts.reduce((sum, one) => sum + one.weight, 0)
  return { total: parts.reduce((sum, one) => sum + one.weight * one.value, 0) / weight, parts }
}

function part(name: keyof typeof WEIGHTS, value: number, text: string): ScorePart {
  return { name, weight: WEIGHTS[name], value: Math.min(1, Math.max(0, value)), text }
}

/** As measured; from what was promised where the host has not reported yet. */
function busyShare(
  world: World,
  host: Host,
  { promisedVcpus, cores }: { readonly promisedVcpus: number; readonly cores: number },
): {
  readonly share: number
  readonly text: string
} {
  const load = world.load.hosts.get(host.id)
  if (load !== undefined) return { share: load.cpuPercent / 100, text: `CPU ${Math.round(load.cpuPercent)} % busy` }
  return { share: promisedVcpus / cores, text: `${promisedVcpus} vCPUs on ${cores} cores` }
}
