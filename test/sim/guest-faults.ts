// Faults of guests and their QEMUs.
import { type VmId } from '../../src/base/ids.ts'
import { type FakeHypervisor } from '../../src/vm/fake-driver.ts'
import { type Fault, type Stage } from './stage.ts'
import { type FaultKind } from './weather.ts'

export const GUEST_FAULTS = {
  'QEMU death': onAnyGuest((hypervisor, vm) => hypervisor.crash(vm)),
  'guest powers off': onAnyGuest((hypervisor, vm) => hypervisor.powerOffFromInside(vm)),
  'guest disk error': onAnyGuest((hypervisor, vm) => hypervisor.failDisk(vm)),
  'start failure': onAnyGuest((hypervisor, vm) => hypervisor.failNextStart(vm, { code: 'qemu', message: 'QEMU could not start' })),
  'deaf guest': onAnyGuest((hypervisor, vm, stage) => {
    hypervisor.ignoreButton(vm)
    stage.later(2_000, 20_000, () => hypervisor.ignoreButton(vm, false))
  }),
} satisfies Partial<Record<FaultKind, Fault>>

/** Of one VM, wherever it runs. */
function onAnyGuest(act: (hypervisor: FakeHypervisor, vm: VmId, stage: Stage) => void): Fault {
  return (stage) => {
    const vm = stage.one([...(stage.world.stateWatch.newest?.vms.keys() ?? [])])
    if (vm === undefined) return
    for (const { hypervisor } of stage.hosts) act(hypervisor, vm, stage)
  }
}
