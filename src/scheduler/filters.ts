// What a host must have before a VM may start on it: one filter a condition, each with its reason and what mends it.
import { type Reason } from '../base/errors.ts'
import { type DatastoreId } from '../base/ids.ts'
import { filesOf } from '../inventory/allowed.ts'
import { type Host } from '../inventory/model.ts'
import { capacityOf, freeMiB } from './capacity.ts'
import { type Placeable, type World } from './world.ts'

export interface Filter {
  /** Also the `code` of its reasons. */
  readonly name: string
  /** Empty: the host passes. */
  check(world: World, vm: Placeable, host: Host): readonly Reason[]
}

/** All of them count, and all are told: whoever mends one reason should not find the next one after it. */
export const FILTERS: readonly Filter[] = [
  { name: 'role', check: role },
  { name: 'status', check: status },
  { name: 'liveness', check: liveness },
  { name: 'qemu', check: qemu },
  { name: 'machine-type', check: machineType },
  { name: 'cpu-model', check: cpuModel },
  { name: 'vcpus', check: vcpus },
  { name: 'memory', check: memory },
  { name: 'datastore', check: datastores },
]

function role(_world: World, _vm: Placeable, host: Host): readonly Reason[] {
  if (host.role === 'host') return []
  return [{ code: 'role', message: `${host.name} is a witness: it votes and runs no VMs`, fix: 'choose another host' }]
}

function status(_world: World, _vm: Placeable, host: Host): readonly Reason[] {
  switch (host.status) {
    case 'up':
      return []
    case 'joining':
      return [
        {
          code: 'status',
          message: `${host.name} is joining, its agent has not reported yet`,
          fix: 'wait until it is up: hostmesh host list',
        },
      ]
    case 'maintenance':
      return [{ code: 'status', message: `${host.name} is in maintenance`, fix: `hostmesh host maintenance off ${host.name}` }]
  }
}

function liveness(world: World, _vm: Placeable, host: Host): readonly Reason[] {
  if (world.liveness.get(host.id) === 'up') return []
  return [{ code: 'liveness', message: `${host.name} is not heard of`, fix: `bring ${host.name} or its network back` }]
}

function qemu(_world: World, _vm: Placeable, host: Host): readonly Reason[] {
  if (host.facts.qemuVersion !== null) return []
  return [{ code: 'qemu', message: `${host.name} has no QEMU`, fix: `install qemu-system-x86 on ${host.name}, then restart its agent` }]
}

/** The machine type is fixed at creation: a host with an older QEMU cannot build the same machine. */
function machineType(_world: World, vm: Placeable, host: Host): readonly Reason[] {
  const { machineTypes, qemuVersion } = host.facts
  // Without QEMU there are none; that is the other filter's reason.
  if (qemuVersion === null || machineTypes.includes(vm.spec.machineType)) return []
  const newest = machineTypes[0] ?? 'none'
  const message = `${vm.name} needs machine type ${vm.spec.machineType}, ${host.name} (QEMU ${qemuVersion}) has up to ${newest}`
  return [{ code: 'machine-type', message, fix: `upgrade QEMU on ${host.name}, then restart its agent` }]
}

/** `host` passes the machine's own CPU through, which only KVM can. */
function cpuModel(_world: World, vm: Placeable, host: Host): readonly Reason[] {
  if (vm.spec.cpu !== 'host' || host.facts.accelerator === 'kvm') return []
  const message = `${vm.name} wants the CPU of its host, ${host.name} has no KVM and emulates one`
  return [{ code: 'cpu-model', message, fix: `hostmesh vm set ${vm.name} --cpu mesh-baseline` }]
}

/** QEMU takes more vCPUs than cores; a guest whose vCPUs wait for each other's core gains nothing and loses much. */
function vcpus(_world: World, vm: Placeable, host: Host): readonly Reason[] {
  const { cores } = host.facts.cpu
  if (vm.spec.vcpus <= cores) return []
  const message = `${vm.name} needs ${vm.spec.vcpus} vCPUs, ${host.name} has ${cores} cores`
  return [{ code: 'vcpus', message, fix: `hostmesh vm set ${vm.name} --vcpus ${cores}` }]
}

function memory(world: World, vm: Placeable, host: Host): readonly Reason[] {
  const capacity = capacityOf(world.inventory, host, vm)
  const { usableMiB, promisedMiB } = capacity
  if (vm.spec.memoryMiB <= freeMiB(capacity)) return []
  const message = `${vm.name} needs ${vm.spec.memoryMiB} MiB, ${host.name} has ${freeMiB(capacity)} MiB left (${promisedMiB} of ${usableMiB} MiB promised)`
  const couldFit = vm.spec.memoryMiB <= usableMiB
  return [{ code: 'memory', message, fix: couldFit ? `stop a VM on ${host.name}` : `give ${vm.name} at most ${usableMiB} MiB` }]
}

/** Every datastore that the VM touches can be used there now, as far as the host has said. */
function datastores(world: World, vm: Placeable, host: Host): readonly Reason[] {
  const faults = world.load.hosts.get(host.id)?.datastoreFaults
  if (faults === undefined) return []
  return [...datastoresOf(world, vm)].flatMap((id) => {
    const fault = faults.get(id)
    if (fault === undefined) return []
    const name = world.inventory.datastores.get(id)?.name ?? id
    return [
      {
        code: 'datastore',
        message: `${host.name} cannot use datastore ${name}: ${fault}`,
        fix: `mend it on ${host.name}: hostmesh datastore show ${name}`,
      },
    ]
  })
}

function datastoresOf(world: World, vm: Placeable): ReadonlySet<DatastoreId> {
  const { disks, datastores: all } = world.inventory
  const named = new Set(filesOf(vm).map((file) => file.split('/')[0]))
  return new Set([
    ...vm.spec.disks.map((id) => disks.get(id)?.datastore).filter((id) => id !== undefined),
    ...(vm.newDisks ?? []).map(({ datastore }) => datastore),
    ...[...all.values()].filter(({ name }) => named.has(name)).map(({ id }) => id),
  ])
}
