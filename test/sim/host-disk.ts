// The disk of a simulated host: what its data directory holds, how long writes take, what a crash leaves.
import { type Clock } from '../../src/base/clock.ts'
import { OperationError } from '../../src/base/errors.ts'
import { type MemberId } from '../../src/base/ids.ts'
import { type Random } from '../../src/base/random.ts'
import { type MemberIdentity, type MemberStore } from '../../src/cluster/member.ts'
import { type Removal } from '../../src/cluster/removal.ts'
import { type Entry, type LogBatch } from '../../src/consensus/types.ts'
import { type DiskGate, FailedAfterWrite } from '../fixture/memory-disk.ts'
import { type LogDisk, memoryLogDisk, type MemoryLogState, openMemoryLog } from '../fixture/memory-log.ts'
import { memoryStateDisk, openMemoryState, type StateDisk } from '../fixture/memory-state.ts'
import { through } from './through-clock.ts'

export interface DiskMood {
  /** A synced write takes so long, uniform. */
  syncMs: readonly [number, number]
  /** What becomes of every write from now on: `error` fails it before or after it is written, `full` before. */
  health: 'fine' | 'error' | 'full'
}

/**
 * `unreadable`: the stores do not open. `torn`: a group in the middle of the log is gone. `shortened`: the end of the log is gone, the state with
 * what was not synced, and nothing of what is left says so.
 */
export type DamageKind = 'unreadable' | 'torn' | 'shortened'

interface Damage {
  readonly member: MemberId
  readonly kind: DamageKind
  /** The log ended here. */
  readonly last: number
}

/** Unsynced writes go to the page cache. */
const UNSYNCED_MS = 0.05

export interface DiskWatch {
  /** A group of the Raft log, as it was handed over; `before` is what the log held until then. */
  onLogWrite(batch: LogBatch, before: MemoryLogState): void
  onCompaction(): void
  /** A received snapshot took the place of the state; the log behind it follows. */
  onStateInstalled(index: number): void
  /** The present member is known to be damaged: that is on the disk from now on. */
  onDamageKnown(): void
  /** The member whose stores were damaged is given up for another one. */
  onReplaced(): void
  /** A fault of this disk was told to the process: it may end of it. */
  onFault(): void
}

export interface StoresCopy {
  readonly log: MemoryLogState
  readonly state: StateDisk['current']
}

export class HostDisk {
  readonly mood: DiskMood = { syncMs: [0.5, 2], health: 'fine' }
  /** The members whose stores were set aside, the last one last. */
  readonly setAside: MemberId[] = []
  readonly #random: Random
  readonly #watch: DiskWatch
  #identity: MemberIdentity | null = null
  #removal: Removal | null = null
  #damage: Damage | undefined
  /** Of the process that writes. */
  #clock: Clock
  #log: LogDisk
  #state: StateDisk
  /** The stores that count now are those of the member that was opened last; the others are of former members. */
  readonly #members = new Map<MemberId, { readonly log: LogDisk; readonly state: StateDisk }>()
  #underWay = { log: 0, state: 0 }

  constructor(clock: Clock, random: Random, watch: DiskWatch) {
    this.#clock = clock
    this.#random = random
    this.#watch = watch
    this.#log = memoryLogDisk(this.#gate('log'))
    this.#state = memoryStateDisk(this.#gate('state'))
  }

  /** What the Raft log holds now, synced or not. */
  get log(): MemoryLogState {
    return this.#log.current
  }

  /** What of it no power cut can take. */
  get durableLog(): MemoryLogState {
    return this.#log.durable
  }

  /** Null: this host belongs to no mesh. */
  get member(): MemberId | null {
    return this.#identity?.member ?? null
  }

  /** Its stores were damaged, and are not what they were again: the end of a log may come back from the leader before anybody missed it. */
  get isDamaged(): boolean {
    const { snapshot, entries } = this.#log.current
    if (this.#damage === undefined) return false
    return this.#identity?.damaged !== undefined || this.#damage.kind !== 'shortened' || snapshot.index + entries.length < this.#damage.last
  }

  /** The member that must say nothing to anybody: it knows of its damage, or cannot have its stores at all. */
  get silenced(): MemberId | undefined {
    if (this.#identity?.damaged !== undefined) return this.#identity.member
    return this.#damage === undefined || this.#damage.kind === 'shortened' ? undefined : this.#damage.member
  }

  /** While no process runs. False where there is nothing to damage. */
  damage(kind: DamageKind = 'unreadable'): boolean {
    const member = this.#identity?.member
    const { hardState, snapshot, entries } = this.#log.current
    const left = Math.floor(this.#random.float() * entries.length)
    // A torn log goes on behind the gap.
    if (member === undefined || (kind === 'torn' && left >= entries.length - 1) || (kind === 'shortened' && entries.length === 0))
      return false
    this.#damage = { member, kind, last: snapshot.index + entries.length }
    if (kind === 'unreadable') return true
    const kept = kind === 'torn' ? entries.toSpliced(left, 1) : entries.slice(0, left)
    const commit = Math.min(hardState.commit, snapshot.index + kept.length)
    this.#log.putBack({ hardState: { ...hardState, commit }, snapshot, entries: kept })
    this.#state.crash()
    return true
  }

  /** No power cut can take this entry, nor is it another one. */
  holds({ index, term }: Pick<Entry, 'index' | 'term'>): boolean {
    const { snapshot, entries } = this.#log.durable
    return index <= snapshot.index || entries[index - snapshot.index - 1]?.term === term
  }

  entry(index: number): Entry | undefined {
    const { snapshot, entries } = this.#log.current
    return entries[index - snapshot.index - 1]
  }

  /** A copy of the present stores, for `putBack`. */
  copy(): StoresCopy {
    return { log: this.#log.current, state: this.#state.current }
  }

  /** While no process runs: an old copy takes the place of the present stores. */
  putBack({ log, state }: StoresCopy): void {
    this.#log.putBack(log)
    this.#state.putBack(state)
  }

  /** For a new process with this clock. */
  store(clock: Clock): MemberStore {
    this.#clock = clock
    return {
      load: () => through(clock, Promise.resolve(this.#identity)),
      save: async (identity) => {
        await this.#delay({ sync: true })
        this.#endDamage(identity.member)
        const isNews = identity.damaged !== undefined && this.#identity?.damaged === undefined
        this.#identity = identity
        if (isNews) this.#watch.onDamageKnown()
        this.#removal = null
      },
      setAside: async (member) => {
        await this.#delay({ sync: true })
        this.#members.delete(member)
        this.setAside.push(member)
        return `the damaged stores of member ${member}`
      },
      retire: async (removal) => {
        await this.#delay({ sync: true })
        this.#identity = null
        this.#damage = undefined
        this.#removal = removal
      },
      removal: () => through(clock, Promise.resolve(this.#removal)),
      removeOthers: async (keep) => {
        await this.#delay({ sync: true })
        for (const member of this.#members.keys()) if (member !== keep) this.#members.delete(member)
      },
      openStores: async (member) => {
        await through(clock, Promise.resolve())
        if (this.mood.health !== 'fine') throw this.#fault()
        const { log, state } = this.#storesOf(member)
        this.#log = log
        this.#state = state
        const logStore = openMemoryLog(log)
        if (this.#damage?.member === member && this.#damage.kind === 'unreadable') {
          logStore.load = () => Promise.reject(new OperationError('failed', 'a checksum is wrong', { data: { kind: 'damaged' } }))
        }
        const write = logStore.write.bind(logStore)
        logStore.write = (batch) => {
          this.#watch.onLogWrite(batch, log.current)
          return write(batch)
        }
        const compact = logStore.compact.bind(logStore)
        logStore.compact = (meta) => {
          this.#watch.onCompaction()
          return compact(meta)
        }
        const stateStore = openMemoryState(state)
        const stage = stateStore.stage.bind(stateStore)
        stateStore.stage = async (offer) => {
          const staging = await stage(offer)
          const install = staging.install.bind(staging)
          staging.install = async () => {
            await install()
            this.#watch.onStateInstalled(offer.meta.index)
          }
          return staging
        }
        return { logStore, stateStore }
      },
    }
  }

  /** kill -9: what the kernel has, it keeps; of what was on its way, some. */
  processEnds(): void {
    this.#log.crash(this.#kept(this.#log.unsyncedGroups, this.#underWay.log))
    this.#state.crash(this.#kept(this.#state.unsyncedGroups, this.#underWay.state))
    this.#underWay = { log: 0, state: 0 }
  }

  /** The power is gone: of what was not synced, some is on the platter. Returns how many groups were lost. */
  powerEnds(): number {
    const disks = [this.#log, this.#state]
    let lost = 0
    for (const disk of disks) {
      const kept = Math.floor(this.#random.float() * (disk.unsyncedGroups + 1))
      lost += disk.unsyncedGroups - kept
      disk.crash(kept)
    }
    this.#underWay = { log: 0, state: 0 }
    return lost
  }

  #storesOf(member: MemberId): { readonly log: LogDisk; readonly state: StateDisk } {
    const known = this.#members.get(member)
    if (known !== undefined) return known
    const stores = { log: memoryLogDisk(this.#gate('log')), state: memoryStateDisk(this.#gate('state')) }
    this.#members.set(member, stores)
    return stores
  }

  /** Somebody put an empty disk in. What guests and run ledger lie on is another one. */
  replace(): void {
    this.processEnds()
    this.#identity = null
    this.#damage = undefined
    this.#members.clear()
    this.#log = memoryLogDisk(this.#gate('log'))
    this.#state = memoryStateDisk(this.#gate('state'))
  }

  #endDamage(member: MemberId): void {
    if (this.#damage === undefined || this.#damage.member === member) return
    this.#damage = undefined
    this.#watch.onReplaced()
  }

  #kept(groups: number, underWay: number): number {
    return groups - Math.floor(this.#random.float() * (Math.min(groups, underWay) + 1))
  }

  #gate(which: 'log' | 'state'): DiskGate {
    return async (write) => {
      const underWay = this.#underWay
      underWay[which] += 1
      try {
        await this.#delay(write)
      } finally {
        underWay[which] -= 1
      }
    }
  }

  #delay({ sync }: { readonly sync: boolean }): Promise<void> {
    const [low, high] = this.mood.syncMs
    const ms = sync ? low + (high - low) * this.#random.float() : UNSYNCED_MS
    return new Promise((resolve, reject) => {
      this.#clock.after(ms, () => {
        if (this.mood.health === 'fine') return resolve()
        reject(this.#fault())
      })
    })
  }

  #fault(): Error {
    this.#watch.onFault()
    if (this.mood.health === 'full') return new OperationError('failed', 'no space is left on the disk')
    return this.#random.float() < 0.5 ? new FailedAfterWrite() : new OperationError('failed', 'the disk gave an I/O error')
  }
}
