// All links: greets peers, keeps the better of two, says when a peer is up or down, and refuses copied identities.
import { type Clock } from '../base/clock.ts'
import { within } from '../base/deadline.ts'
import { type Emitter, emitter } from '../base/emitter.ts'
import { errorText, hasCode, OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { type Alarms } from './alarms.ts'
import { Clones } from './clones.ts'
import { FrameStream } from './frame-stream.ts'
import { greet, GREETING_MS, readHello, refuse, refusedError, welcome } from './greeting.ts'
import { type Generation, type Hello, judgeHello, type Refusal, refusingGeneration } from './hello.ts'
import { Link } from './link.ts'
import { type Dismissal, type OtherGeneration, type PeerEvent } from './mesh.ts'
import { SILENT_AFTER_MS, SilenceDetector } from './silence.ts'
import { type WireConnection, type WireGossip, type WireStream } from './wire.ts'

/** Raft's appends are up to 1 MiB; larger mail takes the second connection. */
const MAX_LINK_FRAME_BYTES = 4 * 1024 * 1024
/** Appends that may wait on a full link. Raft sends again what is dropped, so a short queue is the better one. */
const MAX_LINK_WAITING_BYTES = 4 * 1024 * 1024
/** A link that lost against another is kept so long that what is under way on it arrives. */
const RETIRE_AFTER_MS = 2000
/** And at most so long while streams are open on it. */
const RETIRE_AT_LAST_MS = 60_000

/** Only members, and former ones, come here: who is none is turned away where streams arrive, and cut off when it is taken out. */
export interface LinksOptions {
  readonly self: HostId
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly alarms: Alarms
  /** Mine, as of now; undefined while this host belongs to no mesh. */
  readonly hello: () => Hello | undefined
  /** What to tell a host that was taken out of the mesh; undefined for all others. */
  readonly dismissalOf: (host: HostId) => Refusal | undefined
  readonly gossip: () => WireGossip
  readonly onMail: (from: HostId, frame: Uint8Array) => void
}

export class Links {
  readonly #options: LinksOptions
  readonly #detector: SilenceDetector
  readonly #clones = new Clones()
  readonly #links = new Map<HostId, Set<Link>>()
  readonly #current = new Map<HostId, Link>()
  /** When each peer that is up came up: another link that takes over is no break. */
  readonly #upAt = new Map<HostId, number>()
  /** The link that was lost last, of members only. */
  readonly #last = new Map<HostId, Link>()
  readonly #events: Emitter<PeerEvent> = emitter<PeerEvent>()
  readonly #generations: Emitter<OtherGeneration> = emitter<OtherGeneration>()
  readonly #dismissals: Emitter<Dismissal> = emitter<Dismissal>()

  constructor(options: LinksOptions) {
    this.#options = options
    this.#detector = new SilenceDetector(options.clock.now())
  }

  on(listener: (event: PeerEvent) => void): () => void {
    return this.#events.on(listener)
  }

  onGeneration(listener: (other: OtherGeneration) => void): () => void {
    return this.#generations.on(listener)
  }

  onDismissed(listener: (dismissal: Dismissal) => void): () => void {
    return this.#dismissals.on(listener)
  }

  /** The link to use; undefined while the peer is down. */
  current(host: HostId): Link | undefined {
    return this.#current.get(host)
  }

  /** What is known of its last link, also of one that ended; undefined if there never was one. */
  seen(host: HostId, now: number): { readonly version: string; readonly upMs: number | null; readonly silentMs: number } | undefined {
    const link = this.#current.get(host) ?? this.#last.get(host)
    if (link === undefined) return undefined
    const upAt = this.#upAt.get(host)
    return {
      version: link.hello.version,
      upMs: upAt === undefined ? null : Math.round(now - upAt),
      silentMs: Math.round(link.silentMs(now)),
    }
  }

  holds(connection: WireConnection): boolean {
    return [...(this.#links.get(connection.host) ?? [])].some((link) => link.connection === connection)
  }

  /** True while someone greets us or is greeted, or is up already: no need to dial. */
  isBusy(host: HostId): boolean {
    return (this.#links.get(host)?.size ?? 0) > 0
  }

  /** True when this process of the peer was accepted on a link: its other streams may come. */
  knows(host: HostId, bootId: string): boolean {
    return [...(this.#links.get(host) ?? [])].some((link) => link.hello.bootId === bootId)
  }

  /** Makes a link over a connection that this host dialled. Rejects with `refused`, `unreachable` or `timeout`; the connection is gone then. */
  async open(connection: WireConnection, signal: AbortSignal): Promise<void> {
    try {
      await within({ clock: this.#options.clock, ms: GREETING_MS, what: `greeting ${connection.host}`, signal }, (limit) =>
        this.#open(connection, limit),
      )
    } catch (error) {
      connection.abort(errorText(error))
      throw error
    }
  }

  /** Answers a peer that opened a link. Never rejects: a refusal is told to the peer and raised as an alarm. */
  async accept(wire: WireStream, connection: WireConnection): Promise<void> {
    const { clock, alarms, log } = this.#options
    const stream = this.#frames(wire)
    const { host, address } = connection
    try {
      const refusal = await within({ clock, ms: GREETING_MS, what: `the greeting of ${host}` }, (limit) =>
        this.#accept(stream, connection, limit),
      )
      if (refusal === undefined) return
      log.info({ host, address, reason: refusal.message }, 'peer refused')
      // Who was removed is told so; that it knocks is no matter for the event log.
      if (refusal.code !== 'cloned-identity' && refusal.code !== 'removed')
        alarms.raise({ kind: 'refused', host, address, reason: refusal.message })
      refuse(stream, refusal)
    } catch (error) {
      log.info({ host, address, error: errorText(error) }, 'greeting failed')
      connection.abort(errorText(error))
    }
  }

  /** To be called every TICK_MS. */
  tick(): void {
    const now = this.#options.clock.now()
    this.#detector.tick(now)
    for (const links of this.#links.values()) {
      for (const link of links) {
        if (link.isSilent(now)) this.#end(link, `nothing heard for ${Math.round(link.silentMs(now))} ms`)
        else if (link.isUp) this.#keep(link, now)
      }
    }
  }

  /** Tells a host that it was taken out. What is under way may still be answered; the caller drops it a little later. */
  dismiss(host: HostId, refusal: Refusal): void {
    for (const link of this.#links.get(host) ?? []) if (link.isUp) link.refuse(refusal)
  }

  /** Ends everything with this host at once. */
  drop(host: HostId, cause: string): void {
    for (const link of this.#links.get(host) ?? []) this.#end(link, cause)
    this.#clones.forget(host)
    this.#last.delete(host)
  }

  dropAll(cause: string): void {
    for (const host of [...this.#links.keys()]) this.drop(host, cause)
  }

  async #open(connection: WireConnection, signal: AbortSignal): Promise<void> {
    const mine = this.#mine()
    const stream = this.#frames(await connection.openStream('link', signal))
    const theirs = await greet(stream, mine, connection.host, signal).catch((error: unknown) => {
      this.#heedRefusal(connection.host, error, mine)
      throw error
    })
    const refusal = (await this.#settleClones(connection.host, theirs.bootId)) ?? this.#judge(connection.host, theirs)
    if (refusal !== undefined) throw refusedError(refusal)
    const link = this.#add(stream, connection, theirs)
    link.begin()
    this.#up(link)
  }

  /** Another generation of the mesh, a membership that is over, or a second process under our key: here too somebody has to know. */
  #heedRefusal(host: HostId, error: unknown, { bootId }: Hello): void {
    if (!hasCode(error, 'refused')) return
    const generation = refusingGeneration(error)
    if (generation !== undefined) this.#generations.emit({ host, ...generation })
    if (error.data['code'] === 'removed') this.#dismissals.emit({ from: host, notice: error.data['notice'] })
    if (error.data['code'] !== 'cloned-identity') return
    this.#options.alarms.raise({ kind: 'cloned-identity', host: this.#options.self, bootIds: [bootId] })
  }

  async #accept(stream: FrameStream, connection: WireConnection, signal: AbortSignal): Promise<Refusal | undefined> {
    const theirs = await readHello(stream, signal)
    const refusal =
      this.#judge(connection.host, theirs) ??
      (await this.#settleClones(connection.host, theirs.bootId)) ??
      this.#judge(connection.host, theirs)
    if (refusal !== undefined) return refusal
    const link = this.#add(stream, connection, theirs)
    welcome(stream, this.#mine())
    stream.flush()
    // Its first frame shows that it accepted us as well.
    await stream.next(signal)
    link.begin()
    this.#up(link)
    return undefined
  }

  #judge(host: HostId, theirs: Hello): Refusal | undefined {
    const mine = this.#options.hello()
    if (mine === undefined) return { code: 'no-mesh', message: `${this.#options.self} belongs to no mesh` }
    const dismissed = this.#options.dismissalOf(host)
    if (dismissed !== undefined) return dismissed
    const refusal = judgeHello(mine, theirs, host)
    if (refusal?.code === 'wrong-generation') this.#generations.emit({ host, ...generationOf(theirs) })
    return refusal
  }

  /** Two processes under one key are both refused. One that merely restarted replaces its silent predecessor. */
  async #settleClones(host: HostId, bootId: string): Promise<Refusal | undefined> {
    const { clock, random, alarms } = this.#options
    const refused = this.#clones.judge(host, bootId, clock.now())
    if (refused !== undefined) return this.#refuseClones(host, refused)
    for (const old of [...(this.#links.get(host) ?? [])].filter((link) => link.hello.bootId !== bootId)) {
      if (await old.probe(random.bytes(16), SILENT_AFTER_MS)) {
        const bootIds = [bootId, old.hello.bootId]
        this.#clones.found(host, bootIds, clock.now())
        alarms.raise({ kind: 'cloned-identity', host, bootIds })
        return this.#refuseClones(host, bootIds)
      }
      this.#end(old, 'the host started anew')
    }
    return undefined
  }

  #refuseClones(host: HostId, bootIds: readonly string[]): Refusal {
    const message = `${host} runs twice under one key (boot ids ${bootIds.join(', ')}): a copied disk; stop one of them`
    for (const link of this.#links.get(host) ?? []) this.#end(link, message)
    return { code: 'cloned-identity', message }
  }

  #add(stream: FrameStream, connection: WireConnection, hello: Hello): Link {
    const { clock, onMail } = this.#options
    const { host } = connection
    const link = new Link({
      clock,
      detector: this.#detector,
      connection,
      stream,
      hello,
      onMail: (frame) => onMail(host, frame),
      onRefusal: ({ code, notice }) => {
        if (code === 'removed') this.#dismissals.emit({ from: host, notice })
      },
    })
    const links = this.#links.get(host) ?? new Set()
    links.add(link)
    this.#links.set(host, links)
    stream.onClose((cause) => this.#gone(link, cause ?? 'the peer closed the link'))
    return link
  }

  #up(link: Link): void {
    if (!link.stream.isOpen) return
    link.isUp = true
    const first = !this.#current.has(link.host)
    this.#choose(link.host)
    if (!first) return
    this.#upAt.set(link.host, this.#options.clock.now())
    this.#events.emit({ kind: 'up', host: link.host, bootId: link.hello.bootId })
  }

  /** Of several links the one that the smaller peer id dialled: both sides choose the same. */
  #choose(host: HostId): void {
    const { self, clock, gossip } = this.#options
    const preferred = self < host ? 'out' : 'in'
    const up = [...(this.#links.get(host) ?? [])].filter((link) => link.isUp)
    const best = up.find((link) => link.connection.direction === preferred) ?? up[0]
    if (best === undefined) return
    for (const link of up) link.retiredAt = link === best ? undefined : (link.retiredAt ?? clock.now())
    if (best === this.#current.get(host)) return
    this.#current.set(host, best)
    gossip().join(best.connection)
  }

  #keep(link: Link, now: number): void {
    link.beatIfDue(now)
    // Who dialled it closes it; the other side just no longer sends on it.
    if (link.retiredAt === undefined || link.connection.direction === 'in') return
    const retiredMs = now - link.retiredAt
    const idle = link.connection.streamCount() <= 1
    if (retiredMs >= RETIRE_AT_LAST_MS || (idle && retiredMs >= RETIRE_AFTER_MS)) link.connection.close()
  }

  #end(link: Link, cause: string): void {
    link.stream.abort(cause)
    link.connection.abort(cause)
  }

  #gone(link: Link, cause: string): void {
    const { host, connection } = link
    const links = this.#links.get(host)
    links?.delete(link)
    if (links?.size === 0) this.#links.delete(host)
    connection.abort(cause)
    if (this.#current.get(host) !== link) return
    this.#current.delete(host)
    this.#choose(host)
    if (this.#current.has(host)) return
    this.#upAt.delete(host)
    this.#last.set(host, link)
    this.#options.gossip().leave(host)
    this.#events.emit({ kind: 'down', host, cause })
  }

  #frames(wire: WireStream): FrameStream {
    return new FrameStream(wire, {
      maxFrameBytes: MAX_LINK_FRAME_BYTES,
      maxWaitingBytes: MAX_LINK_WAITING_BYTES,
    })
  }

  #mine(): Hello {
    const mine = this.#options.hello()
    if (mine === undefined) throw new OperationError('refused', `${this.#options.self} belongs to no mesh`)
    return mine
  }
}

function generationOf({ generation, generationId }: Generation): Generation {
  return { generation, generationId }
}
