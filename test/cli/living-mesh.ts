// The rest of a mesh for tests of the command line: a leader that places VMs and hosts that do what is wanted, step by step.
import { type FakeMesh } from '../fixture/fake-cluster.ts'
import { hostId } from '../fixture/inventory.ts'
import { type Command } from '../../src/inventory/command.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { type Disk, type Vm } from '../../src/inventory/model.ts'
import { nextEpoch, waitingVms, wantedRun } from '../../src/inventory/view.ts'

export interface LivingMeshWishes {
  /** VMs whose QEMU cannot start. */
  readonly broken?: readonly string[]
  /** Disks that cannot be made. */
  readonly full?: readonly string[]
}

/** Acts after every change, one command at a time, until nothing is left to do. */
export function bringToLife(mesh: FakeMesh, wishes: LivingMeshWishes = {}): void {
  let acting = false
  const act = async (): Promise<void> => {
    if (acting) return
    acting = true
    for (let command = nextCommand(mesh, wishes); command !== null; command = nextCommand(mesh, wishes)) {
      await Promise.resolve()
      mesh.commit(command, 'host h1')
    }
    acting = false
  }
  mesh.of(hostId('h1')).onChange(() => void Promise.resolve().then(act))
  void act()
}

function nextCommand(mesh: FakeMesh, { broken = [], full = [] }: LivingMeshWishes): Command | null {
  const inventory = mesh.inventory()
  const disk = [...inventory.disks.values()].find(({ state }) => 'host' in state)
  if (disk !== undefined) return full.includes(disk.name) ? failure(disk) : fileWork(disk)
  const [waiting] = waitingVms(inventory)
  if (waiting !== undefined) return assignment(mesh, inventory, waiting)
  for (const vm of inventory.vms.values()) {
    const command = vm.owner === null ? null : runWork(vm, vm.owner, broken.includes(vm.name))
    if (command !== null) return command
  }
  return null
}

function assignment(mesh: FakeMesh, inventory: Inventory, vm: Vm): Command {
  const { term } = mesh.of(hostId('h1')).status()
  return { kind: 'vm-assign', leaderTerm: term, vm: vm.id, to: hostId('h1'), epoch: nextEpoch(inventory, vm), reasons: [] }
}

function runWork(vm: Vm, { host, epoch }: NonNullable<Vm['owner']>, broken: boolean): Command | null {
  const wanted = wantedRun(vm)
  if (wanted.kind === 'end') return { kind: 'vm-stopped', host, vm: vm.id, epoch, intent: 'off', reasons: [] }
  if (broken)
    return {
      kind: 'vm-stopped',
      host,
      vm: vm.id,
      epoch,
      intent: 'start-failed',
      reasons: [{ code: 'qemu', message: 'QEMU: no such machine' }],
    }
  const status = wanted.paused ? 'paused' : 'running'
  return vm.observed?.status === status ? null : { kind: 'vm-observed', host, vm: vm.id, epoch, status }
}

function fileWork({ id, state, sizeBytes }: Disk): Command {
  const size = state.kind === 'resizing' ? state.toBytes : state.kind === 'deleting' ? 0 : sizeBytes
  return { kind: 'disk-done', host: hostId('h1'), disk: id, sizeBytes: size }
}

function failure({ id }: Disk): Command {
  return { kind: 'disk-failed', host: hostId('h1'), disk: id, reason: 'no space left on device' }
}
