// The shape of every row: what a store or a snapshot must hold to become an inventory again.
import { type ErrorCode, isErrorCode } from '../base/errors.ts'
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
import { mismatch } from '../base/parse.ts'
import { list, literal, nullable, object, optional, record, text, variant, whole, type Shape } from '../base/shape.ts'
import { type Rows, type RowTable } from './inventory.ts'
import {
  type CommandResult,
  type CommandValue,
  type Datastore,
  type Desired,
  type Disk,
  type Event,
  type Host,
  type HostStatus,
  type Job,
  type JobKind,
  type Mesh,
  type Observed,
  type Owner,
  type RemovedHost,
  REMOVED_KEPT,
  type RequestRecord,
  type Token,
  type Vm,
  type VmFault,
  type VmSpec,
} from './model.ts'
import * as is from './shapes.ts'

const ID_LENGTH = 128
const vmId = text<VmId>(ID_LENGTH)
const hostId = text<HostId>(ID_LENGTH)
const diskId = text<DiskId>(ID_LENGTH)
const jobId = text<JobId>(ID_LENGTH)
const requestKey = text<RequestKey>(ID_LENGTH * 2)

function errorCode(value: unknown, what: string): ErrorCode {
  const found = is.word(value, what)
  if (!isErrorCode(found)) throw mismatch(what, 'an error code', found)
  return found
}

const mesh = object<Mesh>({
  id: text<MeshId>(ID_LENGTH),
  name: is.word,
  generation: is.count,
  generationId: nullable(text<GenerationId>(ID_LENGTH)),
  createdAt: is.moment,
  removed: optional(
    list(
      object<RemovedHost>({
        id: hostId,
        name: is.word,
        member: whole<MemberId>(1),
        at: is.moment,
        by: is.word,
        reason: nullable(is.sentence),
      }),
      REMOVED_KEPT,
    ),
  ),
  restored: optional(is.count),
})

const host = object<Host>({
  id: hostId,
  name: is.word,
  role: is.hostRole,
  status: literal<HostStatus>('joining', 'up', 'maintenance'),
  addresses: is.addresses,
  labels: record(is.word),
  facts: is.hostFacts,
  member: whole<MemberId>(1),
  incarnation: is.count,
  bootId: is.word,
  joinedAt: is.moment,
})

const datastore = object<Datastore>({
  id: text<DatastoreId>(ID_LENGTH),
  name: is.word,
  kind: literal('dir'),
  path: is.sentence,
  addedAt: is.moment,
})

const disk = object<Disk>({
  id: diskId,
  name: is.word,
  datastore: text<DatastoreId>(ID_LENGTH),
  format: is.diskFormat,
  sizeBytes: is.bytes,
  state: variant<Disk['state'], 'kind'>('kind', {
    creating: object({ kind: literal('creating'), host: hostId }),
    ready: object({ kind: literal('ready') }),
    resizing: object({ kind: literal('resizing'), host: hostId, toBytes: is.bytes }),
    deleting: object({ kind: literal('deleting'), host: hostId }),
    failed: object({ kind: literal('failed'), reason: is.sentence }),
  }),
  vm: nullable(vmId),
})

const vmSpec = object<VmSpec>({
  vcpus: is.count,
  memoryMiB: is.count,
  cpu: is.word,
  firmware: is.firmware,
  machineType: is.word,
  disks: list(diskId, 256),
  cdrom: nullable(is.sentence),
  boot: nullable(is.directBoot),
})

const vm = object<Vm>({
  id: vmId,
  name: is.word,
  spec: vmSpec,
  ha: is.haPolicy,
  priority: is.priority,
  drs: is.drsPolicy,
  desired: variant<Desired, 'power'>('power', {
    on: object({ power: literal('on'), paused: is.flag }),
    off: object({ power: literal('off'), how: literal('shutdown', 'stop') }),
  }),
  owner: nullable(object<Owner>({ host: hostId, epoch: is.epoch, ending: nullable(literal('shutdown', 'stop')) })),
  lastEpoch: is.epoch,
  lastHost: nullable(hostId),
  observed: nullable(object<Observed>({ epoch: is.epoch, status: is.vmStatus, since: is.moment })),
  fault: nullable(object<VmFault>({ kind: literal('crash', 'start-failed', 'unplaceable'), reasons: is.reasons, at: is.moment })),
  crashes: is.count,
  createdAt: is.moment,
})

const job = object<Job>({
  id: jobId,
  kind: literal<JobKind>(
    'vm-start',
    'vm-shutdown',
    'vm-stop',
    'vm-reboot',
    'vm-pause',
    'vm-resume',
    'vm-delete',
    'disk-create',
    'disk-resize',
    'disk-delete',
  ),
  object: variant<Job['object'], 'kind'>('kind', {
    vm: object({ kind: literal('vm'), id: vmId }),
    disk: object({ kind: literal('disk'), id: diskId }),
  }),
  name: is.word,
  phase: literal<Job['phase']>('waiting', 'working', 'done', 'failed', 'cancelled'),
  step: is.sentence,
  percent: whole(0, 100),
  startedAt: is.moment,
  endedAt: nullable(is.moment),
  error: nullable(object<NonNullable<Job['error']>>({ code: errorCode, message: text(65_536), reasons: is.reasons })),
  force: is.flag,
})

const event = object<Event>({
  index: is.count,
  ordinal: is.count,
  at: is.moment,
  type: is.word,
  object: is.word,
  actor: is.word,
  reason: nullable(is.sentence),
  data: is.data,
})

const token = object<Token>({
  id: text<TokenId>(ID_LENGTH),
  publicKey: is.word,
  role: is.hostRole,
  uses: is.count,
  usedBy: list(hostId, 1_024),
  expiresAt: is.moment,
  revoked: is.flag,
  createdAt: is.moment,
})

const request = object<RequestRecord>({
  key: requestKey,
  at: is.moment,
  index: is.count,
  fingerprint: is.word,
  result: variant<CommandResult, 'kind'>('kind', {
    done: object({ kind: literal('done'), value: commandValue }),
    refused: object({ kind: literal('refused'), code: errorCode, message: text(65_536), reasons: is.reasons }),
    stale: object({ kind: literal('stale'), why: is.sentence }),
  }),
})

/** `id` and `job` are text where they are; the rest is plain data. */
function commandValue(value: unknown, what: string): CommandValue {
  const { id, job: of, ...rest } = is.data(value, what)
  return {
    ...rest,
    ...(id === undefined ? {} : { id: is.word(id, `${what}.id`) }),
    ...(of === undefined ? {} : { job: jobId(of, `${what}.job`) }),
  }
}

export const ROW_SHAPES: { readonly [T in RowTable]: Shape<Rows[T]> } = {
  mesh,
  settings: is.settingValue,
  events: event,
  hosts: host,
  vms: vm,
  datastores: datastore,
  disks: disk,
  jobs: job,
  tokens: token,
  requests: request,
}
