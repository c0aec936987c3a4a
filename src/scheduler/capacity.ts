// What a host has to give, and what it has promised already.
import { type Inventory } from '../inventory/inventory.ts'
import { type Host } from '../inventory/model.ts'
import { settingNumber } from '../inventory/settings.ts'
import { vmsOn } from '../inventory/view.ts'
import { type Placeable } from './world.ts'

export interface Capacity {
  /** MiB that placement may promise on this host in all: its memory times the overcommit, less the reserve. Never below 0. */
  readonly usableMiB: number
  /** MiB promised to the VMs that the host owns, whether their guests use it yet or not. */
  readonly promisedMiB: number
  readonly cores: number
  readonly promisedVcpus: number
  readonly vms: number
}

/** Without `apart` itself: a VM does not stand in its own way. */
export function capacityOf(inventory: Inventory, host: Host, apart: Pick<Placeable, 'id'>): Capacity {
  const overcommit = settingNumber(inventory, 'placement.memory-overcommit')
  const reserveMiB = settingNumber(inventory, 'placement.memory-reserve-mib')
  const vms = vmsOn(inventory, host.id).filter(({ id }) => id !== apart.id)
  return {
    usableMiB: Math.max(0, Math.floor(host.facts.memoryMiB * overcommit) - reserveMiB),
    promisedMiB: vms.reduce((sum, vm) => sum + vm.spec.memoryMiB, 0),
    cores: host.facts.cpu.cores,
    promisedVcpus: vms.reduce((sum, vm) => sum + vm.spec.vcpus, 0),
    vms: vms.length,
  }
}

/** MiB that are still to be promised; below 0 where a setting or the machine was made smaller. */
export function freeMiB(capacity: Capacity): number {
  return capacity.usableMiB - capacity.promisedMiB
}
