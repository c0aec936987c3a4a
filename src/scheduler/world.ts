// What a decision of the scheduler is made of: one view of the mesh, and the VM in question. Nothing else may play a part.
import { type DatastoreId } from '../base/ids.ts'
import { type VmCreate } from '../inventory/command.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Load } from '../inventory/load.ts'
import { type Vm } from '../inventory/model.ts'
import { type Liveness } from '../inventory/view.ts'

export interface World {
  readonly inventory: Inventory
  /** May lack hosts that have not reported yet: nothing is held against them for it. */
  readonly load: Load
  readonly liveness: Liveness
}

/** A VM as far as placement goes: every `Vm` is one. `newDisks` are disks of a VM that is not in the inventory yet. */
export interface Placeable extends Pick<Vm, 'id' | 'name' | 'spec' | 'lastHost'> {
  readonly newDisks?: readonly { readonly datastore: DatastoreId }[]
}

/** A VM that somebody wants to create: to say before it exists whether a host has room. */
export function placeableOf(create: VmCreate): Placeable {
  const { id, name, vcpus, memoryMiB, cpu, firmware, machineType, cdrom, boot } = create
  const newDisks = create.disks.filter((wish) => wish.kind === 'new')
  const disks = create.disks.flatMap((wish) => (wish.kind === 'existing' ? [wish.disk] : []))
  return { id, name, lastHost: null, spec: { vcpus, memoryMiB, cpu, firmware, machineType, disks, cdrom, boot }, newDisks }
}
