// The mesh of a real host: over libp2p, with what it remembers on disk.
import { join } from 'node:path'
import { type Clock } from '../base/clock.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { assembleMesh } from './assemble.ts'
import { type Identity } from './identity.ts'
import { storedAddresses } from './known-addresses.ts'
import { startLibp2pWire } from './libp2p-wire.ts'
import { type Mesh } from './mesh.ts'

export interface MeshOptions {
  readonly identity: Identity
  /** IP:PORT; 0.0.0.0 or [::] for every interface, port 0 for any. Never names. */
  readonly listen: readonly string[]
  /** CIDRs of the networks that the mesh uses, for "every interface"; empty: all but bridges of guests and containers. */
  readonly networks: readonly string[]
  /** A file in it is the mesh's: peers.json. */
  readonly dataDir: string
  /** New for each process. */
  readonly bootId: string
  /** Of the program. */
  readonly version: string
  /** Of gossip, the same on all hosts. */
  readonly topics: readonly string[]
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Resolves when it listens. Throws `usage` on bad addresses, `conflict` when the port is taken, `failed` when an address is not this machine's. */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const { identity, dataDir, clock, random, log, bootId, version, topics, listen, networks } = options
  const known = await storedAddresses(join(dataDir, 'peers.json'), clock, log)
  return assembleMesh({ self: identity.hostId, bootId, version, topics, clock, random, log, known }, (events) =>
    startLibp2pWire({ identity, listen, networks, topics, version, clock, log }, events),
  )
}
