// From the wish of a client to the command that creates or changes a VM: names become ids, what was left out becomes the default.
import { type Reason } from '../base/errors.ts'
import { type DatastoreId } from '../base/ids.ts'
import { formatBytes } from '../base/units.ts'
import { type DiskWish, type VmCreate, type VmSet } from '../inventory/command.ts'
import { type DirectBoot, type Vm } from '../inventory/model.ts'
import { fileReasons } from '../inventory/validate.ts'
import { placeableOf } from '../scheduler/world.ts'
import { type Body } from './contract.ts'
import { fileHost } from './file-host.ts'
import { type Plan, type WriteRequest } from './handler.ts'
import { commonMachineType } from './machine-type.ts'
import { findDatastore, findDiskOn } from './resolve.ts'
import { roomEver, roomNow } from './room.ts'
import { sightOf } from './sight.ts'
import { freshId } from './fresh-id.ts'

/** Stands in a command that its plan refuses: no host could give a machine type. */
const NO_MACHINE_TYPE = 'none'

export async function planCreate(request: WriteRequest<'vmCreate'>): Promise<Plan> {
  const { context, inventory } = request
  const machine = commonMachineType(inventory)
  const command = createCommand(request, 'machineType' in machine ? machine.machineType : NO_MACHINE_TYPE)
  const { name, vcpus, memoryMiB, machineType, startJob } = command
  const made = command.disks.flatMap((wish) => (wish.kind === 'new' ? [`make disk ${wish.name} of ${formatBytes(wish.sizeBytes)}`] : []))
  const world = sightOf(context, inventory)
  const vm = placeableOf(command)
  const room = startJob === null ? roomEver(world, vm) : roomNow(world, vm)
  return {
    what: `create VM ${name}`,
    command,
    steps: [
      `define VM ${name} with ${vcpus} vCPUs and ${memoryMiB} MiB, machine type ${machineType}`,
      ...made,
      ...(startJob !== null && room.kind === 'room' ? [room.step] : []),
    ],
    reasons: [
      // Without a machine type no host takes it: one reason for that is enough.
      ...('reason' in machine ? [machine.reason] : room.kind === 'none' ? room.reasons.map((reason) => forNewVm(reason, name)) : []),
      ...(await missingFiles(request, command)),
    ],
  }
}

/** What mends an existing VM is said for one that is still to be created. */
function forNewVm(reason: Reason, name: string): Reason {
  const set = `hostmesh vm set ${name} `
  return reason.fix?.startsWith(set) === true ? { ...reason, fix: `hostmesh vm create ${name} … ${reason.fix.slice(set.length)}` } : reason
}

export async function planSet(request: WriteRequest<'vmSet'>, vm: Vm): Promise<Plan> {
  const { inventory, body } = request
  const changes = changesOf(body)
  const { vcpus, memoryMiB, cpu } = { ...vm.spec, ...changes }
  const grows = vcpus > vm.spec.vcpus || memoryMiB > vm.spec.memoryMiB || cpu !== vm.spec.cpu
  const room = grows ? roomEver({ inventory }, { ...vm, spec: { ...vm.spec, vcpus, memoryMiB, cpu } }) : null
  return {
    what: `change VM ${vm.name}`,
    command: { kind: 'vm-set', vm: vm.id, ...changes },
    steps: Object.entries(changes).map(
      ([key, value]) => `set ${key} to ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
    ),
    reasons: [
      ...(room?.kind === 'none' ? room.reasons : []),
      ...(await missingFiles(request, { boot: changes.boot ?? null, cdrom: changes.cdrom ?? null })),
    ],
  }
}

/** Only the fields that the client named. */
function changesOf({ name, vcpus, memoryMiB, cpu, boot, cdrom, ha, priority, drs }: Body<'vmSet'>): Omit<VmSet, 'kind' | 'vm'> {
  return {
    ...(name === undefined ? {} : { name }),
    ...(vcpus === undefined ? {} : { vcpus }),
    ...(memoryMiB === undefined ? {} : { memoryMiB }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(boot === undefined ? {} : { boot: directBoot(boot) }),
    ...(cdrom === undefined ? {} : { cdrom }),
    ...(ha === undefined ? {} : { ha }),
    ...(priority === undefined ? {} : { priority }),
    ...(drs === undefined ? {} : { drs }),
  }
}

function createCommand(request: WriteRequest<'vmCreate'>, machineType: string): VmCreate {
  const { context, inventory, body } = request
  const { name, vcpus, memoryMiB } = body
  const disks = (body.disks ?? []).map((disk) => wishOf(request, disk))
  const touched = disks.flatMap((wish): DatastoreId[] => (wish.kind === 'new' ? [wish.datastore] : []))
  return {
    kind: 'vm-create',
    id: freshId(context),
    name,
    vcpus,
    memoryMiB,
    cpu: body.cpu ?? 'mesh-baseline',
    firmware: body.firmware ?? 'bios',
    machineType,
    disks,
    cdrom: body.cdrom ?? null,
    boot: directBoot(body.boot ?? null),
    ha: body.ha ?? 'off',
    priority: body.priority ?? 2,
    drs: body.drs ?? 'auto',
    host: fileHost(sightOf(context, inventory), context.self.id, touched).id,
    startJob: body.start === true ? freshId(context) : null,
  }
}

/** A size means a new disk, none an existing one. */
function wishOf({ context, inventory }: WriteRequest<'vmCreate'>, wish: NonNullable<Body<'vmCreate'>['disks']>[number]): DiskWish {
  const datastore = findDatastore(inventory, wish.datastore)
  if (wish.sizeBytes === undefined) return { kind: 'existing', disk: findDiskOn(inventory, datastore, wish.name).id }
  const { name, sizeBytes, format = 'qcow2' } = wish
  return { kind: 'new', id: freshId(context), name, datastore: datastore.id, format, sizeBytes }
}

function directBoot(boot: Body<'vmCreate'>['boot']): DirectBoot | null {
  return boot === undefined || boot === null ? null : { kernel: boot.kernel, initrd: boot.initrd ?? null, append: boot.append ?? '' }
}

/** Files that this host looked for and did not find. What it cannot see, the host that starts the VM will. */
async function missingFiles(
  request: Pick<WriteRequest<'vmCreate'>, 'context' | 'inventory' | 'signal'>,
  files: Pick<Vm['spec'], 'boot' | 'cdrom'>,
): Promise<Reason[]> {
  const { context, inventory, signal } = request
  const datastores = new Set([...inventory.datastores.values()].map(({ name }) => name))
  const wanted = [
    ['kernel', files.boot?.kernel],
    ['initrd', files.boot?.initrd],
    ['CD-ROM', files.cdrom],
  ] as const
  const checked = wanted.map(async ([what, path]): Promise<Reason[]> => {
    // A path that is none, or on no datastore, is refused by the inventory's own rules.
    const isFile = typeof path === 'string' && fileReasons(what, path).length === 0 && datastores.has(path.split('/')[0] ?? '')
    if (!isFile || (await context.checkFile(path, signal)) !== false) return []
    const message = `${what} file ${path} does not exist or cannot be read, as host ${context.self.name()} sees it`
    return [{ code: 'file-missing', message, fix: 'copy it into the datastore, or name another: DATASTORE/PATH' }]
  })
  return (await Promise.all(checked)).flat()
}
