// Routes of what a VM is to do: start, shut down, stop, reboot, pause, resume. Each becomes a job.
import { type JobId, type VmId } from '../base/ids.ts'
import { type AdminCommand } from '../inventory/command.ts'
import { hostName } from '../inventory/view.ts'
import { freshId } from './fresh-id.ts'
import { type Plan, type WriteHandlers, type WriteRequest } from './handler.ts'
import { findVm } from './resolve.ts'
import { roomNow } from './room.ts'
import { sightOf } from './sight.ts'

type PowerName = 'vmStart' | 'vmShutdown' | 'vmStop' | 'vmReboot' | 'vmPause' | 'vmResume'

export const powerWrites: WriteHandlers<PowerName> = {
  vmStart: planStart,
  vmShutdown: (request) =>
    plan(
      request,
      'shut down',
      (ids) => ({ kind: 'vm-shutdown', ...ids }),
      'press its power button, and wait until the guest has shut down',
    ),
  vmStop: (request) => plan(request, 'stop', (ids) => ({ kind: 'vm-stop', ...ids }), 'end it at once, as if its power were cut'),
  vmPause: (request) => plan(request, 'pause', (ids) => ({ kind: 'vm-pause', ...ids }), 'stop its CPUs; its memory stays'),
  vmResume: (request) => plan(request, 'resume', (ids) => ({ kind: 'vm-resume', ...ids }), 'let its CPUs run'),
  vmReboot(request) {
    const { force = false } = request.query
    const step = force ? 'reset it at once' : 'press its power button, and reset it when the guest has shut down'
    return plan(request, 'reboot', (ids) => ({ kind: 'vm-reboot', ...ids, force }), step)
  },
}

/** A start that has nowhere to go is refused now, with the reason of each host, instead of waiting for room that may never come. */
function planStart(request: WriteRequest<'vmStart'>): Plan {
  const { context, inventory } = request
  const vm = findVm(inventory, request.params.vm)
  const start = (step: string): Plan => plan(request, 'start', (ids) => ({ kind: 'vm-start', ...ids }), step)
  if (vm.owner !== null) return start(`let it run on host ${hostName(inventory, vm.owner.host)}`)
  const room = roomNow(sightOf(context, inventory), vm)
  return room.kind === 'room' ? start(room.step) : { ...start('find a host for it'), reasons: room.reasons }
}

type PowerCommand = Extract<AdminCommand, { readonly vm: VmId; readonly job: JobId }>

/** `commandFor` gets the ids that each of these commands has. */
function plan(
  { context, inventory, params }: WriteRequest<PowerName>,
  verb: string,
  commandFor: (ids: { readonly vm: VmId; readonly job: JobId }) => PowerCommand,
  step: string,
): Plan {
  const { id, name } = findVm(inventory, params.vm)
  return { what: `${verb} VM ${name}`, command: commandFor({ vm: id, job: freshId(context) }), steps: [step] }
}
