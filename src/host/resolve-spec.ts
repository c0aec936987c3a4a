// From a VM of the inventory to what QEMU on this host needs: ids become absolute paths.
import { refusal } from '../base/errors.ts'
import { type DatastoreId, type DiskId } from '../base/ids.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Datastore, type Disk, type Epoch, type Vm } from '../inventory/model.ts'
import { type StartSpec } from '../vm/driver.ts'

/** How this host turns datastore references into paths; storage/ behind it, a fake in the simulator. */
export interface PathResolver {
  /** Absolute path of a disk's file. */
  disk(datastore: Datastore, disk: Disk): string
  /** Absolute path of `DATASTORE/relative/path`, inside the datastore. Throws OperationError where it leads outside or does not exist. */
  file(datastore: Datastore, relativePath: string): Promise<string>
}

/** Throws OperationError `refused` with every reference that does not resolve. */
export async function resolveSpec(inventory: Inventory, vm: Vm, epoch: Epoch, paths: PathResolver): Promise<StartSpec> {
  const { spec } = vm
  const file = async (reference: string): Promise<string> => {
    const { datastore, path } = splitReference(inventory, reference)
    return paths.file(datastore, path)
  }
  const boot = spec.boot
  return {
    vm: vm.id,
    epoch,
    name: vm.name,
    vcpus: spec.vcpus,
    memoryMiB: spec.memoryMiB,
    cpu: spec.cpu,
    firmware: spec.firmware,
    machineType: spec.machineType,
    disks: spec.disks.map((id) => resolveDisk(inventory, vm, id, paths)),
    cdrom: spec.cdrom === null ? null : await file(spec.cdrom),
    boot:
      boot === null
        ? null
        : { kernel: await file(boot.kernel), initrd: boot.initrd === null ? null : await file(boot.initrd), append: boot.append },
    paused: vm.desired.power === 'on' && vm.desired.paused,
  }
}

function resolveDisk(inventory: Inventory, vm: Vm, id: DiskId, paths: PathResolver): StartSpec['disks'][number] {
  const disk = inventory.disks.get(id)
  if (disk === undefined || disk.state.kind !== 'ready') {
    const found = disk === undefined ? 'missing' : disk.state.kind
    throw refusal(`VM ${vm.name} cannot start`, [
      { code: 'disk-not-ready', message: `disk ${disk?.name ?? id} is ${found}, it must be ready`, fix: 'hostmesh disk list' },
    ])
  }
  return { id: disk.id, path: paths.disk(datastoreById(inventory, disk.datastore), disk), format: disk.format, sizeBytes: disk.sizeBytes }
}

/** The datastore and the path inside it of `DATASTORE/relative/path`. */
export function splitReference(inventory: Inventory, reference: string): { readonly datastore: Datastore; readonly path: string } {
  const slash = reference.indexOf('/')
  const name = reference.slice(0, slash)
  for (const datastore of inventory.datastores.values()) {
    if (datastore.name === name) return { datastore, path: reference.slice(slash + 1) }
  }
  throw refusal(`file ${reference} cannot be found`, [
    { code: 'datastore-unknown', message: `there is no datastore "${name}"`, fix: 'hostmesh datastore list' },
  ])
}

function datastoreById(inventory: Inventory, id: DatastoreId): Datastore {
  const datastore = inventory.datastores.get(id)
  if (datastore === undefined)
    throw refusal('disk cannot be found', [{ code: 'datastore-unknown', message: `there is no datastore ${id}` }])
  return datastore
}
