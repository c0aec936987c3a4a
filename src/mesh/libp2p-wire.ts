// The real wire: libp2p over TCP and TLS, its peers and streams in the terms of wire.ts.
import { networkInterfaces } from 'node:os'
import { type Connection, type Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { type Clock, type Timer } from '../base/clock.ts'
import { abortable } from '../base/deadline.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Address, formatAddress, fromMultiaddr, isWildcard, parseAddress, toMultiaddr } from './address.ts'
import { peerIdOf } from './host-id.ts'
import { type Identity } from './identity.ts'
import { libp2pGossip, PeerDoor } from './libp2p-gossip.ts'
import { type NodeServices, startNode } from './libp2p-node.ts'
import { Libp2pConnection, Libp2pStream, protocolOf, STREAM_LIMITS } from './libp2p-stream.ts'
import { announcedAddresses, networkFilter } from './own-addresses.ts'
import { STREAM_KINDS, type StreamKind, type Wire, type WireConnection, type WireEvents, type WireGossip } from './wire.ts'

export interface Libp2pWireOptions {
  readonly identity: Identity
  /** IP:PORT; 0.0.0.0 or [::] for every interface, port 0 for any. */
  readonly listen: readonly string[]
  /** CIDRs of the networks that the mesh uses; empty: all but bridges of guests and containers. */
  readonly networks: readonly string[]
  readonly topics: readonly string[]
  readonly version: string
  readonly clock: Clock
  readonly log: Log
}

/** How often the interfaces are looked at: an address that came is known to the mesh a second later. */
const LOOK_MS = 1000

/** Throws `usage` on names and other bad addresses, `conflict` when the port is taken, `failed` when the address is none of this machine's. */
export async function startLibp2pWire(options: Libp2pWireOptions, events: WireEvents): Promise<Wire> {
  const listen = options.listen.map(parseAddress)
  networkFilter(options.networks)
  const door = new PeerDoor()
  const node = await startListening(options, listen, door, events)
  const wire = new Libp2pWire({ options, listen, node, door, events })
  await wire.start()
  return wire
}

interface Parts {
  readonly options: Libp2pWireOptions
  readonly listen: readonly Address[]
  readonly node: Libp2p<NodeServices>
  readonly door: PeerDoor
  readonly events: WireEvents
}

class Libp2pWire implements Wire {
  readonly self: HostId
  readonly gossip: WireGossip
  readonly #parts: Parts
  readonly #listening: readonly Address[]
  readonly #connections = new WeakMap<Connection, Libp2pConnection>()
  /** libp2p joins two dials to one peer into one: they wait for each other instead. */
  readonly #dials = new Map<HostId, Promise<unknown>>()
  #addresses: readonly string[]
  #look: Timer | undefined

  constructor(parts: Parts) {
    const { options, listen, node, door, events } = parts
    this.#parts = parts
    this.self = options.identity.hostId
    this.gossip = libp2pGossip({ pubsub: node.services.pubsub, door, log: options.log, onGossip: events.onGossip })
    this.#listening = withPorts(listen, node)
    this.#addresses = this.#announced()
  }

  async start(): Promise<void> {
    const { node, events } = this.#parts
    node.addEventListener('connection:open', ({ detail }) => {
      if (detail.direction === 'inbound') events.onConnection(this.#wrap(detail))
    })
    for (const kind of STREAM_KINDS) await this.#handle(kind)
    this.#lookLater()
  }

  dial(host: HostId, address: string, signal: AbortSignal): Promise<WireConnection> {
    const before = this.#dials.get(host) ?? Promise.resolve()
    const dial = before.catch(() => {}).then(() => this.#dial(host, address, signal))
    this.#dials.set(host, dial)
    const forget = (): void => {
      if (this.#dials.get(host) === dial) this.#dials.delete(host)
    }
    dial.then(forget, forget)
    return abortable(dial, signal)
  }

  hangUp(host: HostId, cause: string): void {
    for (const connection of this.#parts.node.getConnections(peerIdOf(host))) this.#wrap(connection).abort(cause)
  }

  addresses(): readonly string[] {
    return this.#addresses
  }

  async stop(): Promise<void> {
    this.#look?.cancel()
    await this.#parts.node.stop()
  }

  async #dial(host: HostId, address: string, signal: AbortSignal): Promise<WireConnection> {
    signal.throwIfAborted()
    const target = multiaddr(toMultiaddr(parseAddress(address), host))
    try {
      // Forced: what connections there are already is known to the caller.
      const connection = this.#wrap(await this.#parts.node.dial(target, { signal, force: true }))
      if (signal.aborted) connection.abort('dialled too late')
      signal.throwIfAborted()
      return connection
    } catch (error) {
      signal.throwIfAborted()
      throw new OperationError('unreachable', `${address} cannot be reached: ${errorText(error)}`, {
        data: { host, address },
        cause: error,
      })
    }
  }

  async #handle(kind: StreamKind): Promise<void> {
    const { node, events, options } = this.#parts
    await node.handle(
      protocolOf(kind),
      (stream, connection) => events.onStream(kind, new Libp2pStream(stream, options.clock), this.#wrap(connection)),
      STREAM_LIMITS,
    )
  }

  #wrap(connection: Connection): Libp2pConnection {
    const wrapped = this.#connections.get(connection) ?? new Libp2pConnection(connection, this.#parts.options.clock)
    this.#connections.set(connection, wrapped)
    return wrapped
  }

  #announced(): readonly string[] {
    return announcedAddresses(this.#listening, networkInterfaces(), this.#parts.options.networks)
  }

  #lookLater(): void {
    this.#look = this.#parts.options.clock.after(LOOK_MS, () => {
      const now = this.#announced()
      if (now.join() !== this.#addresses.join()) {
        this.#addresses = now
        this.#parts.events.onAddresses(now)
      }
      this.#lookLater()
    })
  }
}

async function startListening(
  options: Libp2pWireOptions,
  listen: readonly Address[],
  door: PeerDoor,
  events: WireEvents,
): Promise<Libp2p<NodeServices>> {
  const { identity, topics, version } = options
  try {
    return await startNode({ identity, listen, topics, version, door, admit: events.admit })
  } catch (error) {
    const where = listen.map(formatAddress).join(', ')
    const text = causes(error).join('; ')
    const message = `the mesh cannot listen on ${where}: ${text}`
    if (text.includes('EADDRINUSE')) throw new OperationError('conflict', `${message}. Is another agent running?`, { cause: error })
    throw new OperationError('failed', message, { cause: error })
  }
}

/** libp2p wraps what happened in aggregates. */
function causes(error: unknown): string[] {
  const inner: readonly unknown[] = error instanceof AggregateError ? error.errors : []
  return inner.length === 0 ? [errorText(error)] : inner.flatMap(causes)
}

/** Port 0 replaced by what the system chose. */
function withPorts(listen: readonly Address[], node: Libp2p<NodeServices>): Address[] {
  const actual = node.getMultiaddrs().flatMap((address) => fromMultiaddr(address.toString()) ?? [])
  return listen.map((address) => {
    if (address.port !== 0) return address
    const found = actual.find(({ ip }) => isWildcard(address) || ip === address.ip)
    return { ip: address.ip, port: found?.port ?? 0 }
  })
}
