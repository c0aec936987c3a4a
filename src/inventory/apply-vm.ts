// VMs as things: created, changed, deleted. Whether they run is the matter of apply-power.ts and apply-run.ts.
import { type Reason } from '../base/errors.ts'
import { type DiskId } from '../base/ids.ts'
import { allowed, filesOf } from './allowed.ts'
import { newDiskReasons, workReasons } from './apply-disk.ts'
import { startStep } from './apply-power.ts'
import { canonicalJson } from './canonical-json.ts'
import { type Command, type DiskWish, type VmCreate, type VmSet } from './command.ts'
import { type Draft } from './draft.ts'
import { beginJob, finishJob } from './jobs.ts'
import { type CommandResult, type Disk, type Vm, type VmSpec } from './model.ts'
import { openJob } from './open-jobs.ts'
import { done, missing, notFound, refused, taken } from './results.ts'
import { validate } from './validate.ts'

type VmCommand = Extract<Command, { kind: 'vm-create' | 'vm-set' | 'vm-delete' }>

export function applyVm(draft: Draft, command: VmCommand): CommandResult {
  switch (command.kind) {
    case 'vm-create':
      return create(draft, command)
    case 'vm-set':
      return set(draft, command)
    case 'vm-delete':
      return remove(draft, command)
  }
}

function create(draft: Draft, command: VmCreate): CommandResult {
  const reasons = [...validate(command), ...createReasons(draft, command)]
  if (reasons.length > 0) return refused(`VM ${command.name} was not created`, reasons)
  const { id, name, ha, priority, drs, startJob } = command
  for (const disk of wishedDisks(draft, command)) draft.put('disks', disk)
  draft.put('vms', {
    id,
    name,
    spec: specOf(command),
    ha,
    priority,
    drs,
    desired: startJob === null ? { power: 'off', how: 'stop' } : { power: 'on', paused: false },
    owner: null,
    lastEpoch: { generation: draft.state.mesh?.generation ?? 0, counter: 0 },
    lastHost: null,
    observed: null,
    fault: null,
    crashes: 0,
    createdAt: draft.at,
  })
  draft.event('vm.created', `vm ${name}`, { id, vcpus: command.vcpus, memoryMiB: command.memoryMiB })
  if (startJob === null) return done({ id })
  const vm = draft.state.vms.get(id)
  const step = vm === undefined ? 'placing' : startStep(draft.state, vm)
  beginJob(draft, { id: startJob, kind: 'vm-start', object: { kind: 'vm', id }, name, step })
  return done({ id, job: startJob })
}

function createReasons(draft: Draft, command: VmCreate): readonly Reason[] {
  const { id, name, host, startJob, disks } = command
  const reasons: Reason[] = []
  // Disks that go with a deleted VM still name it: until they are gone, so is its id.
  const isKnown = draft.state.vms.has(id) || [...draft.state.disks.values()].some(({ vm }) => vm === id)
  if (isKnown) reasons.push({ code: 'id-taken', message: `VM ${id} exists already` })
  if (isNameTaken(draft, name, null)) reasons.push(taken('vm', name))
  if (!draft.state.hosts.has(host)) reasons.push(missing('host', host))
  if (startJob !== null && draft.state.jobs.has(startJob)) reasons.push({ code: 'id-taken', message: `job ${startJob} exists already` })
  reasons.push(...fileReasons(draft, specOf(command)), ...disks.flatMap((wish) => wishReasons(draft, wish)))
  const ids = disks.map(idOf)
  const names = disks.flatMap((wish) => (wish.kind === 'new' ? [`${wish.datastore}/${wish.name}`] : []))
  if (new Set(ids).size < ids.length || new Set(names).size < names.length) {
    reasons.push({ code: 'disk-twice', message: `a disk of VM ${name} is named twice`, fix: 'name each disk once' })
  }
  return reasons
}

function wishReasons(draft: Draft, wish: DiskWish): readonly Reason[] {
  if (wish.kind === 'new') return newDiskReasons(draft, wish)
  const disk = draft.state.disks.get(wish.disk)
  return disk === undefined ? [missing('disk', wish.disk)] : allowed(draft.state, 'disk-attach', disk)
}

/** Existing disks become the VM's own; new ones are made on the host that took the request, the VM waits for them. */
function wishedDisks(draft: Draft, command: VmCreate): readonly Disk[] {
  return command.disks.flatMap((wish): readonly Disk[] => {
    if (wish.kind === 'new') {
      const { kind: _, ...given } = wish
      return [{ ...given, state: { kind: 'creating', host: command.host }, vm: command.id }]
    }
    const disk = draft.state.disks.get(wish.disk)
    return disk === undefined ? [] : [{ ...disk, vm: command.id }]
  })
}

function specOf(command: VmCreate): VmSpec {
  const { vcpus, memoryMiB, cpu, firmware, machineType, cdrom, boot } = command
  return { vcpus, memoryMiB, cpu, firmware, machineType, disks: command.disks.map(idOf), cdrom, boot }
}

function idOf(wish: DiskWish): DiskId {
  return wish.kind === 'new' ? wish.id : wish.disk
}

function set(draft: Draft, command: VmSet): CommandResult {
  const vm = draft.state.vms.get(command.vm)
  if (vm === undefined) return notFound('vm', command.vm)
  const { name = vm.name, ha = vm.ha, priority = vm.priority, drs = vm.drs } = command
  const { vcpus, memoryMiB, cpu, boot, cdrom } = { ...vm.spec, ...given(command) }
  const spec: VmSpec = { ...vm.spec, vcpus, memoryMiB, cpu, boot, cdrom }
  const changesSpec = canonicalJson(spec) !== canonicalJson(vm.spec)
  const reasons: Reason[] = [...validate(command), ...fileReasons(draft, spec)]
  if (changesSpec) reasons.push(...allowed(draft.state, 'vm-respec', vm))
  if (isNameTaken(draft, name, vm)) reasons.push(taken('vm', name))
  if (reasons.length > 0) return refused(`VM ${vm.name} is left as it is`, reasons)
  const changed: Vm = { ...vm, name, ha, priority, drs, spec }
  if (canonicalJson(changed) === canonicalJson(vm)) return done({ id: vm.id })
  draft.put('vms', changed)
  draft.event('vm.changed', `vm ${vm.name}`, { id: vm.id, changes: given(command) })
  return done({ id: vm.id })
}

/** The fields that the command names. */
function given(command: VmSet): Omit<VmSet, 'kind' | 'vm'> {
  const { kind: _, vm: __, ...changes } = command
  return changes
}

/** The VM goes at once; disks that go with it live on as rows until their files are gone. */
function remove(draft: Draft, command: Extract<Command, { kind: 'vm-delete' }>): CommandResult {
  const vm = draft.state.vms.get(command.vm)
  if (vm === undefined) return notFound('vm', command.vm)
  const { host, job, keepDisks } = command
  const reasons = [...allowed(draft.state, 'vm-delete', vm), ...workReasons(draft, host, job)]
  if (reasons.length > 0) return refused(`VM ${vm.name} cannot be deleted`, reasons)
  draft.remove('vms', vm.id)
  for (const id of vm.spec.disks) {
    const disk = draft.state.disks.get(id)
    if (disk === undefined) continue
    draft.put('disks', keepDisks ? { ...disk, vm: null } : { ...disk, state: { kind: 'deleting', host } })
  }
  beginJob(draft, { id: job, kind: 'vm-delete', object: { kind: 'vm', id: vm.id }, name: vm.name, step: 'deleting its disks' })
  const begun = openJob(draft.state, vm.id)
  if (begun !== null && (keepDisks || vm.spec.disks.length === 0)) finishJob(draft, begun)
  draft.event('vm.deleted', `vm ${vm.name}`, { id: vm.id, keptDisks: keepDisks ? vm.spec.disks : [] })
  return done({ id: vm.id, job })
}

function isNameTaken(draft: Draft, name: string, except: Vm | null): boolean {
  return [...draft.state.vms.values()].some((vm) => vm.id !== except?.id && vm.name === name)
}

/** Every file is on a datastore of this mesh; whether the file is there, only a host can see. */
function fileReasons(draft: Draft, spec: VmSpec): readonly Reason[] {
  const names = new Set([...draft.state.datastores.values()].map(({ name }) => name))
  const wanted = new Set(filesOf({ spec }).map((file) => file.split('/')[0] ?? ''))
  return [...wanted].filter((name) => !names.has(name)).map((name) => missing('datastore', name))
}
