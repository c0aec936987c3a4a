// Several hosts of one mesh on the fake network, in virtual time, for tests of what happens when the network or a host fails.
import { present } from '../../src/base/assert.ts'
import { type HostId, type MeshId } from '../../src/base/ids.ts'
import { seededRandom } from '../../src/base/random.ts'
import { identityOf } from '../../src/mesh/identity.ts'
import { type KnownAddresses, rememberedAddresses } from '../../src/mesh/known-addresses.ts'
import { type Mesh, type MeshAlarm, type PeerEvent } from '../../src/mesh/mesh.ts'
import { type FakeConnection } from '../fixture/fake-connection.ts'
import { connectHosts, startFakeMesh } from '../fixture/fake-mesh.ts'
import { type FakeHost, type FakeMachine, FakeNetwork } from '../fixture/fake-network.ts'
import { type MachineClock, manualClock, type ManualClock } from '../fixture/manual-clock.ts'

export const MESH = 'm000000000000001' as MeshId

export interface TimedEvent {
  readonly at: number
  readonly event: PeerEvent
}

/** One process. */
export interface Node {
  readonly mesh: Mesh
  readonly id: HostId
  readonly host: FakeHost
  readonly clock: MachineClock
  readonly events: TimedEvent[]
  readonly alarms: MeshAlarm[]
}

export class FakeWorld {
  readonly clock: ManualClock = manualClock()
  readonly network: FakeNetwork
  readonly #known = new Map<HostId, KnownAddresses>()
  readonly #random = seededRandom(11)
  #boots = 0

  constructor() {
    this.network = new FakeNetwork(this.clock, this.#random)
  }

  /** `count` hosts at 198.18.0.1 and up, ordered by id, all linked. */
  async linked(count: number): Promise<Node[]> {
    const nodes = await this.started(count)
    this.introduce(nodes)
    await this.allUp(nodes)
    return nodes
  }

  /** As `linked`, but strangers to each other. */
  async started(count: number): Promise<Node[]> {
    const identities = await Promise.all(Array.from({ length: count }, () => identityOf(this.#random.bytes(32))))
    const ids = identities.map(({ hostId }) => hostId).toSorted()
    return Promise.all(ids.map((id, index) => this.start(id, `198.18.0.${index + 1}:7400`)))
  }

  start(id: HostId, address: string): Promise<Node> {
    return this.startMachine({ id, addresses: [address] })
  }

  /** One that belongs to nobody, to be introduced or not. */
  async stranger(address: string): Promise<Node> {
    const { hostId } = await identityOf(this.#random.bytes(32))
    return this.start(hostId, address)
  }

  /** A connection without a mesh at its dialling end, as somebody else's program makes it. */
  async bareConnection(to: Node, address: string, id?: HostId): Promise<FakeConnection> {
    const own = id ?? (await identityOf(this.#random.bytes(32))).hostId
    const host = this.network.machine({ id: own, addresses: [address], clock: this.clock.machine() })
    const connection = connectHosts(host, to.host, present(to.host.machine.addresses[0], 'its address'))
    await this.clock.drain()
    return connection
  }

  /** Its disk is empty. */
  forget(id: HostId): void {
    this.#known.delete(id)
  }

  async startMachine(machine: Omit<FakeMachine, 'clock'>): Promise<Node> {
    this.#boots += 1
    const { id } = machine
    const clock = this.clock.machine()
    const host = this.network.machine({ ...machine, clock })
    const known = this.#known.get(id) ?? rememberedAddresses()
    this.#known.set(id, known)
    const mesh = await startFakeMesh({ host, random: this.#random, bootId: `boot-${this.#boots}`, topics: ['load'], known })
    const node: Node = { mesh, id, host, clock, events: [], alarms: [] }
    mesh.onPeer((event) => node.events.push({ at: this.clock.now(), event }))
    mesh.onAlarm((alarm) => node.alarms.push(alarm))
    return node
  }

  introduce(nodes: readonly Node[], members: readonly Node[] = nodes): void {
    const addresses = members.map(({ id, host }) => ({ host: id, addresses: host.machine.addresses }))
    for (const { mesh } of nodes) mesh.setMembers({ meshId: MESH, generation: 1, members: addresses })
  }

  /** Tells a node who the others are, but not where. */
  introduceBlind(node: Node, others: readonly Node[]): void {
    node.mesh.setMembers({ meshId: MESH, generation: 1, members: others.map(({ id }) => ({ host: id, addresses: [] })) })
  }

  allUp(nodes: readonly Node[], limitMs = 10_000): Promise<void> {
    return this.clock.runUntil(
      'all links are up',
      () => nodes.every(({ mesh }) => mesh.peers().every(({ link }) => link === 'up')),
      limitMs,
    )
  }

  /** kill -9: the kernel of the machine lives on. */
  kill({ host, clock }: Node): void {
    host.kill()
    clock.kill()
  }

  powerOff({ host, clock }: Node): void {
    host.powerOff()
    clock.kill()
  }

  /** How long after `since` this node heard that the other is down. */
  downAfterMs(node: Node, other: Node, since: number): number {
    const down = node.events.find(({ at, event }) => at >= since && event.kind === 'down' && event.host === other.id)
    return present(down, `a down event of ${other.id}`).at - since
  }
}

export function isUp(node: Node, other: Node): boolean {
  return node.mesh.peers().some(({ host, link }) => host === other.id && link === 'up')
}
