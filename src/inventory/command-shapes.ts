// The shape of every command and of the record around it: types say it to the compiler, this says it to bytes.
import {
  type DatastoreId,
  type DiskId,
  type GenerationId,
  type HostId,
  type JobId,
  type MemberId,
  type MeshId,
  type RequestKey,
  type TokenId,
  type VmId,
} from '../base/ids.ts'
import { list, literal, nullable, object, optional, record, text, variant, whole, type Shape } from '../base/shape.ts'
import {
  COMMAND_VERSION,
  type Command,
  type CommandKind,
  type CommandRecord,
  type DiskWish,
  type JoiningHost,
  type VmSet,
} from './command.ts'
import * as is from './shapes.ts'
import { UnknownCommand } from './unknown-command.ts'

type Shapes<K extends CommandKind> = { readonly [N in K]: Shape<Extract<Command, { readonly kind: N }>> }

const ID_LENGTH = 128
const vm = text<VmId>(ID_LENGTH)
const host = text<HostId>(ID_LENGTH)
const job = text<JobId>(ID_LENGTH)
const disk = text<DiskId>(ID_LENGTH)
const datastore = text<DatastoreId>(ID_LENGTH)
const token = text<TokenId>(ID_LENGTH)
const member = whole<MemberId>(1)
const leaderTerm = is.count

const joiningHost = object<JoiningHost>({
  id: host,
  name: is.word,
  role: is.hostRole,
  addresses: is.addresses,
  facts: is.hostFacts,
  member,
  bootId: is.word,
})

const MESH = {
  'mesh-init': object({
    kind: literal('mesh-init'),
    mesh: object({ id: text<MeshId>(ID_LENGTH), name: is.word }),
    host: joiningHost,
  }),
  'host-join': object({ kind: literal('host-join'), token, host: joiningHost }),
  'host-rejoin': object({ kind: literal('host-rejoin'), host: joiningHost }),
  'mesh-renew': object<Extract<Command, { readonly kind: 'mesh-renew' }>>({
    kind: literal('mesh-renew'),
    cause: is.renewalCause,
    generation: is.count,
    generationId: text<GenerationId>(ID_LENGTH),
    host: joiningHost,
    plan: is.word,
  }),
  'host-remove': object({ kind: literal('host-remove'), host }),
  'voters-change': object<Extract<Command, { kind: 'voters-change' }>>({
    kind: literal('voters-change'),
    leaderTerm,
    promote: list(member, 64),
    demote: list(member, 64),
    remove: list(member, 64),
    why: optional(is.sentence),
  }),
  'leader-transfer': object({ kind: literal('leader-transfer'), leaderTerm, to: host, why: is.sentence }),
  'agent-started': object({
    kind: literal('agent-started'),
    host,
    facts: is.hostFacts,
    addresses: is.addresses,
    bootId: is.word,
    member,
  }),
  'host-addresses': object({ kind: literal('host-addresses'), host, addresses: is.addresses }),
  'host-alarm': object({ kind: literal('host-alarm'), host, alarm: is.alarm, subject: is.word, why: is.sentence }),
  'host-set': object<Extract<Command, { readonly kind: 'host-set' }>>({
    kind: literal('host-set'),
    host,
    name: optional(is.word),
    labels: optional(record(nullable(is.word))),
  }),
  'token-create': object({
    kind: literal('token-create'),
    id: token,
    publicKey: is.word,
    role: is.hostRole,
    uses: is.count,
    expiresAt: is.moment,
  }),
  'token-revoke': object({ kind: literal('token-revoke'), id: token }),
  'config-set': object({ kind: literal('config-set'), key: is.word, value: nullable(is.settingValue) }),
} satisfies Partial<Shapes<CommandKind>>

const newDisk = { id: disk, name: is.word, datastore, format: is.diskFormat, sizeBytes: is.bytes }
const diskWork = { id: disk, host, job }

const STORAGE = {
  'datastore-add': object({ kind: literal('datastore-add'), id: datastore, name: is.word, path: is.sentence }),
  'datastore-remove': object({ kind: literal('datastore-remove'), id: datastore }),
  'disk-create': object({ kind: literal('disk-create'), ...newDisk, host, job }),
  'disk-resize': object({ kind: literal('disk-resize'), ...diskWork, sizeBytes: is.bytes }),
  'disk-delete': object({ kind: literal('disk-delete'), ...diskWork }),
  'disk-done': object({ kind: literal('disk-done'), host, disk, sizeBytes: is.bytes }),
  'disk-failed': object({ kind: literal('disk-failed'), host, disk, reason: is.sentence }),
  'disk-reassign': object({ kind: literal('disk-reassign'), leaderTerm, disk, to: host }),
} satisfies Partial<Shapes<CommandKind>>

const diskWish = variant<DiskWish, 'kind'>('kind', {
  existing: object({ kind: literal('existing'), disk }),
  new: object({ kind: literal('new'), ...newDisk }),
})

const VMS = {
  'vm-create': object({
    kind: literal('vm-create'),
    id: vm,
    name: is.word,
    vcpus: is.count,
    memoryMiB: is.count,
    cpu: is.word,
    firmware: is.firmware,
    machineType: is.word,
    disks: list(diskWish, 256),
    cdrom: nullable(is.sentence),
    boot: nullable(is.directBoot),
    ha: is.haPolicy,
    priority: is.priority,
    drs: is.drsPolicy,
    host,
    startJob: nullable(job),
  }),
  'vm-set': object<VmSet>({
    kind: literal('vm-set'),
    vm,
    name: optional(is.word),
    vcpus: optional(is.count),
    memoryMiB: optional(is.count),
    cpu: optional(is.word),
    boot: optional(nullable(is.directBoot)),
    cdrom: optional(nullable(is.sentence)),
    ha: optional(is.haPolicy),
    priority: optional(is.priority),
    drs: optional(is.drsPolicy),
  }),
  'vm-delete': object({ kind: literal('vm-delete'), vm, keepDisks: is.flag, host, job }),
  'vm-start': object({ kind: literal('vm-start'), vm, job }),
  'vm-shutdown': object({ kind: literal('vm-shutdown'), vm, job }),
  'vm-stop': object({ kind: literal('vm-stop'), vm, job }),
  'vm-reboot': object({ kind: literal('vm-reboot'), vm, force: is.flag, job }),
  'vm-pause': object({ kind: literal('vm-pause'), vm, job }),
  'vm-resume': object({ kind: literal('vm-resume'), vm, job }),
} satisfies Partial<Shapes<CommandKind>>

const RUNS = {
  'vm-assign': object({
    kind: literal('vm-assign'),
    leaderTerm,
    vm,
    to: host,
    epoch: is.epoch,
    reasons: list(is.sentence, 64),
  }),
  'vm-unplaceable': object({ kind: literal('vm-unplaceable'), leaderTerm, vm, reasons: is.reasons }),
  'vm-observed': object({ kind: literal('vm-observed'), host, vm, epoch: is.epoch, status: is.vmStatus }),
  'vm-stopped': object({ kind: literal('vm-stopped'), host, vm, epoch: is.epoch, intent: is.stopIntent, reasons: is.reasons }),
  'job-cancel': object({ kind: literal('job-cancel'), job }),
  'job-progress': object({ kind: literal('job-progress'), host, job, step: is.sentence, percent: whole(0, 100) }),
  'job-done': object({ kind: literal('job-done'), host, job }),
  'job-failed': object({ kind: literal('job-failed'), host, job, reasons: is.reasons }),
} satisfies Partial<Shapes<CommandKind>>

const COMMANDS: Shapes<CommandKind> = { ...MESH, ...STORAGE, ...VMS, ...RUNS }

const command = variant<Command, 'kind'>('kind', COMMANDS, (kind) => new UnknownCommand(`command "${kind}"`))

/** Throws UnknownCommand for a kind that is not above, `usage` for what does not have its shape. */
export const commandRecord = object<CommandRecord>({
  version: whole(1, COMMAND_VERSION),
  at: is.moment,
  actor: is.word,
  reason: nullable(is.sentence),
  requestKey: nullable(text<RequestKey>(ID_LENGTH * 2)),
  command,
})
