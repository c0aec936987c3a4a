// Every change of the inventory is one of these commands, committed in Raft and applied on every host.
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
import { type Reason } from '../base/errors.ts'
import { type DiskFormat, type DirectBoot, type Epoch, type HostFacts, type HostRole, type StopIntent, type VmStatus } from './model.ts'

/** Raised with every new kind or field; a member that meets a newer one stops, it never skips. */
export const COMMAND_VERSION = 2

/** A disk of `vm create`: an existing one by id, or a new one that is made with the VM. */
export type DiskWish =
  | { readonly kind: 'existing'; readonly disk: DiskId }
  | {
      readonly kind: 'new'
      readonly id: DiskId
      readonly name: string
      readonly datastore: DatastoreId
      readonly format: DiskFormat
      readonly sizeBytes: number
    }

/** Wishes of people. Ids are chosen by the host that took the request, so that a repeated command names the same object. */
export type AdminCommand =
  | {
      readonly kind: 'token-create'
      readonly id: TokenId
      readonly publicKey: string
      readonly role: HostRole
      readonly uses: number
      readonly expiresAt: number
    }
  | { readonly kind: 'token-revoke'; readonly id: TokenId }
  | { readonly kind: 'host-set'; readonly host: HostId; readonly name?: string; readonly labels?: Readonly<Record<string, string | null>> }
  /** Travels as the context of a configuration change, as every MemberCommand does. */
  | { readonly kind: 'host-remove'; readonly host: HostId }
  | { readonly kind: 'datastore-add'; readonly id: DatastoreId; readonly name: string; readonly path: string }
  | { readonly kind: 'datastore-remove'; readonly id: DatastoreId }
  | {
      readonly kind: 'disk-create'
      readonly id: DiskId
      readonly name: string
      readonly datastore: DatastoreId
      readonly format: DiskFormat
      readonly sizeBytes: number
      readonly host: HostId
      readonly job: JobId
    }
  | { readonly kind: 'disk-resize'; readonly id: DiskId; readonly sizeBytes: number; readonly host: HostId; readonly job: JobId }
  | { readonly kind: 'disk-delete'; readonly id: DiskId; readonly host: HostId; readonly job: JobId }
  | VmCreate
  | VmSet
  | { readonly kind: 'vm-delete'; readonly vm: VmId; readonly keepDisks: boolean; readonly host: HostId; readonly job: JobId }
  | { readonly kind: 'vm-start'; readonly vm: VmId; readonly job: JobId }
  | { readonly kind: 'vm-shutdown'; readonly vm: VmId; readonly job: JobId }
  | { readonly kind: 'vm-stop'; readonly vm: VmId; readonly job: JobId }
  | { readonly kind: 'vm-reboot'; readonly vm: VmId; readonly force: boolean; readonly job: JobId }
  | { readonly kind: 'vm-pause'; readonly vm: VmId; readonly job: JobId }
  | { readonly kind: 'vm-resume'; readonly vm: VmId; readonly job: JobId }
  | { readonly kind: 'job-cancel'; readonly job: JobId }
  | { readonly kind: 'config-set'; readonly key: string; readonly value: string | number | boolean | null }

export interface VmCreate {
  readonly kind: 'vm-create'
  readonly id: VmId
  readonly name: string
  readonly vcpus: number
  readonly memoryMiB: number
  readonly cpu: string
  readonly firmware: 'bios' | 'uefi'
  readonly machineType: string
  readonly disks: readonly DiskWish[]
  readonly cdrom: string | null
  readonly boot: DirectBoot | null
  readonly ha: 'restart' | 'off'
  readonly priority: 1 | 2 | 3
  readonly drs: 'auto' | 'manual' | 'off'
  /** The host that makes the new disks. */
  readonly host: HostId
  /** Set by `--start`: the VM is wanted on from its first entry. */
  readonly startJob: JobId | null
}

/** Changes of the specification need the VM off; name and policies may change any time. */
export interface VmSet {
  readonly kind: 'vm-set'
  readonly vm: VmId
  readonly name?: string
  readonly vcpus?: number
  readonly memoryMiB?: number
  readonly cpu?: string
  readonly boot?: DirectBoot | null
  readonly cdrom?: string | null
  readonly ha?: 'restart' | 'off'
  readonly priority?: 1 | 2 | 3
  readonly drs?: 'auto' | 'manual' | 'off'
}

export type AlarmKind = 'peer-refused' | 'identity-cloned'

/** What a host reports of itself and of what it owns; a no-op when the epoch has passed. */
export type HostCommand =
  | {
      readonly kind: 'agent-started'
      readonly host: HostId
      readonly facts: HostFacts
      readonly addresses: readonly string[]
      readonly bootId: string
      readonly member: MemberId
    }
  | { readonly kind: 'host-addresses'; readonly host: HostId; readonly addresses: readonly string[] }
  /** For the event log: somebody knocked at this host and was refused, or two processes live under one host's key. */
  | { readonly kind: 'host-alarm'; readonly host: HostId; readonly alarm: AlarmKind; readonly subject: string; readonly why: string }
  | { readonly kind: 'vm-observed'; readonly host: HostId; readonly vm: VmId; readonly epoch: Epoch; readonly status: VmStatus }
  /** Ends an ownership: the owner's QEMU of this epoch is gone for good, and its ledger says so. */
  | {
      readonly kind: 'vm-stopped'
      readonly host: HostId
      readonly vm: VmId
      readonly epoch: Epoch
      readonly intent: StopIntent
      readonly reasons: readonly Reason[]
    }
  /** `sizeBytes` is the size that the file has now, 0 once it is deleted: so a late report of older work is not taken for newer work. */
  | { readonly kind: 'disk-done'; readonly host: HostId; readonly disk: DiskId; readonly sizeBytes: number }
  | { readonly kind: 'disk-failed'; readonly host: HostId; readonly disk: DiskId; readonly reason: string }
  | { readonly kind: 'job-progress'; readonly host: HostId; readonly job: JobId; readonly step: string; readonly percent: number }
  | { readonly kind: 'job-done'; readonly host: HostId; readonly job: JobId }
  | { readonly kind: 'job-failed'; readonly host: HostId; readonly job: JobId; readonly reasons: readonly Reason[] }

/** Decisions of the leader's controllers. Applied only if the entry's own Raft term is `leaderTerm`; never forwarded. */
export type LeaderCommand = { readonly leaderTerm: number } & (
  | { readonly kind: 'vm-assign'; readonly vm: VmId; readonly to: HostId; readonly epoch: Epoch; readonly reasons: readonly string[] }
  | { readonly kind: 'vm-unplaceable'; readonly vm: VmId; readonly reasons: readonly Reason[] }
  /** Another host takes over the file work of one that is gone. */
  | { readonly kind: 'disk-reassign'; readonly disk: DiskId; readonly to: HostId }
  /** Written down before leadership is handed over; changes nothing but the event log. */
  | { readonly kind: 'leader-transfer'; readonly to: HostId; readonly why: string }
)

/** Travel as the context of a configuration change: one entry changes the members of Raft and the hosts of the mesh, or neither. */
export type MemberCommand =
  | { readonly kind: 'mesh-init'; readonly mesh: { readonly id: MeshId; readonly name: string }; readonly host: JoiningHost }
  | { readonly kind: 'host-join'; readonly token: TokenId; readonly host: JoiningHost }
  /** A host of the mesh comes back as another member: its stores were lost, or are of an earlier generation. Its peer id is its right to. */
  | { readonly kind: 'host-rejoin'; readonly host: JoiningHost }
  /**
   * First entry of a new generation, whose sole voter `host` is. Never proposed: it is applied to the stores of the member that goes on alone,
   * or to those of a backup (cluster/renewal.ts). `plan`: of the plan that a person confirmed.
   */
  | {
      readonly kind: 'mesh-renew'
      readonly cause: 'recovered' | 'restored'
      readonly generation: number
      readonly generationId: GenerationId
      readonly host: JoiningHost
      readonly plan: string
    }
  | {
      readonly kind: 'voters-change'
      readonly leaderTerm: number
      readonly promote: readonly MemberId[]
      readonly demote: readonly MemberId[]
      readonly remove: readonly MemberId[]
      /** For the event log; absent in records of version 1. */
      readonly why?: string
    }

export interface JoiningHost {
  readonly id: HostId
  readonly name: string
  readonly role: HostRole
  readonly addresses: readonly string[]
  readonly facts: HostFacts
  readonly member: MemberId
  readonly bootId: string
}

export type Command = AdminCommand | HostCommand | LeaderCommand | MemberCommand
export type CommandKind = Command['kind']

/** What stands in a Raft entry. */
export interface CommandRecord {
  readonly version: number
  /** Milliseconds since 1970, stamped by the leader that proposed it. */
  readonly at: number
  /** `admin@h1`, `host h2`, `leader h3`. */
  readonly actor: string
  /** `--reason TEXT`. */
  readonly reason: string | null
  /** Only people's commands have one. */
  readonly requestKey: RequestKey | null
  readonly command: Command
}
