// Disks: wished for by people, carried out as file work by one host each, reported done or failed.
import { type Reason } from '../base/errors.ts'
import { type HostId, type JobId } from '../base/ids.ts'
import { allowed } from './allowed.ts'
import { type Command } from './command.ts'
import { type Draft } from './draft.ts'
import { beginJob, failJob, finishJob, holdJob } from './jobs.ts'
import { type CommandResult, type Disk, type JobKind } from './model.ts'
import { openJob } from './open-jobs.ts'
import { done, missing, notFound, refused, stale } from './results.ts'
import { validate } from './validate.ts'
import { hostName, unreadyDisks } from './view.ts'

type DiskCommand = Extract<Command, { kind: 'disk-create' | 'disk-resize' | 'disk-delete' | 'disk-done' | 'disk-failed' | 'disk-reassign' }>

export function applyDisk(draft: Draft, command: DiskCommand): CommandResult {
  switch (command.kind) {
    case 'disk-create':
      return create(draft, command)
    case 'disk-resize':
      return resize(draft, command)
    case 'disk-delete':
      return remove(draft, command)
    case 'disk-done':
      return workDone(draft, command)
    case 'disk-failed':
      return workFailed(draft, command)
    case 'disk-reassign':
      return reassign(draft, command)
  }
}

function create(draft: Draft, command: Extract<Command, { kind: 'disk-create' }>): CommandResult {
  const { kind: _, host, job, ...given } = command
  const reasons = [...validate(command), ...newDiskReasons(draft, command), ...workReasons(draft, host, job)]
  if (reasons.length > 0) return refused(`disk ${command.name} was not created`, reasons)
  const disk: Disk = { ...given, state: { kind: 'creating', host }, vm: null }
  draft.put('disks', disk)
  begin(draft, disk, { kind: 'disk-create', id: job, host })
  draft.event('disk.created', `disk ${disk.name}`, { id: disk.id, datastore: disk.datastore, sizeBytes: disk.sizeBytes })
  return done({ id: disk.id, job })
}

function resize(draft: Draft, command: Extract<Command, { kind: 'disk-resize' }>): CommandResult {
  const disk = draft.state.disks.get(command.id)
  if (disk === undefined) return notFound('disk', command.id)
  const { host, job, sizeBytes } = command
  const reasons = [...validate(command), ...allowed(draft.state, 'disk-resize', disk), ...workReasons(draft, host, job)]
  if (sizeBytes < disk.sizeBytes) {
    const message = `disk ${disk.name} has ${disk.sizeBytes} bytes, ${sizeBytes} would cut off data`
    reasons.push({ code: 'disk-shrink', message, fix: 'a disk only grows: create a smaller one and copy inside the guest' })
  }
  if (reasons.length > 0) return refused(`disk ${disk.name} cannot be resized`, reasons)
  if (sizeBytes === disk.sizeBytes) return done({ id: disk.id })
  draft.put('disks', { ...disk, state: { kind: 'resizing', host, toBytes: sizeBytes } })
  begin(draft, disk, { kind: 'disk-resize', id: job, host })
  return done({ id: disk.id, job })
}

function remove(draft: Draft, command: Extract<Command, { kind: 'disk-delete' }>): CommandResult {
  const disk = draft.state.disks.get(command.id)
  if (disk === undefined) return notFound('disk', command.id)
  const { host, job } = command
  const reasons = [...allowed(draft.state, 'disk-delete', disk), ...workReasons(draft, host, job)]
  if (reasons.length > 0) return refused(`disk ${disk.name} cannot be deleted`, reasons)
  draft.put('disks', { ...disk, state: { kind: 'deleting', host } })
  begin(draft, disk, { kind: 'disk-delete', id: job, host })
  return done({ id: disk.id, job })
}

function begin(draft: Draft, disk: Disk, job: { readonly kind: JobKind; readonly id: JobId; readonly host: HostId }): void {
  const step = `on ${hostName(draft.state, job.host)}`
  beginJob(draft, { id: job.id, kind: job.kind, object: { kind: 'disk', id: disk.id }, name: disk.name, step })
}

/** A report counts only from the host that has the work now, and only for the work that the disk's state asks for. */
function workDone(draft: Draft, command: Extract<Command, { kind: 'disk-done' }>): CommandResult {
  const disk = draft.state.disks.get(command.disk)
  if (disk === undefined) return stale(`disk ${command.disk} is gone`)
  const { state } = disk
  if (!('host' in state) || state.host !== command.host) return stale(`disk ${disk.name} is ${state.kind}, not in the hands of this host`)
  switch (state.kind) {
    case 'creating':
      if (command.sizeBytes < disk.sizeBytes) return stale(`disk ${disk.name} is being created with ${disk.sizeBytes} bytes`)
      return ready(draft, disk, command.sizeBytes)
    case 'resizing':
      if (command.sizeBytes < state.toBytes) return stale(`disk ${disk.name} is being resized to ${state.toBytes} bytes`)
      return ready(draft, disk, command.sizeBytes)
    case 'deleting':
      if (command.sizeBytes !== 0) return stale(`disk ${disk.name} is being deleted`)
      return deleted(draft, disk)
  }
}

function ready(draft: Draft, disk: Disk, sizeBytes: number): CommandResult {
  draft.put('disks', { ...disk, sizeBytes, state: { kind: 'ready' } })
  const job = openJob(draft.state, disk.id)
  if (job !== null) finishJob(draft, job)
  draft.event(disk.state.kind === 'resizing' ? 'disk.resized' : 'disk.ready', `disk ${disk.name}`, { id: disk.id, sizeBytes })
  const vm = disk.vm === null ? undefined : draft.state.vms.get(disk.vm)
  const start = vm === undefined ? null : openJob(draft.state, vm.id, 'vm-start')
  if (vm !== undefined && start !== null && vm.owner === null && unreadyDisks(draft.state, vm).length === 0)
    holdJob(draft, start, 'placing')
  return done({ id: disk.id })
}

function deleted(draft: Draft, disk: Disk): CommandResult {
  draft.remove('disks', disk.id)
  draft.event('disk.deleted', `disk ${disk.name}`, { id: disk.id, datastore: disk.datastore })
  const job = openJob(draft.state, disk.id)
  if (job !== null) finishJob(draft, job)
  // Disks that go with their VM still name it: its deletion is done when none is left.
  const vmJob = disk.vm === null ? null : openJob(draft.state, disk.vm, 'vm-delete')
  if (vmJob !== null && ![...draft.state.disks.values()].some(({ vm }) => vm === disk.vm)) finishJob(draft, vmJob)
  return done({ id: disk.id })
}

/** A failed resize leaves the disk as it was; a failed creation or deletion leaves something for a person to look at. */
function workFailed(draft: Draft, command: Extract<Command, { kind: 'disk-failed' }>): CommandResult {
  const disk = draft.state.disks.get(command.disk)
  if (disk === undefined) return stale(`disk ${command.disk} is gone`)
  const { state } = disk
  if (!('host' in state) || state.host !== command.host) return stale(`disk ${disk.name} is ${state.kind}, not in the hands of this host`)
  const host = hostName(draft.state, command.host)
  const message = `${state.kind} disk ${disk.name} failed on ${host}: ${command.reason}`
  const reasons: readonly Reason[] = [{ code: 'disk-failed', message, fix: 'mend the datastore, then ask again' }]
  draft.event('disk.failed', `disk ${disk.name}`, { id: disk.id, host: command.host, message })
  switch (state.kind) {
    case 'creating':
      draft.put('disks', { ...disk, state: { kind: 'failed', reason: command.reason } })
      giveUpStart(draft, disk, reasons)
      break
    case 'resizing':
      draft.put('disks', { ...disk, state: { kind: 'ready' } })
      break
    case 'deleting':
      // Its VM is gone: the disk stays, to be deleted by itself.
      draft.put('disks', { ...disk, state: { kind: 'failed', reason: command.reason }, vm: null })
      failOpenJob(draft, disk.vm, 'vm-delete', reasons)
      break
  }
  failOpenJob(draft, disk.id, undefined, reasons)
  return done({ id: disk.id })
}

function failOpenJob(draft: Draft, object: string | null, kind: JobKind | undefined, reasons: readonly Reason[]): void {
  const job = object === null ? null : openJob(draft.state, object, kind)
  if (job !== null) failJob(draft, job, reasons)
}

/** A VM that waited for this disk cannot start: it goes back to off, with the reason, instead of waiting for ever. */
function giveUpStart(draft: Draft, disk: Disk, reasons: readonly Reason[]): void {
  const vm = disk.vm === null ? undefined : draft.state.vms.get(disk.vm)
  if (vm === undefined || vm.desired.power === 'off' || vm.owner !== null) return
  failOpenJob(draft, vm.id, 'vm-start', reasons)
  draft.put('vms', { ...vm, desired: { power: 'off', how: 'stop' }, fault: { kind: 'start-failed', reasons, at: draft.at } })
  draft.event('vm.start-failed', `vm ${vm.name}`, { id: vm.id, reasons })
}

function reassign(draft: Draft, command: Extract<Command, { kind: 'disk-reassign' }>): CommandResult {
  const disk = draft.state.disks.get(command.disk)
  const host = draft.state.hosts.get(command.to)
  if (disk === undefined || host === undefined) return stale(`disk ${command.disk} or host ${command.to} is gone`)
  if (!('host' in disk.state)) return stale(`disk ${disk.name} is ${disk.state.kind}`)
  if (disk.state.host === host.id) return done({ id: disk.id })
  draft.put('disks', { ...disk, state: { ...disk.state, host: host.id } })
  const job = openJob(draft.state, disk.id)
  if (job !== null) holdJob(draft, job, `on ${host.name}`)
  draft.event('disk.reassigned', `disk ${disk.name}`, { id: disk.id, from: disk.state.host, to: host.id })
  return done({ id: disk.id })
}

/** What stands against a disk that is to be made: also used for the new disks of a VM. */
export function newDiskReasons(draft: Draft, disk: Pick<Disk, 'id' | 'name' | 'datastore'>): readonly Reason[] {
  const reasons: Reason[] = []
  const { disks, datastores } = draft.state
  const datastore = datastores.get(disk.datastore)
  if (datastore === undefined) reasons.push(missing('datastore', disk.datastore))
  if (disks.has(disk.id)) reasons.push({ code: 'id-taken', message: `disk ${disk.id} exists already` })
  const namesake = [...disks.values()].find(({ name, datastore: at }) => name === disk.name && at === disk.datastore)
  if (namesake !== undefined) {
    const message = `datastore ${datastore?.name ?? disk.datastore} has a disk "${disk.name}" already (${namesake.state.kind})`
    reasons.push({ code: 'name-taken', message, fix: 'choose another name, or see hostmesh disk list' })
  }
  return reasons
}

/** The host that is to do file work is known, and the job's id is new. */
export function workReasons(draft: Draft, host: HostId, job: JobId): Reason[] {
  const reasons: Reason[] = []
  if (!draft.state.hosts.has(host)) reasons.push(missing('host', host))
  if (draft.state.jobs.has(job)) reasons.push({ code: 'id-taken', message: `job ${job} exists already` })
  return reasons
}
