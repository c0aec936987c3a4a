// The mesh over any wire: puts links, requests, mail, streams, gossip and joins together, and one tick that drives them.
import { assert } from '../base/assert.ts'
import { type Clock, type Timer } from '../base/clock.ts'
import { emitter } from '../base/emitter.ts'
import { OperationError } from '../base/errors.ts'
import { type HostId, type MeshId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { Alarms } from './alarms.ts'
import { Bulk } from './bulk.ts'
import { BYTE_STREAM, ByteStreams } from './byte-streams.ts'
import { Dialer } from './dialer.ts'
import { Entrance } from './entrance.ts'
import { type FrameStream } from './frame-stream.ts'
import { Gossip } from './gossip.ts'
import { type Hello, MESH_PROTOCOL, type Refusal } from './hello.ts'
import { JoinGate } from './join-gate.ts'
import { type JoinerOptions, joinMesh, tokenClaim } from './join.ts'
import { type JoinOffer } from './join-messages.ts'
import { type KnownAddresses } from './known-addresses.ts'
import { Links } from './links.ts'
import { MAIL_STREAM, Mailbox } from './mailbox.ts'
import {
  type ByteStream,
  type JoinHandler,
  type Membership,
  type Mesh,
  type MeshAlarm,
  type Dismissal,
  type OtherGeneration,
  type PeerEvent,
  type PeerState,
  type RequestHandler,
  type RequestOptions,
  type StreamHandler,
} from './mesh.ts'
import { Rpc, RPC_STREAM } from './rpc.ts'
import { type SideKind, SideStreams } from './side-streams.ts'
import { TICK_MS } from './silence.ts'
import { type JoinToken } from './token.ts'
import { type StartWire, type Wire } from './wire.ts'

/** Long enough for a round trip on a busy host; nothing that it sends any more counts. */
const DISMISSAL_MS = 500
const GONE = 'it is no member of the mesh any more'

export interface AssembleOptions {
  readonly self: HostId
  /** Of this process, see Hello. */
  readonly bootId: string
  readonly version: string
  readonly topics: readonly string[]
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly known: KnownAddresses
}

export async function assembleMesh(options: AssembleOptions, startWire: StartWire): Promise<Mesh> {
  const mesh = new AssembledMesh(options)
  await mesh.start(startWire)
  return mesh
}

class AssembledMesh implements Mesh {
  readonly #options: AssembleOptions
  readonly #alarms: Alarms
  readonly #links: Links
  readonly #sides: SideStreams
  readonly #bulk: Bulk
  readonly #dialer: Dialer
  readonly #mailbox: Mailbox
  readonly #rpc: Rpc
  readonly #byteStreams: ByteStreams
  readonly #joinGate: JoinGate
  readonly #entrance: Entrance
  readonly #addressEvents = emitter<readonly string[]>()
  readonly #stopping = new AbortController()
  #membership: Membership | null = null
  #members: ReadonlySet<HostId> = new Set()
  /** What each host that was taken out is told. */
  #former: ReadonlyMap<HostId, Refusal> = new Map()
  #wire: Wire | undefined
  #gossip: Gossip | undefined
  #timer: Timer | undefined

  constructor(options: AssembleOptions) {
    const { self, clock, random, log, known } = options
    this.#options = options
    const alarms = new Alarms(clock)
    const hello = (): Hello | undefined => this.#hello()
    const links = new Links({
      self,
      clock,
      random,
      log,
      alarms,
      hello,
      dismissalOf: (host) => this.#former.get(host),
      gossip: () => this.#startedWire().gossip,
      onMail: (from, frame) => this.#mailbox.received(from, frame),
    })
    const link = (host: HostId): ReturnType<Links['current']> => links.current(host)
    this.#sides = new SideStreams({
      clock,
      log,
      limits: { rpc: RPC_STREAM, mail: MAIL_STREAM, bytes: BYTE_STREAM },
      hello,
      knows: (host, bootId) => links.knows(host, bootId),
      onStream: (kind, host, stream) => this.#onSideStream(kind, host, stream),
    })
    this.#dialer = new Dialer({
      self,
      clock,
      random,
      known,
      isBusy: (host) => links.isBusy(host),
      connect: async (host, address, signal) => links.open(await this.#startedWire().dial(host, address, signal), this.#stopping.signal),
    })
    this.#bulk = new Bulk({
      clock,
      sides: this.#sides,
      link,
      addresses: (host) => this.#dialer.addresses(host),
      dial: (host, address, signal) => this.#startedWire().dial(host, address, signal),
    })
    this.#mailbox = new Mailbox({ clock, log, bulk: this.#bulk, link })
    this.#rpc = new Rpc({
      clock,
      log,
      linkOf: link,
      open: (host, signal) => this.#openRpc(host, signal),
    })
    this.#byteStreams = new ByteStreams({ clock, bulk: this.#bulk })
    this.#joinGate = new JoinGate({ self, clock, random, log, alarms, hello })
    const isMember = (host: HostId): boolean => this.#members.has(host)
    const isFormer = (host: HostId): boolean => this.#former.has(host)
    this.#entrance = new Entrance({ clock, alarms, links, sides: this.#sides, joinGate: this.#joinGate, isMember, isFormer })
    this.#alarms = alarms
    this.#links = links
    links.on((event) => this.#onPeer(event))
  }

  get self(): HostId {
    return this.#options.self
  }

  async start(startWire: StartWire): Promise<void> {
    const { log, topics } = this.#options
    this.#wire = await startWire({
      admit: (host, address) => this.#entrance.admit(host, address),
      onConnection: (connection) => this.#entrance.connected(connection),
      onStream: (kind, stream, connection) => this.#entrance.opened(kind, stream, connection),
      onGossip: (topic, from, body) => this.#gossip?.received(topic, from, body),
      onAddresses: (addresses) => this.#onAddresses(addresses),
    })
    this.#gossip = new Gossip({ log, topics, wire: this.#wire.gossip, isMember: (host) => this.#members.has(host) })
    this.#tick()
  }

  setMembers(membership: Membership | null): void {
    const before = this.#membership
    const others = (membership?.members ?? []).filter(({ host }) => host !== this.self)
    const gone = [...this.#members].filter((host) => !others.some((other) => other.host === host))
    this.#membership = membership
    this.#members = new Set(others.map(({ host }) => host))
    this.#former = new Map((membership?.former ?? []).map(({ host, notice }) => [host, dismissalOf(host, notice)]))
    for (const host of gone) this.#dismiss(host)
    const isSameMesh =
      before?.meshId === membership?.meshId &&
      before?.generation === membership?.generation &&
      (before?.generationId ?? null) === (membership?.generationId ?? null)
    if (!isSameMesh) for (const host of this.#members) this.#drop(host, 'this host changed its mesh')
    this.#dialer.setMembers(others)
  }

  peers(): readonly PeerState[] {
    const now = this.#options.clock.now()
    return [...this.#members].map((host) => {
      const link = this.#links.current(host)
      const seen = this.#links.seen(host, now)
      return {
        host,
        link: link === undefined ? 'down' : 'up',
        address: link?.connection.address ?? null,
        version: seen?.version ?? null,
        upMs: seen?.upMs ?? null,
        silentMs: seen?.silentMs ?? null,
        cause: link === undefined ? (this.#dialer.cause(host) ?? 'not reached yet') : null,
      }
    })
  }

  onPeer(listener: (event: PeerEvent) => void): () => void {
    return this.#links.on(listener)
  }

  onDismissed(listener: (dismissal: Dismissal) => void): () => void {
    return this.#links.onDismissed(listener)
  }

  onGeneration(listener: (other: OtherGeneration) => void): () => void {
    return this.#links.onGeneration(listener)
  }

  onAlarm(listener: (alarm: MeshAlarm) => void): () => void {
    return this.#alarms.on(listener)
  }

  request(host: HostId, method: string, body: unknown, options: RequestOptions): Promise<unknown> {
    return this.#rpc.request(host, method, body, options)
  }

  handle(method: string, handler: RequestHandler): () => void {
    return this.#rpc.handle(method, handler)
  }

  send(host: HostId, frame: Uint8Array, priority: 'urgent' | 'bulk'): boolean {
    return this.#mailbox.send(host, frame, priority)
  }

  onFrame(listener: (from: HostId, frame: Uint8Array) => void): () => void {
    return this.#mailbox.on(listener)
  }

  openStream(host: HostId, purpose: string, header: unknown, options: RequestOptions): Promise<ByteStream> {
    return this.#byteStreams.open(host, purpose, header, options)
  }

  handleStream(purpose: string, handler: StreamHandler): () => void {
    return this.#byteStreams.handle(purpose, handler)
  }

  publish(topic: string, body: unknown): void {
    this.#startedGossip().publish(topic, body)
  }

  subscribe(topic: string, listener: (from: HostId, body: unknown) => void): () => void {
    return this.#startedGossip().subscribe(topic, listener)
  }

  ownAddresses(): readonly string[] {
    return this.#startedWire().addresses()
  }

  onAddresses(listener: (addresses: readonly string[]) => void): () => void {
    return this.#addressEvents.on(listener)
  }

  setJoinOpen(open: boolean): void {
    this.#joinGate.setOpen(open)
  }

  handleJoin(handler: JoinHandler): () => void {
    return this.#joinGate.handle(handler)
  }

  join(token: JoinToken, offer: JoinOffer, options: RequestOptions): Promise<unknown> {
    return joinMesh(this.#joiner(), tokenClaim(token), offer, options)
  }

  rejoin(meshId: MeshId, host: HostId, offer: JoinOffer, options: RequestOptions): Promise<unknown> {
    const inviters = [{ host, addresses: this.#dialer.addresses(host) }]
    return joinMesh(this.#joiner(), { meshId, tokenId: null, inviters, sign: () => null }, offer, options)
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return
    this.#stopping.abort(new OperationError('unreachable', 'this host stops'))
    this.#timer?.cancel()
    this.#dialer.stop()
    this.#joinGate.stop()
    this.#bulk.dropAll('this host stops')
    this.#links.dropAll('this host stops')
    await this.#wire?.stop()
    await this.#options.known.stop()
  }

  #tick(): void {
    this.#timer = this.#options.clock.after(TICK_MS, () => {
      this.#links.tick()
      this.#dialer.tick()
      this.#mailbox.tick()
      this.#bulk.tick()
      this.#tick()
    })
  }

  #onPeer(event: PeerEvent): void {
    const { host } = event
    this.#options.log.info(event, `peer ${event.kind}`)
    switch (event.kind) {
      case 'up': {
        const link = this.#links.current(host)
        const remote = link?.connection.direction === 'in' ? link.connection.address : undefined
        this.#dialer.linked(host, link?.hello.addresses ?? [], remote)
        return
      }
      case 'down': {
        this.#bulk.drop(host, event.cause)
        this.#dialer.lost(host, event.cause)
        return
      }
    }
  }

  #onSideStream(kind: SideKind, host: HostId, stream: FrameStream): void {
    switch (kind) {
      case 'rpc':
        this.#rpc.serve(host, stream)
        return
      case 'mail':
        this.#mailbox.serve(host, stream)
        return
      case 'bytes':
        void this.#byteStreams.serve(host, stream)
        return
    }
  }

  #onAddresses(addresses: readonly string[]): void {
    this.#options.log.info({ addresses }, 'own addresses changed')
    this.#dialer.hintAll()
    this.#addressEvents.emit(addresses)
  }

  async #openRpc(host: HostId, signal: AbortSignal): Promise<FrameStream> {
    const link = this.#links.current(host)
    if (link === undefined) throw new OperationError('unreachable', `host ${host} is not connected`)
    return this.#sides.open('rpc', link.connection, signal)
  }

  /** Who is told that it was taken out gets the time to hear it, and the answer to what it had asked for. */
  #dismiss(host: HostId): void {
    const refusal = this.#former.get(host)
    const hangUp = (): void => {
      if (!this.#members.has(host)) this.#drop(host, GONE)
    }
    if (refusal === undefined) return hangUp()
    this.#links.dismiss(host, refusal)
    this.#options.clock.after(DISMISSAL_MS, hangUp)
  }

  #drop(host: HostId, cause: string): void {
    this.#bulk.drop(host, cause)
    this.#links.drop(host, cause)
    this.#wire?.hangUp(host, cause)
  }

  #joiner(): JoinerOptions {
    const wire = this.#startedWire()
    return { self: this.self, clock: this.#options.clock, dial: (host, address, signal) => wire.dial(host, address, signal) }
  }

  #hello(): Hello | undefined {
    if (this.#membership === null) return undefined
    const { meshId, generation, generationId = null } = this.#membership
    const { bootId, version } = this.#options
    return { protocol: MESH_PROTOCOL, meshId, generation, generationId, bootId, version, addresses: this.#startedWire().addresses() }
  }

  #startedWire(): Wire {
    assert(this.#wire !== undefined, 'the mesh is used before it started')
    return this.#wire
  }

  #startedGossip(): Gossip {
    assert(this.#gossip !== undefined, 'the mesh is used before it started')
    return this.#gossip
  }
}

function dismissalOf(host: HostId, notice: unknown): Refusal {
  return { code: 'removed', message: `${host} was removed from this mesh`, notice }
}
