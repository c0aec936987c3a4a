// What the API is asked: schemas of bodies and queries. Strict: an unknown field is refused by its name, never ignored.
import * as v from 'valibot'

/** A name as typed; whether it may be taken is for the inventory to say. */
const Name = v.pipe(v.string(), v.minLength(1), v.maxLength(253))
/** Longer texts make no sense to a person, and every member keeps them in its log. */
const Text = v.pipe(v.string(), v.maxLength(4096))
const Whole = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const Priority = v.picklist([1, 2, 3])
const Role = v.picklist(['host', 'witness'])
const Ha = v.picklist(['restart', 'off'])
const Drs = v.picklist(['auto', 'manual', 'off'])

/** Query values are text: `1` is true. */
const Flag = v.pipe(
  v.picklist(['0', '1']),
  v.transform((text) => text === '1'),
)
const WholeText = v.pipe(
  v.string(),
  v.regex(/^\d{1,15}$/, 'must be a whole number'),
  v.transform((text) => Number(text)),
)

export const NoBody = v.strictObject({})
export const NoQuery = v.strictObject({})
/** Of every write: `dryRun=1` checks and plans only; `reason` is kept in the event. */
export const WriteQuery = v.strictObject({ dryRun: v.optional(Flag), reason: v.optional(Text) })
export const VmDeleteQuery = v.strictObject({ ...WriteQuery.entries, keepDisks: v.optional(Flag) })
export const VmRebootQuery = v.strictObject({ ...WriteQuery.entries, force: v.optional(Flag) })
export const WhyNotQuery = v.strictObject({ host: Name })
export const ChangesQuery = v.strictObject({ since: v.optional(WholeText) })
export const ConsoleLogQuery = v.strictObject({ bytes: v.optional(WholeText) })
export const NamesQuery = v.strictObject({ kind: v.picklist(['host', 'vm', 'datastore', 'disk', 'job', 'token', 'setting']) })
export const DisksQuery = v.strictObject({ datastore: v.optional(Name) })
export const JobsQuery = v.strictObject({ open: v.optional(Flag) })
export const EventsQuery = v.strictObject({
  since: v.optional(WholeText),
  limit: v.optional(WholeText),
  object: v.optional(Name),
  type: v.optional(Name),
})

export const InitBody = v.strictObject({ name: Name })
export type InitBody = v.InferInput<typeof InitBody>

export const JoinBody = v.strictObject({ token: v.pipe(v.string(), v.maxLength(4096)), role: v.optional(Role) })
export type JoinBody = v.InferInput<typeof JoinBody>

export const LeaderTransferBody = v.strictObject({ host: Name, dryRun: v.optional(v.boolean()), reason: v.optional(Text) })
export type LeaderTransferBody = v.InferInput<typeof LeaderTransferBody>

export const TokenCreateBody = v.strictObject({ role: v.optional(Role), uses: v.optional(Whole), ttlMs: v.optional(Whole) })
export type TokenCreateBody = v.InferInput<typeof TokenCreateBody>

export const HostSetBody = v.strictObject({
  name: v.optional(Name),
  /** Null takes a label away. */
  labels: v.optional(v.record(Name, v.nullable(Text))),
})
export type HostSetBody = v.InferInput<typeof HostSetBody>

export const DatastoreAddBody = v.strictObject({ name: Name, path: Text })
export type DatastoreAddBody = v.InferInput<typeof DatastoreAddBody>

const Format = v.picklist(['qcow2', 'raw'])

export const DiskCreateBody = v.strictObject({ datastore: Name, name: Name, sizeBytes: Whole, format: v.optional(Format) })
export type DiskCreateBody = v.InferInput<typeof DiskCreateBody>

export const DiskResizeBody = v.strictObject({ sizeBytes: Whole })
export type DiskResizeBody = v.InferInput<typeof DiskResizeBody>

/** With `sizeBytes` a new disk is made, without it an existing one is attached. */
const DiskWishBody = v.strictObject({ datastore: Name, name: Name, sizeBytes: v.optional(Whole), format: v.optional(Format) })

const BootBody = v.strictObject({ kernel: Text, initrd: v.optional(v.nullable(Text)), append: v.optional(Text) })

export const VmCreateBody = v.strictObject({
  name: Name,
  vcpus: Whole,
  memoryMiB: Whole,
  cpu: v.optional(Name),
  firmware: v.optional(v.picklist(['bios', 'uefi'])),
  disks: v.optional(v.array(DiskWishBody)),
  cdrom: v.optional(v.nullable(Text)),
  boot: v.optional(v.nullable(BootBody)),
  ha: v.optional(Ha),
  priority: v.optional(Priority),
  drs: v.optional(Drs),
  start: v.optional(v.boolean()),
})
export type VmCreateBody = v.InferInput<typeof VmCreateBody>

export const VmSetBody = v.strictObject({
  name: v.optional(Name),
  vcpus: v.optional(Whole),
  memoryMiB: v.optional(Whole),
  cpu: v.optional(Name),
  boot: v.optional(v.nullable(BootBody)),
  cdrom: v.optional(v.nullable(Text)),
  ha: v.optional(Ha),
  priority: v.optional(Priority),
  drs: v.optional(Drs),
})
export type VmSetBody = v.InferInput<typeof VmSetBody>

/** Null takes the setting back to its default. */
export const ConfigSetBody = v.strictObject({ value: v.nullable(v.union([v.string(), v.number(), v.boolean()])) })
export type ConfigSetBody = v.InferInput<typeof ConfigSetBody>

export const RecoverBody = v.strictObject({
  digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{8}$/, 'must be the eight characters that the plan ends with')),
})
export const RejoinBody = v.strictObject({ host: Name })

export const BackupQuery = v.strictObject({ stale: v.optional(Flag) })
/** Absolute: the agent reads it. */
export const RestoreBody = v.strictObject({
  path: v.pipe(Text, v.regex(/^\//, 'must be an absolute path')),
  dryRun: v.optional(v.boolean()),
})
