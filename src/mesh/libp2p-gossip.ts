// Gossipsub on a short lead: its peers are those we linked, over the connection we chose, and nobody else reaches it.
import { type GossipSub, type GossipSubComponents, type Message } from '@chainsafe/libp2p-gossipsub'
import { type Connection, type StreamHandler, type Topology } from '@libp2p/interface'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { errorText } from '../base/errors.ts'
import { hostIdOfPeer } from './host-id.ts'
import { Libp2pConnection } from './libp2p-stream.ts'
import { type WireConnection, type WireEvents, type WireGossip } from './wire.ts'

type Registrar = GossipSubComponents['registrar']

/** Which peers gossipsub knows. */
export class PeerDoor {
  readonly #topologies = new Set<Topology>()
  readonly #open = new Map<HostId, Connection>()

  /** The registrar as gossipsub may see it: its topologies hear of peers from us alone, its streams are those of our peers. */
  guard(registrar: Registrar): Registrar {
    return {
      handle: (protocol, handler, options) => registrar.handle(protocol, this.#guarded(handler), options),
      unhandle: (protocol, options) => registrar.unhandle(protocol, options),
      register: async (_protocol, topology) => {
        this.#topologies.add(topology)
        return 'ours'
      },
      unregister: () => this.#topologies.clear(),
      getTopologies: () => [...this.#topologies],
      getProtocols: () => registrar.getProtocols(),
      getHandler: (protocol) => registrar.getHandler(protocol),
      use: (protocol, middleware) => registrar.use(protocol, middleware),
      unuse: (protocol) => registrar.unuse(protocol),
      getMiddleware: (protocol) => registrar.getMiddleware(protocol),
    }
  }

  async enter(host: HostId, connection: Connection): Promise<void> {
    if (this.#open.has(host)) await this.leave(host)
    this.#open.set(host, connection)
    for (const topology of this.#topologies) await topology.onConnect?.(connection.remotePeer, connection)
  }

  async leave(host: HostId): Promise<void> {
    const connection = this.#open.get(host)
    this.#open.delete(host)
    if (connection === undefined) return
    for (const topology of this.#topologies) await topology.onDisconnect?.(connection.remotePeer)
  }

  #guarded(handler: StreamHandler): StreamHandler {
    return (stream, connection) => {
      if (!this.#open.has(hostIdOfPeer(connection.remotePeer))) {
        stream.abort(new Error('not linked'))
        return undefined
      }
      return handler(stream, connection)
    }
  }
}

export interface Libp2pGossipOptions {
  readonly pubsub: GossipSub
  readonly door: PeerDoor
  readonly log: Log
  readonly onGossip: WireEvents['onGossip']
}

export function libp2pGossip({ pubsub, door, log, onGossip }: Libp2pGossipOptions): WireGossip {
  const report = (error: unknown): void => log.debug({ error: errorText(error) }, 'gossip not sent')
  pubsub.addEventListener('message', ({ detail }: CustomEvent<Message>) => {
    if (detail.type === 'signed') onGossip(detail.topic, hostIdOfPeer(detail.from), detail.data)
  })
  return {
    join(connection: WireConnection) {
      if (connection instanceof Libp2pConnection) door.enter(connection.host, connection.libp2p).catch(report)
    },
    leave: (host) => void door.leave(host).catch(report),
    subscribe: (topic) => pubsub.subscribe(topic),
    publish: (topic, body) => void pubsub.publish(topic, body).catch(report),
  }
}
