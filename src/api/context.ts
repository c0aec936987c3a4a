// What the API needs of the agent that it stands in: the agreed state, and a few things that only this host knows or can do.
import { type Clock } from '../base/clock.ts'
import { type HostId, type MeshId, type TokenId, type VmId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { type BackupHead } from '../inventory/backup-lines.ts'
import { type Cluster } from '../inventory/cluster.ts'
import { type Load } from '../inventory/load.ts'
import { type Host, type HostRole } from '../inventory/model.ts'
import { type RecoveryPlan } from '../inventory/recovery.ts'

export interface ApiContext {
  readonly self: {
    readonly id: HostId
    /** As the inventory has it; before init and join, the machine's own name. */
    name(): string
  }
  /** Not touched while `lifecycle.initialised()` is false, except by init and join themselves. */
  readonly cluster: Cluster
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly version: string
  /** What this host's detector says of the others; a host that it does not list was never heard of. */
  liveness(): ReadonlyMap<HostId, 'up' | 'suspect'>
  load(): Load
  readonly lifecycle: Lifecycle
  readonly recovery: Recovery
  /** Makes the secret of a join token here: only `publicKey` goes into the log, `text` is shown once. */
  createToken(role: HostRole, expiresAt: number): NewToken
  readonly console: Consoles
  raft(): RaftNumbers
  /** Whether `DATASTORE/relative/path` is a readable file on this host; null where the datastore is not mounted here. */
  checkFile(path: string, signal: AbortSignal): Promise<boolean | null>
}

export interface Lifecycle {
  initialised(): boolean
  /** The mesh that this host is a member of as its data directory says, also while it becomes another member of it and before it has any state. */
  membership(): Membership | null
  /** While it belongs to no mesh: how its last membership was ended, for people: `removed from mesh lab on …`; null if none was. */
  ended(): string | null
  /**
   * Why this host's member takes no part any more and shows nothing: its stores are damaged. `alone`: it knows no other host to come back
   * through. Null while it takes part, or still shows what it knew.
   */
  damaged(): { readonly why: string; readonly alone: boolean } | null
  /** Makes a mesh of this one host; rejects with `conflict` when it belongs to another mesh already. */
  init(name: string, signal: AbortSignal): Promise<void>
  /** Joins the mesh of the token, or resumes a join that was cut short; `progress` gets each step as people read it. */
  join(request: JoinRequest, signal: AbortSignal): Promise<void>
}

export interface Membership {
  /** Its name. */
  readonly mesh: string
  readonly generation: number
}

export interface JoinRequest {
  readonly token: string
  /** Null: the role of the token. */
  readonly role: HostRole | null
  readonly progress: (step: string) => void
}

/** A mesh that lost its quorum for good. All of it works without one. */
export interface Recovery {
  /** Asks every host that can be reached; changes nothing. */
  plan(signal: AbortSignal): Promise<RecoveryView>
  /** Carries out the plan with this digest. Rejects with `refused` and all reasons, `conflict` when the plan is another one by now. */
  confirm(digest: string, signal: AbortSignal): Promise<Recovered>
  /** This host goes over to the generation that `host` lives in, whatever its own has. Rejects with `refused` when that is none to go over to. */
  rejoin(host: HostId, signal: AbortSignal): Promise<Recovered>
  /**
   * Makes the mesh of a backup with this host, which must belong to none, as its sole voter. Rejects with `not-found`, or `refused` and why the
   * file cannot be used, `conflict` on a host of a mesh.
   */
  restore(path: string, options: { readonly dryRun: boolean }, signal: AbortSignal): Promise<Restored>
}

export interface Restored {
  readonly head: BackupHead
  readonly rows: number
  readonly generation: { readonly from: number; readonly to: number }
  readonly hosts: readonly Pick<Host, 'name' | 'addresses'>[]
  /** By name. */
  readonly vms: readonly string[]
  readonly tokens: number
  /** Why the stores that this host had needed repair: they are set aside, the restored mesh takes their place. Null: it belonged to none. */
  readonly damaged: string | null
}

export interface RecoveryView {
  readonly mesh: { readonly id: MeshId; readonly name: string }
  readonly plan: RecoveryPlan
  readonly digest: string
}

export interface Recovered {
  readonly mesh: string
  readonly generation: number
  /** It was so before: nothing was done. */
  readonly already: boolean
}

export interface NewToken {
  readonly id: TokenId
  /** Raw ed25519 public key, base64url. */
  readonly publicKey: string
  /** The whole token, `hm1.…`. */
  readonly text: string
}

/** Serial consoles of VMs, wherever in the mesh they run. */
export interface Consoles {
  /** What the guest wrote last, at most `maxBytes`. */
  log(vm: VmId, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>
  open(vm: VmId, signal: AbortSignal): Promise<ConsoleLine>
}

/** One open console, both ways. `onClose` listeners are called once, also when the guest or its host ends it. */
export interface ConsoleLine {
  write(bytes: Uint8Array): void
  onData(listener: (bytes: Uint8Array) => void): void
  onClose(listener: () => void): void
  close(): void
}

/** Numbers of this host's Raft for `mesh status`. */
export interface RaftNumbers {
  /** The links of this host to the others, itself left out. */
  readonly peers: readonly PeerNumbers[]
  /** First index that the log still holds, and the last. */
  readonly firstIndex: number
  readonly lastIndex: number
}

export interface PeerNumbers {
  readonly host: HostId
  readonly connected: boolean
  /** `IP:PORT` that the live link uses. */
  readonly address: string | null
  readonly rttMs: number | null
}
