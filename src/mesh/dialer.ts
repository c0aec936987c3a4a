// Keeps every member linked: dials whoever has no link, again and again, for ever.
import { backoffMs } from '../base/backoff.ts'
import { type Clock } from '../base/clock.ts'
import { deadline } from '../base/deadline.ts'
import { errorText } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Random } from '../base/random.ts'
import { type PeerAddress } from './address.ts'
import { type KnownAddresses } from './known-addresses.ts'

/** Between two tries to reach a host that is away. */
const BACKOFF = { firstMs: 500, maxMs: 5000 }
/** One address: a host on the same network answers in milliseconds, a busy one in a second. */
const ADDRESS_MS = 1500
/** All addresses of one try. */
const TRY_MS = 3000
/** Hosts that start together would each dial the other; the larger id lets the smaller one go first. */
const POLITE_MS = 150
/** Addresses remembered from a peer's hello. */
const MAX_ADDRESSES = 16

export interface DialerOptions {
  readonly self: HostId
  readonly clock: Clock
  readonly random: Random
  readonly known: KnownAddresses
  /** Linked, or about to be. */
  readonly isBusy: (host: HostId) => boolean
  /** One address; resolves when the link is up, rejects with the reason why not. */
  readonly connect: (host: HostId, address: string, signal: AbortSignal) => Promise<void>
}

interface Target {
  readonly host: HostId
  /** As the membership has them. */
  agreed: readonly string[]
  /** What the last change of the membership added. */
  news: readonly string[]
  /** As its last hello had them: newer than the membership when it moved. */
  announced: readonly string[]
  failures: number
  dueAt: number
  /** Where the next try begins: with many addresses one try does not get through all of them. */
  start: number
  running: AbortController | undefined
  cause: string | null
}

export class Dialer {
  readonly #options: DialerOptions
  readonly #targets = new Map<HostId, Target>()

  constructor(options: DialerOptions) {
    this.#options = options
  }

  /** All members but this host. Those that are new or moved are tried at once. */
  setMembers(members: readonly PeerAddress[]): void {
    const hosts = new Set(members.map(({ host }) => host))
    for (const target of [...this.#targets.values()]) if (!hosts.has(target.host)) this.#forget(target)
    for (const { host, addresses } of members) {
      const target = this.#targets.get(host) ?? this.#add(host)
      if (target.agreed.join() === addresses.join()) continue
      // A change is newer than all else that is known; the first list after a start is not.
      if (target.agreed.length > 0) target.news = addresses.filter((address) => !target.agreed.includes(address))
      target.agreed = addresses
      this.hint(host)
    }
  }

  /** Something changed that may let a dial succeed: tries start afresh, one that is under way is given up. */
  hint(host: HostId): void {
    const target = this.#targets.get(host)
    if (target === undefined) return
    target.failures = 0
    target.start = 0
    target.dueAt = this.#options.clock.now() + this.#politeMs(host)
    target.running?.abort(new Error('tried afresh'))
    target.running = undefined
  }

  hintAll(): void {
    for (const host of this.#targets.keys()) this.hint(host)
  }

  /** Where to find a member, the likeliest first. */
  addresses(host: HostId): readonly string[] {
    const target = this.#targets.get(host)
    return target === undefined ? [] : this.#addresses({ ...target, start: 0 })
  }

  /** Why the last try failed; null if there was none. */
  cause(host: HostId): string | null {
    return this.#targets.get(host)?.cause ?? null
  }

  /** The peer is linked, and said where it listens. `remote`: the other end, if it dialled us. */
  linked(host: HostId, announced: readonly string[], remote: string | undefined): void {
    const target = this.#targets.get(host)
    if (target === undefined) return
    target.announced = announced.slice(0, MAX_ADDRESSES)
    target.news = []
    const reachable = remote === undefined ? undefined : target.announced.find((address) => ipOf(address) === ipOf(remote))
    if (reachable !== undefined) this.#options.known.good(host, reachable)
    target.cause = null
  }

  /** Its link is gone, perhaps only the link: tries start afresh. */
  lost(host: HostId, cause: string): void {
    this.hint(host)
    const target = this.#targets.get(host)
    if (target !== undefined) target.cause = cause
  }

  /** To be called every TICK_MS. */
  tick(): void {
    const now = this.#options.clock.now()
    for (const target of this.#targets.values()) {
      if (target.running !== undefined || target.dueAt > now || this.#options.isBusy(target.host)) continue
      void this.#try(target)
    }
  }

  stop(): void {
    for (const target of [...this.#targets.values()]) this.#forget(target)
  }

  #add(host: HostId): Target {
    const target: Target = {
      host,
      agreed: [],
      news: [],
      announced: [],
      failures: 0,
      dueAt: this.#options.clock.now() + this.#politeMs(host),
      start: 0,
      running: undefined,
      cause: null,
    }
    this.#targets.set(host, target)
    return target
  }

  #forget(target: Target): void {
    this.#targets.delete(target.host)
    target.running?.abort(new Error('no longer wanted'))
  }

  async #try(target: Target): Promise<void> {
    const { clock, random } = this.#options
    const controller = new AbortController()
    target.running = controller
    const limit = deadline(clock, TRY_MS, `dialling ${target.host}`, controller.signal)
    const causes = await this.#tryAddresses(target, limit.signal)
    limit.done()
    // Given up for a new try, which began afresh: nothing of this one counts.
    if (target.running !== controller) return
    target.running = undefined
    if (causes.length > 0) target.cause = causes.join('; ')
    target.start += causes.length
    target.dueAt = clock.now() + backoffMs(target.failures, BACKOFF, random)
    target.failures += 1
  }

  /** One after the other until one answers; why each of the others did not. */
  async #tryAddresses(target: Target, signal: AbortSignal): Promise<string[]> {
    const { clock, known, connect, isBusy } = this.#options
    const addresses = this.#addresses(target)
    if (addresses.length === 0) return ['no address of it is known']
    const causes: string[] = []
    for (const address of addresses) {
      const limit = deadline(clock, ADDRESS_MS, `dialling ${address}`, signal)
      try {
        await connect(target.host, address, limit.signal)
        known.good(target.host, address)
        return []
      } catch (error) {
        const text = errorText(error)
        // The system's own words name the address mostly.
        causes.push(text.includes(address) ? text : `${address}: ${text}`)
        if (signal.aborted || isBusy(target.host)) return causes
      } finally {
        limit.done()
      }
    }
    return causes
  }

  /** News first, then the last good one, what the peer said itself, what was agreed on; later tries start further down. */
  #addresses({ host, news, announced, agreed, start }: Target): string[] {
    const lastGood = this.#options.known.of(host)
    const all = [...new Set([...news, ...(lastGood === undefined ? [] : [lastGood]), ...announced, ...agreed])]
    const from = all.length === 0 ? 0 : start % all.length
    return [...all.slice(from), ...all.slice(0, from)]
  }

  #politeMs(host: HostId): number {
    return this.#options.self < host ? 0 : POLITE_MS
  }
}

function ipOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'))
}
