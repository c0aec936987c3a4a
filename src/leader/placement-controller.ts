// Gives every VM that is wanted on and owned by nobody a host, or says why there is none.
import { type Inventory } from '../inventory/inventory.ts'
import { type Vm } from '../inventory/model.ts'
import { nextEpoch, waitingVms } from '../inventory/view.ts'
import { place } from '../scheduler/place.ts'
import { type Duty } from './controllers.ts'

export function placementController(): { readonly name: string; run(duty: Duty, signal: AbortSignal): Promise<void> } {
  return {
    name: 'placement',
    async run(duty, signal) {
      // One by one, each on the state that the one before left: two VMs must not be promised the same memory.
      for (const { id } of waitingVms(duty.cluster.view())) {
        const inventory = duty.cluster.view()
        const vm = waitingVms(inventory).find((waiting) => waiting.id === id)
        if (vm !== undefined) await placeOne(duty, inventory, vm, signal)
      }
    },
  }
}

async function placeOne(duty: Duty, inventory: Inventory, vm: Vm, signal: AbortSignal): Promise<void> {
  const placement = place({ inventory, load: duty.load(), liveness: duty.liveness() }, vm)
  if (placement.kind === 'placed') {
    const epoch = nextEpoch(inventory, vm)
    return duty.propose({ kind: 'vm-assign', vm: vm.id, to: placement.host, epoch, reasons: placement.reasons }, signal)
  }
  const reasons = placement.perHost.flatMap((host) => host.reasons)
  const told = vm.fault?.kind === 'unplaceable' && JSON.stringify(vm.fault.reasons) === JSON.stringify(reasons)
  if (!told) await duty.propose({ kind: 'vm-unplaceable', vm: vm.id, reasons }, signal)
}
