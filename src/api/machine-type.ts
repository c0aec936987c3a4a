// The machine type of a new VM: fixed at its creation, so it must be one that every host can run. Pure.
import { type Reason } from '../base/errors.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { byName } from './shapes.ts'

/** The newest that all hosts with QEMU know, or why there is none. */
export function commonMachineType({ hosts }: Pick<Inventory, 'hosts'>): { readonly machineType: string } | { readonly reason: Reason } {
  const able = byName(hosts.values()).filter((host) => host.role === 'host' && host.facts.machineTypes.length > 0)
  const [first, ...others] = able
  if (first === undefined) {
    const message = 'no host of the mesh has a QEMU that can run VMs'
    return { reason: { code: 'no-qemu', message, fix: 'install qemu-system-x86 on the hosts, and start their agents again' } }
  }
  const machineType = first.facts.machineTypes.find((type) => others.every(({ facts }) => facts.machineTypes.includes(type)))
  if (machineType !== undefined) return { machineType }
  const versions = able.map(({ name, facts }) => `${name} ${facts.qemuVersion ?? 'unknown'}`).join(', ')
  const message = `the hosts have no machine type of QEMU in common (${versions})`
  return { reason: { code: 'machine-type', message, fix: 'bring the hosts to versions of QEMU that are closer to each other' } }
}
