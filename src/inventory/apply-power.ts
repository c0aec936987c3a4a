// What people want a VM to do: start, shut down, stop, reboot, pause, resume. Each wish becomes what is desired, and a job that ends with it.
import { allowed } from './allowed.ts'
import { type Command } from './command.ts'
import { type Draft } from './draft.ts'
import { type Inventory } from './inventory.ts'
import { beginJob, cancelJob } from './jobs.ts'
import { type CommandResult, type Vm } from './model.ts'
import { openJob } from './open-jobs.ts'
import { done, notFound, refused } from './results.ts'
import { isOff, unreadyDisks } from './view.ts'

type PowerCommand = Extract<Command, { kind: 'vm-start' | 'vm-shutdown' | 'vm-stop' | 'vm-reboot' | 'vm-pause' | 'vm-resume' }>

export function applyPower(draft: Draft, command: PowerCommand): CommandResult {
  const vm = draft.state.vms.get(command.vm)
  if (vm === undefined) return notFound('vm', command.vm)
  // Nothing to do is done, without a job: a script may repeat itself.
  if (isAlready(vm, command.kind)) return done({ id: vm.id })
  const reasons = [...allowed(draft.state, command.kind, vm)]
  if (draft.state.jobs.has(command.job)) reasons.push({ code: 'id-taken', message: `job ${command.job} exists already` })
  if (reasons.length > 0) return refused(`${command.kind.replace('-', ' ')} ${vm.name} is refused`, reasons)
  // Whatever job is still at work here, `allowed` let it be pushed aside.
  const older = openJob(draft.state, vm.id)
  if (older !== null) cancelJob(draft, older, `superseded by ${command.kind}`)
  const wished = wish(vm, command)
  draft.put('vms', wished)
  draft.event(`vm.${REQUESTED[command.kind]}`, `vm ${vm.name}`, { id: vm.id, job: command.job })
  if (isOff(wished)) return done({ id: vm.id })
  begin(draft, wished, command)
  return done({ id: vm.id, job: command.job })
}

const REQUESTED = {
  'vm-start': 'start-requested',
  'vm-shutdown': 'shutdown-requested',
  'vm-stop': 'stop-requested',
  'vm-reboot': 'reboot-requested',
  'vm-pause': 'pause-requested',
  'vm-resume': 'resume-requested',
} as const satisfies Record<PowerCommand['kind'], string>

function isAlready(vm: Vm, kind: PowerCommand['kind']): boolean {
  const runs = vm.owner !== null && vm.owner.ending === null ? (vm.observed?.status ?? null) : null
  switch (kind) {
    case 'vm-start':
    case 'vm-resume':
      return vm.desired.power === 'on' && !vm.desired.paused && runs === 'running'
    case 'vm-pause':
      return vm.desired.power === 'on' && vm.desired.paused && runs === 'paused'
    case 'vm-shutdown':
    case 'vm-stop':
      return isOff(vm) && vm.fault === null
    case 'vm-reboot':
      return false
  }
}

/**
 * The VM as it is wished now. A run that is asked to end stays asked (`ending`): a start that comes meanwhile is for the run after it. A guest
 * that has powered itself off counts as ending too, or its end would take the later wish for a start away with it.
 */
function wish(vm: Vm, command: PowerCommand): Vm {
  const { owner } = vm
  switch (command.kind) {
    case 'vm-start': {
      const ends = owner !== null && (owner.ending !== null || vm.observed?.status === 'powered-off')
      const desired = { power: 'on', paused: false } as const
      return { ...vm, desired, owner: ends ? { ...owner, ending: owner.ending ?? 'stop' } : owner, crashes: 0, fault: null }
    }
    case 'vm-shutdown':
    case 'vm-stop': {
      const how = command.kind === 'vm-stop' || owner?.ending === 'stop' ? 'stop' : 'shutdown'
      return { ...vm, desired: { power: 'off', how }, owner: owner === null ? null : { ...owner, ending: how }, crashes: 0, fault: null }
    }
    case 'vm-pause':
      return { ...vm, desired: { power: 'on', paused: true } }
    case 'vm-resume':
      return { ...vm, desired: { power: 'on', paused: false } }
    case 'vm-reboot':
      return vm
  }
}

function begin(draft: Draft, vm: Vm, command: PowerCommand): void {
  const force = command.kind === 'vm-reboot' && command.force
  beginJob(draft, {
    id: command.job,
    kind: command.kind,
    object: { kind: 'vm', id: vm.id },
    name: vm.name,
    step: firstStep(draft, vm, command),
    force,
  })
}

function firstStep(draft: Draft, vm: Vm, command: PowerCommand): string {
  switch (command.kind) {
    case 'vm-start':
      return startStep(draft.state, vm)
    case 'vm-shutdown':
      return 'asking the guest to shut down'
    case 'vm-stop':
      return 'stopping'
    case 'vm-reboot':
      return command.force ? 'resetting' : 'asking the guest to shut down'
    case 'vm-pause':
      return 'pausing'
    case 'vm-resume':
      return 'resuming'
  }
}

/** What a start waits for first. */
export function startStep(inventory: Inventory, vm: Vm): string {
  if (vm.owner !== null) return vm.owner.ending === null ? 'booting' : 'waiting for the last run to end'
  const unready = unreadyDisks(inventory, vm)
  return unready.length === 0 ? 'placing' : `waiting for disks: ${unready.map(({ name, state }) => `${name} (${state.kind})`).join(', ')}`
}
