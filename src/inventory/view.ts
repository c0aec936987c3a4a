// What follows from the inventory and is stored nowhere: epochs, the words people see, who waits for what, what is in use.
import { type HostId } from '../base/ids.ts'
import { type Inventory } from './inventory.ts'
import { type Disk, type Epoch, type Host, type HostStatus, type Vm } from './model.ts'

/** What the asked host's own detector says of the others; absent: never heard. A hint, never a proof of death. */
export type Liveness = ReadonlyMap<HostId, 'up' | 'suspect'>

/** Below 0 if `a` is older than `b`, 0 if they are the same. */
export function compareEpoch(a: Epoch, b: Epoch): number {
  return a.generation - b.generation || a.counter - b.counter
}

export function sameEpoch(a: Epoch, b: Epoch): boolean {
  return compareEpoch(a, b) === 0
}

/** The only epoch under which this VM may be assigned next. The generation only grows, so it is newer than all before. */
export function nextEpoch(inventory: Pick<Inventory, 'mesh'>, vm: Pick<Vm, 'lastEpoch'>): Epoch {
  return { generation: inventory.mesh?.generation ?? 0, counter: vm.lastEpoch.counter + 1 }
}

/** `1.2`: generation, counter. */
export function formatEpoch(epoch: Epoch): string {
  return `${epoch.generation}.${epoch.counter}`
}

/** Nothing of it runs, and nothing is wanted to. */
export function isOff(vm: Vm): boolean {
  return vm.owner === null && vm.desired.power === 'off'
}

/** What the owner has to do with its run of this VM: a run that was asked to end ends, whatever is wanted by then. */
export function wantedRun(
  vm: Vm,
): { readonly kind: 'run'; readonly paused: boolean } | { readonly kind: 'end'; readonly how: 'shutdown' | 'stop' } {
  if (vm.owner !== null && vm.owner.ending !== null) return { kind: 'end', how: vm.owner.ending }
  return vm.desired.power === 'on' ? { kind: 'run', paused: vm.desired.paused } : { kind: 'end', how: vm.desired.how }
}

/** Wanted on, owned by nobody, not given up after crashes. Whether it can be placed now is for `unreadyDisks` and the scheduler to say. */
export function needsHost(vm: Vm): boolean {
  return vm.desired.power === 'on' && vm.owner === null && vm.fault?.kind !== 'crash'
}

/** Disks of the VM that a start has to wait for. */
export function unreadyDisks(inventory: Pick<Inventory, 'disks'>, vm: Pick<Vm, 'spec'>): readonly Disk[] {
  return vm.spec.disks
    .map((id) => inventory.disks.get(id))
    .filter((disk) => disk !== undefined)
    .filter((disk) => disk.state.kind !== 'ready')
}

/** VMs that a host is to be found for now, the most urgent first: by restart priority, then age, then id. */
export function waitingVms(inventory: Inventory): readonly Vm[] {
  return [...inventory.vms.values()]
    .filter((vm) => needsHost(vm) && unreadyDisks(inventory, vm).length === 0)
    .sort((a, b) => a.priority - b.priority || a.createdAt - b.createdAt || compareText(a.id, b.id))
}

/**
 * What people see of a VM. `waiting`: for its disks or for the leader to place it; `restarting`: after a crash; `failed`: given up, `fault`
 * says why; `unknown`: its host is not heard of.
 */
export type VmState =
  | 'off'
  | 'waiting'
  | 'unplaceable'
  | 'restarting'
  | 'failed'
  | 'starting'
  | 'running'
  | 'paused'
  | 'io-error'
  | 'rebooting'
  | 'stopping'
  | 'unknown'

export function vmState(vm: Vm, liveness: Liveness): VmState {
  if (vm.owner === null) return stateWithoutOwner(vm)
  if (liveness.get(vm.owner.host) !== 'up') return 'unknown'
  if (vm.owner.ending !== null) return 'stopping'
  switch (vm.observed?.status) {
    case undefined:
    case 'starting':
      return 'starting'
    case 'running':
    case 'paused':
    case 'io-error':
      return vm.observed.status
    case 'shutting-down':
      // Nobody asked this run to end, so its power button was pressed for a reboot.
      return 'rebooting'
    case 'powered-off':
      return 'stopping'
  }
}

function stateWithoutOwner(vm: Vm): VmState {
  if (vm.fault?.kind === 'crash' || vm.fault?.kind === 'start-failed') return 'failed'
  if (vm.desired.power === 'off') return 'off'
  if (vm.fault?.kind === 'unplaceable') return 'unplaceable'
  return vm.crashes > 0 ? 'restarting' : 'waiting'
}

/** What people see of a host: its administrative state, and `suspect` while it is not heard of. */
export function hostState(host: Host, liveness: Liveness): HostStatus | 'suspect' {
  return host.status === 'up' && liveness.get(host.id) !== 'up' ? 'suspect' : host.status
}

/** The VMs that a host owns: those that run there, and those that are about to or just did. */
export function vmsOn(inventory: Pick<Inventory, 'vms'>, host: HostId): readonly Vm[] {
  return [...inventory.vms.values()].filter((vm) => vm.owner?.host === host)
}

/** The name of a host for people; its id once it has left. */
export function hostName(inventory: Pick<Inventory, 'hosts'>, host: HostId): string {
  return inventory.hosts.get(host)?.name ?? host
}

/** The order of text that is the same on every machine: by code unit. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
