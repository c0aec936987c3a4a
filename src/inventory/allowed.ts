// Which action is allowed on which object in which state, and why not: one table for apply, for the API and for whoever shows buttons.
import { unreachable } from '../base/assert.ts'
import { type Reason } from '../base/errors.ts'
import { type Inventory } from './inventory.ts'
import { type Datastore, type Disk, type Host, type Job, type JobKind, type Token, type Vm } from './model.ts'
import { openJob } from './open-jobs.ts'
import { isOff, unreadyDisks } from './view.ts'

/** Actions, named like the commands that ask for them, and what each acts on. `vm-respec` is a `vm-set` of the specification. */
export interface ActionObjects {
  readonly 'vm-start': Vm
  readonly 'vm-shutdown': Vm
  readonly 'vm-stop': Vm
  readonly 'vm-reboot': Vm
  readonly 'vm-pause': Vm
  readonly 'vm-resume': Vm
  readonly 'vm-respec': Vm
  readonly 'vm-delete': Vm
  readonly 'disk-attach': Disk
  readonly 'disk-resize': Disk
  readonly 'disk-delete': Disk
  readonly 'host-remove': Host
  readonly 'datastore-remove': Datastore
  readonly 'token-revoke': Token
  readonly 'job-cancel': Job
}

export type Action = keyof ActionObjects
export type VmAction = { [A in Action]: ActionObjects[A] extends Vm ? A : never }[Action]

/** All reasons against `action` on `object`; empty: go. */
export function allowed<A extends Action>(inventory: Inventory, action: A, object: ActionObjects[A]): readonly Reason[] {
  const rules: Rules = RULES
  return rules[action](inventory, object)
}

type Rules = { readonly [A in Action]: (inventory: Inventory, object: ActionObjects[A]) => readonly Reason[] }

const RULES: Rules = {
  'vm-start': (inventory, vm) => [...vmRule('vm-start')(inventory, vm), ...failedDisksOf(inventory, vm)],
  'vm-shutdown': vmRule('vm-shutdown'),
  'vm-stop': vmRule('vm-stop'),
  'vm-reboot': vmRule('vm-reboot'),
  'vm-pause': vmRule('vm-pause'),
  'vm-resume': vmRule('vm-resume'),
  'vm-respec': vmRule('vm-respec'),
  'vm-delete': (inventory, vm) => [...vmRule('vm-delete')(inventory, vm), ...busyDisksOf(inventory, vm)],
  'disk-attach': (inventory, disk) => [...attached(inventory, disk), ...diskState(disk, ['creating', 'ready', 'resizing'])],
  'disk-resize': (inventory, disk) => [...usedByRun(inventory, disk), ...diskState(disk, ['ready']), ...jobInTheWay(inventory, disk, [])],
  'disk-delete': (inventory, disk) => [
    ...attached(inventory, disk),
    ...diskState(disk, ['ready', 'failed']),
    ...jobInTheWay(inventory, disk, []),
  ],
  'host-remove': hostRemoval,
  'datastore-remove': datastoreRemoval,
  'token-revoke': () => [],
  'job-cancel': jobCancellation,
}

/**
 * What a VM is doing, as far as it matters to actions: `off`; `waiting` (wanted on, nothing runs: to be placed, or given up); `ending`
 * (asked to end by a person, or powered off by its guest); `starting`; `rebooting` (its power button was pressed); the rest as QEMU says.
 */
type Activity = 'off' | 'waiting' | 'starting' | 'running' | 'paused' | 'io-error' | 'rebooting' | 'ending'

function activityOf(vm: Vm): Activity {
  if (vm.owner === null) return isOff(vm) ? 'off' : 'waiting'
  if (vm.owner.ending !== null) return 'ending'
  switch (vm.observed?.status) {
    case undefined:
    case 'starting':
      return 'starting'
    case 'shutting-down':
      return 'rebooting'
    case 'powered-off':
      return 'ending'
    case 'running':
    case 'paused':
    case 'io-error':
      return vm.observed.status
  }
}

/** What a VM has to do for an action. The mend of each action that is refused is the command that leads there. */
const ALLOWED_WHILE: Readonly<Record<VmAction, readonly Activity[]>> = {
  'vm-start': ['off', 'waiting', 'starting', 'running', 'ending'],
  'vm-shutdown': ['off', 'waiting', 'running', 'rebooting', 'ending'],
  'vm-stop': ['off', 'waiting', 'starting', 'running', 'paused', 'io-error', 'rebooting', 'ending'],
  'vm-reboot': ['running'],
  'vm-pause': ['running', 'paused'],
  'vm-resume': ['running', 'paused', 'io-error'],
  'vm-respec': ['off'],
  'vm-delete': ['off'],
}

/** Open jobs that an action may push aside, because it wants the opposite or more. All others are waited for. */
const SUPERSEDES: Readonly<Record<VmAction, readonly JobKind[]>> = {
  'vm-start': ['vm-shutdown', 'vm-stop'],
  // A start that waits; one that is under way is not refused here but by the activity.
  'vm-shutdown': ['vm-start'],
  'vm-stop': ['vm-start', 'vm-shutdown', 'vm-reboot', 'vm-pause', 'vm-resume'],
  'vm-reboot': [],
  'vm-pause': [],
  'vm-resume': [],
  'vm-respec': [],
  'vm-delete': [],
}

function vmRule(action: VmAction): (inventory: Inventory, vm: Vm) => readonly Reason[] {
  return (inventory, vm) => {
    const activity = activityOf(vm)
    const wrong = ALLOWED_WHILE[action].includes(activity) ? [] : [wrongActivity(vm, activity, action)]
    return [...wrong, ...jobInTheWay(inventory, vm, SUPERSEDES[action])]
  }
}

function wrongActivity(vm: Vm, activity: Activity, action: VmAction): Reason {
  const needed = ALLOWED_WHILE[action].filter((one) => one !== 'ending' && one !== 'rebooting').join(', ')
  const message = `VM ${vm.name} is ${activity === 'ending' ? 'stopping' : activity}, ${action.replace('-', ' ')} needs it ${needed}`
  return { code: 'vm-state', message, fix: mend(vm, activity, action) }
}

/** The command that brings the VM to where the action is allowed. */
function mend(vm: Vm, activity: Activity, action: VmAction): string {
  if (activity === 'paused' || activity === 'io-error') return vmCommand(ALLOWED_WHILE[action].includes('running') ? 'resume' : 'stop', vm)
  switch (action) {
    case 'vm-reboot':
    case 'vm-pause':
    case 'vm-resume':
      return activity === 'off' || activity === 'waiting' || activity === 'ending' ? vmCommand('start', vm) : 'wait until it is running'
    case 'vm-start':
      return 'wait until it has rebooted'
    case 'vm-shutdown':
    case 'vm-stop':
    case 'vm-respec':
    case 'vm-delete':
      return vmCommand('stop', vm)
    default:
      return unreachable(action, 'action')
  }
}

/** A disk that could not be made never will be: a start would wait for it for ever. */
function failedDisksOf(inventory: Inventory, vm: Vm): readonly Reason[] {
  return unreadyDisks(inventory, vm).flatMap(({ name, state }) => {
    if (state.kind !== 'failed') return []
    return [{ code: 'disk-failed', message: `disk ${name} of VM ${vm.name} has failed: ${state.reason}`, fix: vmCommand('delete', vm) }]
  })
}

function vmCommand(verb: string, vm: Vm): string {
  return `hostmesh vm ${verb} ${vm.name}`
}

/** At most one job works on an object at a time. */
function jobInTheWay(inventory: Inventory, object: Vm | Disk, supersedes: readonly JobKind[]): readonly Reason[] {
  const job = openJob(inventory, object.id)
  if (job === null || supersedes.includes(job.kind)) return []
  const message = `job ${job.id} (${job.kind} of ${job.name}: ${job.step}) is at work on it`
  return [{ code: 'job-open', message, fix: `hostmesh job wait ${job.id}, or hostmesh job cancel ${job.id}` }]
}

function busyDisksOf(inventory: Inventory, vm: Vm): readonly Reason[] {
  return vm.spec.disks.flatMap((id) => {
    const disk = inventory.disks.get(id)
    return disk === undefined ? [] : diskState(disk, ['ready', 'failed'])
  })
}

function diskState(disk: Disk, wanted: readonly Disk['state']['kind'][]): readonly Reason[] {
  if (wanted.includes(disk.state.kind)) return []
  const why = disk.state.kind === 'failed' ? ` (${disk.state.reason})` : ''
  const fix = disk.state.kind === 'failed' ? `hostmesh disk delete ${disk.name}` : `hostmesh disk list, until it is ${wanted[0]}`
  return [{ code: 'disk-state', message: `disk ${disk.name} is ${disk.state.kind}${why}, it must be ${wanted.join(' or ')}`, fix }]
}

function attached(inventory: Inventory, disk: Disk): readonly Reason[] {
  const vm = disk.vm === null ? undefined : inventory.vms.get(disk.vm)
  if (vm === undefined) return []
  return [{ code: 'disk-attached', message: `disk ${disk.name} belongs to VM ${vm.name}`, fix: vmCommand('delete', vm) }]
}

/** qemu-img must not touch the file of a guest that runs or may start. */
function usedByRun(inventory: Inventory, disk: Disk): readonly Reason[] {
  const vm = disk.vm === null ? undefined : inventory.vms.get(disk.vm)
  if (vm === undefined || isOff(vm)) return []
  return [{ code: 'vm-state', message: `disk ${disk.name} is used by VM ${vm.name}, which must be off`, fix: vmCommand('stop', vm) }]
}

function hostRemoval(inventory: Inventory, host: Host): readonly Reason[] {
  const owned = [...inventory.vms.values()].filter((vm) => vm.owner?.host === host.id)
  const reasons: Reason[] = owned.map((vm) => ({
    code: 'host-owns-vm',
    message: `host ${host.name} runs VM ${vm.name}; while it may, nothing else can end that`,
    fix: vmCommand('stop', vm),
  }))
  const others = [...inventory.hosts.values()].filter(({ id }) => id !== host.id)
  if (others.every(({ role }) => role === 'witness')) {
    const left = others.length === 0 ? '' : ': a witness alone runs nothing and leads nobody'
    reasons.push({ code: 'last-host', message: `host ${host.name} is the last one of the mesh${left}` })
  }
  for (const disk of inventory.disks.values()) {
    if (!('host' in disk.state) || disk.state.host !== host.id) continue
    const message = `host ${host.name} is ${disk.state.kind} disk ${disk.name}`
    reasons.push({ code: 'host-busy', message, fix: 'hostmesh disk list, until it is ready' })
  }
  return reasons
}

function datastoreRemoval(inventory: Inventory, datastore: Datastore): readonly Reason[] {
  const reasons: Reason[] = []
  for (const disk of inventory.disks.values()) {
    if (disk.datastore !== datastore.id) continue
    const message = `datastore ${datastore.name} holds disk ${disk.name}`
    reasons.push({ code: 'datastore-used', message, fix: `hostmesh disk delete ${datastore.name}/${disk.name}` })
  }
  for (const vm of inventory.vms.values()) {
    const files = filesOf(vm).filter((file) => file.startsWith(`${datastore.name}/`))
    for (const file of files)
      reasons.push({ code: 'datastore-used', message: `VM ${vm.name} needs file ${file}`, fix: vmCommand('set', vm) })
  }
  return reasons
}

/** Files on datastores that a VM refers to, as `DATASTORE/path`. */
export function filesOf(vm: { readonly spec: Pick<Vm['spec'], 'cdrom' | 'boot'> }): readonly string[] {
  const { cdrom, boot } = vm.spec
  return [cdrom, boot?.kernel, boot?.initrd].filter((file) => typeof file === 'string')
}

function jobCancellation(inventory: Inventory, job: Job): readonly Reason[] {
  if (job.endedAt !== null) return [{ code: 'job-ended', message: `job ${job.id} has ended: ${job.phase}` }]
  if (job.object.kind === 'disk') return [cannotCancel(job, 'file work is not undone half-way', 'wait for it, then delete the disk')]
  const vm = inventory.vms.get(job.object.id)
  switch (job.kind) {
    case 'vm-start':
      // Before it is placed, and while an older run has to end first, nothing of the new one exists.
      return vm === undefined || vm.owner === null || vm.owner.ending !== null
        ? []
        : [cannotCancel(job, `VM ${vm.name} is starting already`, vmCommand('stop', vm))]
    case 'vm-shutdown':
    case 'vm-reboot':
      return []
    default:
      return [cannotCancel(job, `${job.kind} cannot be taken back`, `hostmesh job wait ${job.id}`)]
  }
}

function cannotCancel(job: Job, why: string, fix: string): Reason {
  return { code: 'job-not-cancellable', message: `job ${job.id} cannot be cancelled: ${why}`, fix }
}
