// What the API answers, as schemas and types: scripts rely on these keys. More may be added, none renamed.
import * as v from 'valibot'

const Time = v.string()
const Id = v.string()
const Named = v.object({ id: Id, name: v.string() })
const Count = v.number()

export const ReasonAnswer = v.object({ code: v.string(), message: v.string(), fix: v.optional(v.string()) })

export const AlarmAnswer = v.object({
  severity: v.picklist(['warning', 'critical']),
  code: v.string(),
  message: v.string(),
  fix: v.string(),
})
export type AlarmAnswer = v.InferOutput<typeof AlarmAnswer>

export const StatusAnswer = v.object({
  mesh: Named,
  self: Named,
  leader: v.nullable(Named),
  term: Count,
  commitIndex: Count,
  appliedIndex: Count,
  quorum: v.picklist(['ok', 'lost']),
  stale: v.nullable(v.object({ ageMs: Count })),
  hosts: v.object({ up: Count, total: Count }),
  vms: v.object({ running: Count, total: Count }),
  /** How many more hosts may die before the quorum is lost, and which protected VMs would then have no place. */
  survives: v.object({ hosts: Count, unseated: v.array(v.string()) }),
  alarms: v.array(AlarmAnswer),
})
export type StatusAnswer = v.InferOutput<typeof StatusAnswer>

export const HostAnswer = v.object({
  id: Id,
  name: v.string(),
  state: v.string(),
  role: v.string(),
  raft: v.nullable(v.picklist(['leader', 'voter', 'learner', 'witness'])),
  addresses: v.array(v.string()),
  cpu: v.object({ cores: Count, mhz: Count, model: v.string(), level: v.string() }),
  memoryMiB: Count,
  /** Shares of the host's CPU and memory in use, 0 to 1; null before the first report. */
  usage: v.object({ cpu: v.nullable(Count), memory: v.nullable(Count) }),
  vms: Count,
  version: v.string(),
  qemuVersion: v.nullable(v.string()),
  accelerator: v.string(),
  machineTypes: v.array(v.string()),
  labels: v.record(v.string(), v.string()),
  joinedAt: Time,
})
export type HostAnswer = v.InferOutput<typeof HostAnswer>

export const DiskAnswer = v.object({
  id: Id,
  name: v.string(),
  datastore: v.string(),
  format: v.string(),
  sizeBytes: Count,
  state: v.string(),
  /** Why `state` is `failed`. */
  error: v.nullable(v.string()),
  vm: v.nullable(v.string()),
})
export type DiskAnswer = v.InferOutput<typeof DiskAnswer>

export const VmAnswer = v.object({
  id: Id,
  name: v.string(),
  state: v.string(),
  desired: v.picklist(['on', 'paused', 'off']),
  /** `host` is its name; `epoch` reads `generation.counter`. */
  owner: v.nullable(v.object({ host: v.string(), hostId: Id, epoch: v.string() })),
  vcpus: Count,
  memoryMiB: Count,
  cpu: v.string(),
  firmware: v.string(),
  machineType: v.string(),
  ha: v.string(),
  priority: Count,
  drs: v.string(),
  disks: v.array(DiskAnswer),
  nics: v.array(v.object({})),
  cdrom: v.nullable(v.string()),
  boot: v.nullable(v.object({ kernel: v.string(), initrd: v.nullable(v.string()), append: v.string() })),
  /** Null while off, and before the first report. */
  usage: v.object({ cpuMHz: v.nullable(Count), memoryMiB: v.nullable(Count) }),
  uptimeS: v.nullable(Count),
  fault: v.nullable(v.object({ kind: v.string(), at: Time, reasons: v.array(ReasonAnswer) })),
  createdAt: Time,
})
export type VmAnswer = v.InferOutput<typeof VmAnswer>

export const DatastoreAnswer = v.object({
  id: Id,
  name: v.string(),
  kind: v.string(),
  path: v.string(),
  disks: Count,
  addedAt: Time,
})
export type DatastoreAnswer = v.InferOutput<typeof DatastoreAnswer>

export const JobAnswer = v.object({
  id: Id,
  kind: v.string(),
  object: v.object({ kind: v.string(), id: Id, name: v.string() }),
  phase: v.picklist(['waiting', 'working', 'done', 'failed', 'cancelled']),
  step: v.string(),
  percent: Count,
  startedAt: Time,
  endedAt: v.nullable(Time),
  error: v.nullable(v.object({ code: v.string(), message: v.string(), reasons: v.array(ReasonAnswer) })),
})
export type JobAnswer = v.InferOutput<typeof JobAnswer>

export const EventAnswer = v.object({
  index: Count,
  time: Time,
  type: v.string(),
  object: v.string(),
  actor: v.string(),
  reason: v.nullable(v.string()),
  data: v.record(v.string(), v.unknown()),
})
export type EventAnswer = v.InferOutput<typeof EventAnswer>

export const TokenAnswer = v.object({
  id: Id,
  role: v.string(),
  uses: Count,
  used: Count,
  usedBy: v.array(v.string()),
  state: v.picklist(['usable', 'used-up', 'expired', 'revoked']),
  expiresAt: Time,
  createdAt: Time,
})
export type TokenAnswer = v.InferOutput<typeof TokenAnswer>

export const SettingAnswer = v.object({
  key: v.string(),
  value: v.union([v.string(), v.number(), v.boolean()]),
  default: v.union([v.string(), v.number(), v.boolean()]),
  help: v.string(),
})
export type SettingAnswer = v.InferOutput<typeof SettingAnswer>

export const MeshAnswer = v.object({
  mesh: v.object({ id: Id, name: v.string(), generation: Count, createdAt: Time }),
  self: Named,
  leader: v.nullable(Named),
  term: Count,
  commitIndex: Count,
  appliedIndex: Count,
  firstIndex: Count,
  lastIndex: Count,
  quorum: v.picklist(['ok', 'lost']),
  /** How many voters there are, and how many of them may still be lost. */
  voters: v.object({ total: Count, spare: Count }),
  members: v.array(
    v.object({
      id: Id,
      name: v.string(),
      role: v.picklist(['leader', 'voter', 'learner', 'witness']),
      /** The host's label `zone`: hosts with the same one fail together. */
      zone: v.nullable(v.string()),
      /** How far the leader knows this member's log to reach; null where the leader cannot be asked. */
      matchIndex: v.nullable(Count),
      /** Entries that it lacks of what is committed. */
      lag: v.nullable(Count),
      /** Whether it answers the leader. */
      active: v.nullable(v.boolean()),
      /** It gives up its vote, to be removed. */
      leaving: v.boolean(),
      /** Of its stores, as the host says itself; `unknown` while it is not heard of. */
      stores: v.picklist(['ok', 'reopening', 'needs repair', 'unknown']),
      connected: v.nullable(v.boolean()),
      address: v.nullable(v.string()),
      rttMs: v.nullable(Count),
    }),
  ),
})
export type MeshAnswer = v.InferOutput<typeof MeshAnswer>

export const WhyNotAnswer = v.object({ vm: v.string(), host: v.string(), reasons: v.array(ReasonAnswer) })
export type WhyNotAnswer = v.InferOutput<typeof WhyNotAnswer>

/** Bytes as the guest wrote them, base64: a console is no text. */
export const ConsoleLogAnswer = v.object({ vm: v.string(), base64: v.string() })
export type ConsoleLogAnswer = v.InferOutput<typeof ConsoleLogAnswer>

/** What a write did, or with `dryRun` would do. */
export const WriteAnswer = v.object({
  dryRun: v.boolean(),
  /** What is going to happen, one step a line. */
  plan: v.array(v.string()),
  id: v.nullable(Id),
  /** What carries it out where it takes time; it is done when the job is. */
  job: v.nullable(Id),
  /** The text of a new join token, shown this once: the mesh keeps its public half only. */
  secret: v.optional(v.string()),
})
export type WriteAnswer = v.InferOutput<typeof WriteAnswer>

export const InitAnswer = v.object({ mesh: Named, host: Named })
export type InitAnswer = v.InferOutput<typeof InitAnswer>

/** What going on without the hosts that do not answer would mean. `reasons` is empty where it may be done. */
export const RecoveryPlanAnswer = v.object({
  mesh: Named,
  self: Named,
  generation: v.object({ from: Count, to: Count }),
  /** The host that goes on. */
  chosen: v.nullable(Named),
  hosts: v.array(
    v.object({
      id: Id,
      name: v.string(),
      part: v.picklist(['goes-on', 'rejoins', 'stays', 'away']),
      voted: v.boolean(),
      /** Null: it did not answer, `why` says why. */
      log: v.nullable(v.object({ lastTerm: Count, lastIndex: Count, commitIndex: Count, appliedIndex: Count })),
      why: v.nullable(v.string()),
    }),
  ),
  /** `unsure`: entries that are kept although nobody who answered knows them to be committed. */
  kept: v.object({ lastIndex: Count, lastTerm: Count, commitIndex: Count, unsure: Count }),
  /** The hosts that did not answer may have agreed on more. */
  mayLoseMore: v.boolean(),
  running: v.array(v.object({ host: v.string(), vms: v.array(v.string()) })),
  reasons: v.array(ReasonAnswer),
  /** What `recover` takes. */
  digest: v.string(),
})
export type RecoveryPlanAnswer = v.InferOutput<typeof RecoveryPlanAnswer>

export const RecoveredAnswer = v.object({ mesh: v.string(), generation: Count, already: v.boolean() })
export type RecoveredAnswer = v.InferOutput<typeof RecoveredAnswer>

/** The last message of what failed. */
const Failed = v.object({
  kind: v.literal('failed'),
  error: v.object({
    code: v.string(),
    message: v.string(),
    data: v.record(v.string(), v.unknown()),
    reasons: v.array(ReasonAnswer),
  }),
})
export type FailedMessage = v.InferOutput<typeof Failed>

/** Messages of a backup: lines of the file in their order, then one of the others. */
export const BackupMessage = v.variant('kind', [
  v.object({ kind: v.literal('lines'), lines: v.array(v.string()) }),
  v.object({ kind: v.literal('done'), index: Count }),
  Failed,
])
export type BackupMessage = v.InferOutput<typeof BackupMessage>

/** What a backup holds, and what became of it; with `dryRun` nothing. */
export const RestoreAnswer = v.object({
  mesh: Named,
  generation: v.object({ from: Count, to: Count }),
  madeAt: Time,
  madeBy: v.string(),
  /** It was made without a quorum. */
  stale: v.boolean(),
  index: Count,
  rows: Count,
  hosts: v.array(v.object({ name: v.string(), addresses: v.array(v.string()) })),
  vms: v.array(v.string()),
  tokens: Count,
  /** Why the stores that this host had are set aside; null where it had none. */
  damaged: v.nullable(v.string()),
  dryRun: v.boolean(),
})
export type RestoreAnswer = v.InferOutput<typeof RestoreAnswer>

export const VersionAnswer = v.object({ version: v.string(), self: Named, initialised: v.boolean() })
export type VersionAnswer = v.InferOutput<typeof VersionAnswer>

/** Names as shell completion offers them. */
export const NamesAnswer = v.object({ names: v.array(v.string()) })

/** One message of the change feed. Its SSE id is `index`. */
export const ChangeMessage = v.object({
  /** Raft index after the change. */
  index: Count,
  /** More changed than the message holds: read anew what is shown. */
  reset: v.boolean(),
  rows: v.array(v.object({ kind: v.string(), id: Id, name: v.string(), state: v.string() })),
  events: v.array(EventAnswer),
})
export type ChangeMessage = v.InferOutput<typeof ChangeMessage>

const Step = v.object({ kind: v.literal('step'), step: v.string() })

/** Messages of a join: any number of steps, then one of the others. */
export const JoinMessage = v.variant('kind', [Step, v.object({ kind: v.literal('done'), mesh: Named, host: Named }), Failed])
export type JoinMessage = v.InferOutput<typeof JoinMessage>

/** Messages of a transfer of leadership: as those of a join. */
export const LeaderMessage = v.variant('kind', [
  Step,
  v.object({
    kind: v.literal('done'),
    dryRun: v.boolean(),
    /** What was done, or would be, one step a line. */
    plan: v.array(v.string()),
    /** Who leads now. */
    leader: v.nullable(Named),
    term: Count,
    tookMs: Count,
  }),
  Failed,
])
export type LeaderMessage = v.InferOutput<typeof LeaderMessage>
