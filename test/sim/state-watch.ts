// Checks of the agreed state: the same on all hosts at the same index, its invariants whole, every command's rules kept.
import { crc32 } from 'node:zlib'
import { type MemberId } from '../../src/base/ids.ts'
import { canonicalJson } from '../../src/inventory/canonical-json.ts'
import { check } from '../../src/inventory/check.ts'
import { type Change, type Cluster } from '../../src/inventory/cluster.ts'
import { type CommandRecord } from '../../src/inventory/command.ts'
import { eventKey, type Inventory } from '../../src/inventory/inventory.ts'
import { type LogWatch, type Watched } from './log-watch.ts'
import { type Faults } from './trace.ts'

/** A committed command, told when the first host has applied it. */
export interface Applied {
  readonly index: number
  readonly term: number
  readonly record: CommandRecord
  readonly before: Inventory
  readonly after: Inventory
  /** Who was first. */
  readonly host: string
}

const BY_ID = ['hosts', 'vms', 'datastores', 'disks', 'jobs', 'tokens', 'requests'] as const

export class StateWatch {
  readonly #faults: Faults
  readonly #log: LogWatch
  readonly #onApplied: (applied: Applied) => void
  readonly #sums = new WeakMap<object, number>()
  /** Of the whole state, by its index. */
  readonly #digests = new Map<number, number>()
  /** What each host's state adds up to now. */
  readonly #current = new Map<Watched, number>()
  readonly #voters = new Set<MemberId>()
  #newest: Inventory | undefined

  constructor(faults: Faults, log: LogWatch, onApplied: (applied: Applied) => void) {
    this.#faults = faults
    this.#log = log
    this.#onApplied = onApplied
  }

  /** The state of whoever is furthest. */
  get newest(): Inventory | undefined {
    return this.#newest
  }

  /** From the start of each member that a host's agent runs. */
  attach(host: Watched, cluster: Cluster): void {
    const inventory = cluster.view()
    if (this.#voters.size === 0) this.#learnVoters(cluster)
    const digest = this.#digestOf(inventory)
    this.#current.set(host, digest)
    this.#compare(host, inventory.index, digest)
    this.#log.applied(host, inventory.index)
    cluster.onChange((change) => this.#changed(host, change))
  }

  /** Of the founder: from then on every change is seen. */
  #learnVoters(cluster: Cluster): void {
    const { hosts } = cluster.view()
    for (const { host, role } of cluster.status().members) {
      const member = hosts.get(host)?.member
      if (role !== 'learner' && member !== undefined) this.#voters.add(member)
    }
  }

  #changed(host: Watched, { index, before, after }: Change): void {
    this.#log.applied(host, index)
    const digest = ((this.#current.get(host) ?? 0) + this.#difference(before, after)) >>> 0
    this.#current.set(host, digest)
    if (!this.#compare(host, index, digest)) return
    this.#newest = after
    for (const fault of check(after)) this.#faults.report(`state ${index}: ${fault}`)
    const entry = this.#log.committed(index)
    if (entry?.record === undefined) return
    const applied = { index, term: entry.term, record: entry.record, before, after, host: host.name }
    this.#leaderCommandsCountInTheirTerm(applied)
    this.#votersStayOdd(applied)
    this.#onApplied(applied)
  }

  /** True where nobody was before. */
  #compare(host: Watched, index: number, digest: number): boolean {
    const known = this.#digests.get(index)
    if (known !== undefined && known !== digest) this.#faults.report(`${host.name} has another state at index ${index} than others had`)
    if (known === undefined) this.#digests.set(index, digest)
    return known === undefined
  }

  #leaderCommandsCountInTheirTerm({ index, term, record, before, after }: Applied): void {
    const { command } = record
    if (!('leaderTerm' in command) || command.leaderTerm === term) return
    if (before.events !== after.events || BY_ID.some((table) => before[table] !== after[table])) {
      this.#faults.report(`entry ${index}: ${command.kind} decided in term ${command.leaderTerm} took effect in term ${term}`)
    }
  }

  /** One that was lost may then be missed: two of two would be less than one of one. */
  #votersStayOdd({ index, record, before, after }: Applied): void {
    const { command } = record
    // A host that leaves takes its vote with it. That of one that comes back as another member counts until somebody has taken its place.
    for (const { id, member } of before.hosts === after.hosts ? [] : before.hosts.values())
      if (!after.hosts.has(id)) this.#voters.delete(member)
    if (command.kind !== 'voters-change' || after.events.at(-1)?.index !== index) return
    for (const member of command.promote) this.#voters.add(member)
    for (const member of [...command.demote, ...command.remove]) this.#voters.delete(member)
    if (this.#voters.size % 2 === 0) this.#faults.report(`entry ${index} makes ${this.#voters.size} voters`)
  }

  /** The sum over all rows, so that what an entry changed can be added and taken away; the order of tables does not count. */
  #digestOf(inventory: Inventory): number {
    let sum = this.#small(inventory)
    for (const table of BY_ID) for (const [key, row] of inventory[table]) sum += this.#sumOf(table, key, row)
    for (const event of inventory.events) sum += this.#sumOf('events', eventKey(event), event)
    return sum >>> 0
  }

  #difference(before: Inventory, after: Inventory): number {
    let sum = this.#small(after) - this.#small(before)
    for (const table of BY_ID) {
      const old: ReadonlyMap<string, object> = before[table]
      const now: ReadonlyMap<string, object> = after[table]
      if (old === now) continue
      for (const [key, row] of now) if (old.get(key) !== row) sum += this.#sumOf(table, key, row)
      for (const [key, row] of old) if (now.get(key) !== row) sum -= this.#sumOf(table, key, row)
    }
    if (before.events !== after.events) {
      for (const event of appended(before.events, after.events)) sum += this.#sumOf('events', eventKey(event), event)
      for (const event of dropped(before.events, after.events)) sum -= this.#sumOf('events', eventKey(event), event)
    }
    return sum
  }

  #small({ mesh, settings }: Inventory): number {
    const mine = mesh === null ? 0 : this.#sumOf('mesh', '', mesh)
    return mine + this.#sumOf('settings', '', settings)
  }

  #sumOf(table: string, key: string, row: object): number {
    const known = this.#sums.get(row)
    if (known !== undefined) return known
    const sum = crc32(`${table}/${key}/${canonicalJson(row)}`)
    this.#sums.set(row, sum)
    return sum
  }
}

/** Events are appended at the end and dropped at the front, so that what two lists share stands together: these are the ones that came. */
function appended<T>(before: readonly T[], after: readonly T[]): readonly T[] {
  const last = before.at(-1)
  let at = after.length
  while (at > 0 && after[at - 1] !== last) at -= 1
  return after.slice(at)
}

/** These are the ones that went. */
function dropped<T>(before: readonly T[], after: readonly T[]): readonly T[] {
  const first = after[0]
  let at = 0
  while (at < before.length && before[at] !== first) at += 1
  return before.slice(0, at)
}
