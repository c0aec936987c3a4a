// Our libp2p node: its settings, each with its reason, and what it must never do: resolve a name, talk to strangers.
import { gossipsub, type GossipSub, StrictSign } from '@chainsafe/libp2p-gossipsub'
import { type ComponentLogger, type ConnectionGater, type Libp2p, type Logger, serviceCapabilities } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { type Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { type Address, formatAddress, fromMultiaddr, toMultiaddr } from './address.ts'
import { hostIdOfPeer } from './host-id.ts'
import { type Identity } from './identity.ts'
import { type PeerDoor } from './libp2p-gossip.ts'
import { thriftyMuxer } from './thrifty-muxer.ts'
import { type WireEvents } from './wire.ts'

export interface NodeOptions {
  readonly identity: Identity
  readonly listen: readonly Address[]
  readonly topics: readonly string[]
  readonly version: string
  readonly door: PeerDoor
  readonly admit: WireEvents['admit']
}

// A type, for libp2p wants an index signature, which an interface has not.
export type NodeServices = { acquaintance: object; pubsub: GossipSub }

/** A connection made is a connection kept: a mesh of 64 hosts has 63 links and as many second connections, in the worst case twice. */
const MAX_CONNECTIONS = 512

export async function startNode(options: NodeOptions): Promise<Libp2p<NodeServices>> {
  const { identity, listen, version, door } = options
  return createLibp2p<NodeServices>({
    privateKey: identity.privateKey,
    nodeInfo: { name: 'hostmesh', version },
    logger: silent,
    addresses: { listen: listen.map((address) => toMultiaddr(address)) },
    transports: [tcp({ backlog: 256, dialOpts: KEEP_ALIVE, listenOpts: KEEP_ALIVE })],
    // TLS costs a third of noise's CPU here; noise stays for hosts of a version that would have to leave TLS.
    connectionEncrypters: [tls(), noise()],
    streamMuxers: [
      thriftyMuxer(
        yamux({
          keepAliveInterval: 10_000,
          maxInboundStreams: 128,
          maxOutboundStreams: 128,
          // Streams may come before our listener is attached, all those of a host that just linked at once.
          maxEarlyStreams: 64,
          // The windows stay at their default: different values at both ends tear the connection down.
          streamOptions: { maxReadBufferLength: 16 * 1024 * 1024, maxWriteBufferLength: 64 * 1024 * 1024 },
        }),
      ),
    ],
    // It killed healthy connections under load and after a stalled event loop; our beats do its work.
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: MAX_CONNECTIONS,
      dialTimeout: 5000,
      addressDialTimeout: 1500,
      // With the defaults ten silent TCP connections block every newcomer for ten seconds.
      maxIncomingPendingConnections: 256,
      inboundUpgradeTimeout: 3000,
      inboundConnectionThreshold: 50,
      // We redial ourselves, for ever.
      reconnectRetries: 0,
      resolvers: {},
    },
    connectionGater: gater(options),
    peerStore: { maxAddressAge: Infinity, maxPeerAge: Infinity },
    services: {
      // Gossipsub waits for libp2p's identify, which answers strangers. A peer is known here by its hello: libp2p-gossip.ts tells gossipsub.
      acquaintance: () => ({ [serviceCapabilities]: ['@libp2p/identify'] }),
      pubsub: (components) =>
        gossipsub(gossipSettings(options.topics))({ ...pick(components), registrar: door.guard(components.registrar) }),
    },
  })
}

/** With as few peers as a mesh of hosts has, all that the defaults do against strangers only loses messages. */
function gossipSettings(topics: readonly string[]): Parameters<typeof gossipsub>[0] {
  return {
    globalSignaturePolicy: StrictSign,
    fallbackToFloodsub: false,
    allowPublishToZeroTopicPeers: true,
    allowedTopics: [...topics],
    tagMeshPeers: false,
    D: 4,
    Dlo: 3,
    Dhi: 6,
    Dout: 1,
    Dscore: 2,
    // More than ten hosts behind one IP (a laboratory) would otherwise deliver nothing at all.
    scoreParams: { IPColocationFactorWeight: 0 },
  }
}

type Components = Parameters<ReturnType<typeof gossipsub>>[0]

/** The components are a proxy that has no own properties to spread. */
function pick({ privateKey, peerId, peerStore, registrar, connectionManager, logger }: Components): Components {
  return { privateKey, peerId, peerStore, registrar, connectionManager, logger }
}

function gater({ admit }: NodeOptions): ConnectionGater {
  return {
    denyDialMultiaddr: (multiaddr) => !isPlainIp(multiaddr),
    filterMultiaddrForPeer: (_peer, multiaddr) => isPlainIp(multiaddr),
    denyInboundEncryptedConnection(peer, { remoteAddr }) {
      const address = fromMultiaddr(remoteAddr.toString())
      return address === undefined || !admit(hostIdOfPeer(peer), formatAddress(address))
    },
  }
}

/** TCP would look up /dns4 by itself, whatever the resolvers are. */
export function isPlainIp(multiaddr: Multiaddr): boolean {
  return multiaddr.getComponents().every(({ name }) => ['ip4', 'ip6', 'ip6zone', 'tcp', 'p2p'].includes(name))
}

const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 5000, noDelay: true }

/** What libp2p has to tell is told by the mesh, by peer and cause. */
const quiet: Logger = Object.assign(() => {}, { error() {}, trace() {}, enabled: false, newScope: () => quiet })
const silent: ComponentLogger = { forComponent: () => quiet }
