// What the mesh agrees on: the shapes of hosts, VMs, datastores, disks, jobs, events, tokens, requests and settings. Start reading here.
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
import { type ErrorCode, type Reason } from '../base/errors.ts'

/** Ownership epochs grow at each change of owner: first the mesh generation (raised by recover and restore), then the counter. */
export interface Epoch {
  readonly generation: number
  readonly counter: number
}

/** Who runs a VM. While the owner may live, only its own report ends this. */
export interface Owner {
  readonly host: HostId
  readonly epoch: Epoch
  /**
   * How an administrator asked this run to end; null while nobody did. Asked once, the run ends, even when the VM is wanted on again by then:
   * that wish is for the next run. So `desired` tells about the VM, `ending` about this run, and the host obeys both (view.ts, `wantedRun`).
   */
  readonly ending: 'shutdown' | 'stop' | null
}

/** Of a new mesh; recover and restore raise it. */
export const FIRST_GENERATION = 1

export interface Mesh {
  readonly id: MeshId
  readonly name: string
  readonly generation: number
  /** Null for the first generation, which init began. */
  readonly generationId: GenerationId | null
  /** Milliseconds since 1970, as every `…At` in this model; stamped by the leader into the command, `apply` reads no clock. */
  readonly createdAt: number
  /** Hosts that were taken out, the newest last: they are told so when they knock. Absent: none ever was. */
  readonly removed?: readonly RemovedHost[]
  /** The generation that a backup began last: what older epochs say was true when the backup was made. Absent: none ever did. */
  readonly restored?: number
}

export interface RemovedHost {
  readonly id: HostId
  readonly name: string
  /** Of the data directory that it had: a host that joined again is another one. */
  readonly member: MemberId
  readonly at: number
  /** Who removed it: `admin@h1`. */
  readonly by: string
  readonly reason: string | null
}

/** How many are remembered: one that knocks after so many others have left is a stranger. */
export const REMOVED_KEPT = 64

/** What a host says of itself at each agent start; compared by filters, shown by `host show`. */
export interface HostFacts {
  readonly cpu: { readonly cores: number; readonly mhz: number; readonly model: string; readonly flags: readonly string[] }
  readonly memoryMiB: number
  readonly version: string
  /** The newest command kinds it can apply; the leader proposes only what the oldest member knows. */
  readonly commandVersion: number
  /** Versioned machine types its QEMU knows, newest first, for example `pc-q35-10.0`; empty without QEMU. */
  readonly machineTypes: readonly string[]
  readonly qemuVersion: string | null
  readonly accelerator: 'kvm' | 'tcg'
}

export type HostRole = 'host' | 'witness'

/**
 * Administrative state: `joining` until its agent reports for the first time (`agent-started`). `suspect` and `up` are liveness, derived in
 * view.ts; `lost`, `returning`, `quarantined` follow with HA.
 */
export type HostStatus = 'joining' | 'up' | 'maintenance'

export interface Host {
  readonly id: HostId
  readonly name: string
  readonly role: HostRole
  readonly status: HostStatus
  /** `IP:PORT` (or `[IPv6]:PORT`) of its mesh listener; IPs only. */
  readonly addresses: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly facts: HostFacts
  /** Raft member of its present data directory. */
  readonly member: MemberId
  /** Committed at each agent start. */
  readonly incarnation: number
  readonly bootId: string
  readonly joinedAt: number
}

/** `dir`: a path that all hosts see (a shared file system). */
export interface Datastore {
  readonly id: DatastoreId
  readonly name: string
  readonly kind: 'dir'
  /** Absolute path, the same on every host. */
  readonly path: string
  readonly addedAt: number
}

export type DiskFormat = 'qcow2' | 'raw'

/**
 * A virtual disk: a file on a datastore that carries the disk's id in its name and is never reused. `host` carries out creation, resize and
 * deletion while `state` says so.
 */
export interface Disk {
  readonly id: DiskId
  readonly name: string
  readonly datastore: DatastoreId
  readonly format: DiskFormat
  readonly sizeBytes: number
  readonly state:
    | { readonly kind: 'creating'; readonly host: HostId }
    | { readonly kind: 'ready' }
    | { readonly kind: 'resizing'; readonly host: HostId; readonly toBytes: number }
    | { readonly kind: 'deleting'; readonly host: HostId }
    | { readonly kind: 'failed'; readonly reason: string }
  /** The VM that it is attached to. */
  readonly vm: VmId | null
}

/** Files on datastores, as `DATASTORE/relative/path`. */
export interface DirectBoot {
  readonly kernel: string
  readonly initrd: string | null
  readonly append: string
}

export interface VmSpec {
  readonly vcpus: number
  readonly memoryMiB: number
  /** `host`, `mesh-baseline` or a QEMU CPU model. */
  readonly cpu: string
  readonly firmware: 'bios' | 'uefi'
  /** Versioned QEMU machine type, fixed at creation. */
  readonly machineType: string
  /** In boot order. */
  readonly disks: readonly DiskId[]
  /** An ISO as `DATASTORE/relative/path`. */
  readonly cdrom: string | null
  readonly boot: DirectBoot | null
}

/** What the administrator wants. `how` says how an unwanted guest is brought down. */
export type Desired = { readonly power: 'on'; readonly paused: boolean } | { readonly power: 'off'; readonly how: 'shutdown' | 'stop' }

/**
 * What the owner's QEMU really is, as its agent reported last for this epoch: `starting` (no QMP answer yet), `running`, `paused` (by an
 * administrator), `io-error` (paused by QEMU: werror=stop), `shutting-down` (ACPI was sent), `powered-off` (guest ended, QEMU still holds it).
 */
export type VmStatus = 'starting' | 'running' | 'paused' | 'io-error' | 'shutting-down' | 'powered-off'

export interface Observed {
  readonly epoch: Epoch
  readonly status: VmStatus
  readonly since: number
}

export interface Vm {
  readonly id: VmId
  readonly name: string
  readonly spec: VmSpec
  readonly ha: 'restart' | 'off'
  /** 1 restarts first. */
  readonly priority: 1 | 2 | 3
  readonly drs: 'auto' | 'manual' | 'off'
  readonly desired: Desired
  readonly owner: Owner | null
  /** The highest epoch ever given out for this VM. */
  readonly lastEpoch: Epoch
  /** Where it ran last; null before its first run. Placement prefers it. */
  readonly lastHost: HostId | null
  readonly observed: Observed | null
  /** Why it stays down: given up after crashes, could not start, or no host has a place. Null while it runs and between automatic restarts. */
  readonly fault: VmFault | null
  /** Crashes in a row without an administrator's start between them; bounds automatic restarts. */
  readonly crashes: number
  readonly createdAt: number
}

export interface VmFault {
  readonly kind: 'crash' | 'start-failed' | 'unplaceable'
  readonly reasons: readonly Reason[]
  readonly at: number
}

/** Why an ownership ended, as the owner reports it. */
export type StopIntent = 'off' | 'crash' | 'start-failed' | 'host-down'

export type JobKind =
  | 'vm-start'
  | 'vm-shutdown'
  | 'vm-stop'
  | 'vm-reboot'
  | 'vm-pause'
  | 'vm-resume'
  | 'vm-delete'
  | 'disk-create'
  | 'disk-resize'
  | 'disk-delete'

/** One administrator's wish that takes time. Ends when the thing is done, not when it is accepted. */
export interface Job {
  readonly id: JobId
  readonly kind: JobKind
  readonly object: { readonly kind: 'vm'; readonly id: VmId } | { readonly kind: 'disk'; readonly id: DiskId }
  /** Name of the object when the job began: the object may be gone later. */
  readonly name: string
  readonly phase: 'waiting' | 'working' | 'done' | 'failed' | 'cancelled'
  /** What is being waited for or done now, for people: "placing", "booting on h2". */
  readonly step: string
  readonly percent: number
  readonly startedAt: number
  readonly endedAt: number | null
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly reasons: readonly Reason[] } | null
  /** vm-reboot: `force` resets at once; a reboot asks the guest first. */
  readonly force: boolean
}

export interface Event {
  /** Raft index of the entry that caused it. Several events may share it. */
  readonly index: number
  /** Position among the events of its entry, from 0: (index, ordinal) names an event. */
  readonly ordinal: number
  readonly at: number
  /** Noun and past verb: `vm.started`, `host.joined`, `token.refused`. */
  readonly type: string
  readonly object: string
  /** Who asked: `admin@h1`, `host h2`, `leader h3`. */
  readonly actor: string
  readonly reason: string | null
  readonly data: Readonly<Record<string, unknown>>
}

/** A join token as Raft stores it: the public half only; the seed never enters the log. */
export interface Token {
  readonly id: TokenId
  /** Raw ed25519 public key, base64url. */
  readonly publicKey: string
  readonly role: HostRole
  readonly uses: number
  /** Hosts that joined with it: the same host may use it again without a further use. */
  readonly usedBy: readonly HostId[]
  readonly expiresAt: number
  readonly revoked: boolean
  readonly createdAt: number
}

/** The kept answer to a person's command: the same key gets the same answer, and is carried out once. */
export interface RequestRecord {
  readonly key: RequestKey
  readonly at: number
  readonly index: number
  /** Of what was asked for (requests.ts): the same key with another one is a mistake of the client. */
  readonly fingerprint: string
  readonly result: CommandResult
}

/** What became of a command. `refused` and its kin changed nothing. */
export type CommandResult =
  | { readonly kind: 'done'; readonly value: CommandValue }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string; readonly reasons: readonly Reason[] }
  /** A controller's or host's command whose moment has passed: another leader's term, another epoch. */
  | { readonly kind: 'stale'; readonly why: string }

/** Ids that the command made or touched, and the job that carries it out where there is one. */
export interface CommandValue {
  readonly id?: string
  readonly job?: JobId
  readonly [key: string]: unknown
}

/** Settings an administrator may change; the closed list with types and defaults is settings.ts. */
export type Settings = Readonly<Record<string, string | number | boolean>>
