// From the agreed state and what hosts measure to the answers of the API: one function a noun. Pure.
import { type HostId } from '../base/ids.ts'
import { inKeyOrder } from '../inventory/canonical-json.ts'
import { type RaftRole } from '../inventory/cluster.ts'
import { tokenState } from '../inventory/apply-token.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Load } from '../inventory/load.ts'
import { type Datastore, type Disk, type Event, type Host, type Job, type Token, type Vm } from '../inventory/model.ts'
import { SETTINGS, type SettingKey } from '../inventory/settings.ts'
import { compareText, formatEpoch, hostName, hostState, type Liveness, vmsOn, vmState } from '../inventory/view.ts'
import { cpuLevel } from './cpu-level.ts'
import {
  type DatastoreAnswer,
  type DiskAnswer,
  type EventAnswer,
  type HostAnswer,
  type JobAnswer,
  type SettingAnswer,
  type TokenAnswer,
  type VmAnswer,
} from './types.ts'

/** The state, and beside it what nobody agrees on: who is heard of, and what is measured. */
export interface Sight {
  readonly inventory: Inventory
  readonly liveness: Liveness
  readonly load: Load
  readonly roles: ReadonlyMap<HostId, RaftRole>
}

export function hostAnswer({ inventory, liveness, load, roles }: Sight, host: Host): HostAnswer {
  const { cpu, memoryMiB, version, qemuVersion, accelerator, machineTypes } = host.facts
  const measured = load.hosts.get(host.id)
  return {
    id: host.id,
    name: host.name,
    state: hostState(host, liveness),
    role: host.role,
    raft: roles.get(host.id) ?? null,
    addresses: [...host.addresses],
    cpu: { cores: cpu.cores, mhz: cpu.mhz, model: cpu.model, level: cpuLevel(cpu.flags) },
    memoryMiB,
    usage: {
      cpu: measured === undefined ? null : measured.cpuPercent / 100,
      memory: measured === undefined ? null : share(measured.memoryUsedMiB, memoryMiB),
    },
    vms: vmsOn(inventory, host.id).length,
    version,
    qemuVersion,
    accelerator,
    machineTypes: [...machineTypes],
    labels: Object.fromEntries(Object.entries(host.labels).toSorted(([one], [other]) => compareText(one, other))),
    joinedAt: isoTime(host.joinedAt),
  }
}

export function vmAnswer({ inventory, liveness, load }: Sight, vm: Vm): VmAnswer {
  const { spec, owner, fault } = vm
  const measured = owner === null ? undefined : load.vms.get(vm.id)
  return {
    id: vm.id,
    name: vm.name,
    state: vmState(vm, liveness),
    desired: vm.desired.power === 'off' ? 'off' : vm.desired.paused ? 'paused' : 'on',
    owner: owner === null ? null : { host: hostName(inventory, owner.host), hostId: owner.host, epoch: formatEpoch(owner.epoch) },
    vcpus: spec.vcpus,
    memoryMiB: spec.memoryMiB,
    cpu: spec.cpu,
    firmware: spec.firmware,
    machineType: spec.machineType,
    ha: vm.ha,
    priority: vm.priority,
    drs: vm.drs,
    disks: spec.disks.flatMap((id) => {
      const disk = inventory.disks.get(id)
      return disk === undefined ? [] : [diskAnswer(inventory, disk)]
    }),
    nics: [],
    cdrom: spec.cdrom,
    boot: spec.boot === null ? null : { ...spec.boot },
    usage: { cpuMHz: measured?.cpuMHz ?? null, memoryMiB: measured?.residentMiB ?? null },
    uptimeS: measured?.uptimeS ?? null,
    fault: fault === null ? null : { kind: fault.kind, at: isoTime(fault.at), reasons: fault.reasons.map((reason) => ({ ...reason })) },
    createdAt: isoTime(vm.createdAt),
  }
}

export function diskAnswer(inventory: Inventory, disk: Disk): DiskAnswer {
  return {
    id: disk.id,
    name: disk.name,
    datastore: inventory.datastores.get(disk.datastore)?.name ?? disk.datastore,
    format: disk.format,
    sizeBytes: disk.sizeBytes,
    state: disk.state.kind,
    error: disk.state.kind === 'failed' ? disk.state.reason : null,
    vm: disk.vm === null ? null : (inventory.vms.get(disk.vm)?.name ?? disk.vm),
  }
}

export function datastoreAnswer({ disks }: Inventory, { id, name, kind, path, addedAt }: Datastore): DatastoreAnswer {
  const held = [...disks.values()].filter((disk) => disk.datastore === id).length
  return { id, name, kind, path, disks: held, addedAt: isoTime(addedAt) }
}

/** The object's name is the one that it had when the job began: it may be gone since. */
export function jobAnswer({ id, kind, object, name, phase, step, percent, startedAt, endedAt, error }: Job): JobAnswer {
  return {
    id,
    kind,
    object: { kind: object.kind, id: object.id, name },
    phase,
    step,
    percent,
    startedAt: isoTime(startedAt),
    endedAt: endedAt === null ? null : isoTime(endedAt),
    error: error === null ? null : { code: error.code, message: error.message, reasons: error.reasons.map((reason) => ({ ...reason })) },
  }
}

export function eventAnswer({ index, at, type, object, actor, reason, data }: Event): EventAnswer {
  return { index, time: isoTime(at), type, object, actor, reason, data: inKeyOrder(data) }
}

/** `nowMs` is this host's wall clock: for show only, a join is judged by the leader's. */
export function tokenAnswer({ hosts }: Inventory, token: Token, nowMs: number): TokenAnswer {
  return {
    id: token.id,
    role: token.role,
    uses: token.uses,
    used: token.usedBy.length,
    usedBy: token.usedBy.map((host) => hosts.get(host)?.name ?? host),
    state: tokenState(token, nowMs),
    expiresAt: isoTime(token.expiresAt),
    createdAt: isoTime(token.createdAt),
  }
}

export function settingAnswer({ settings }: Inventory, key: SettingKey): SettingAnswer {
  const { default: standard, description } = SETTINGS[key]
  return { key, value: settings[key] ?? standard, default: standard, help: description }
}

/** In the order of names: the same on every host, as lists have to be. */
export function byName<R extends { readonly id: string; readonly name: string }>(rows: Iterable<R>): R[] {
  return [...rows].sort((a, b) => compareText(a.name, b.name) || compareText(a.id, b.id))
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

/** To three digits: more would only be noise. */
function share(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 1000) / 1000
}
