// This host's membership in the Raft group: made by init or join, started with the agent, stopped with it.
import { type Clock } from '../base/clock.ts'
import { OperationError, refusal } from '../base/errors.ts'
import { type HostId, type MemberId, type MeshId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { bootstrap, FIRST } from '../consensus/bootstrap.ts'
import { type LastingReplica, startLastingReplica } from '../consensus/lasting-replica.ts'
import { type ReplicaOptions } from '../consensus/replica-options.ts'
import { startReplica } from '../consensus/replica.ts'
import { type ReplicaLimits } from '../consensus/replica-options.ts'
import { type LogStore, type NodeId, type StateStore } from '../consensus/types.ts'
import { apply } from '../inventory/apply.ts'
import { type Cluster } from '../inventory/cluster.ts'
import { type Command, COMMAND_VERSION, type CommandRecord, type JoiningHost } from '../inventory/command.ts'
import { EMPTY } from '../inventory/inventory.ts'
import { FIRST_GENERATION } from '../inventory/model.ts'
import { toRows } from '../inventory/snapshot.ts'
import { type Mesh } from '../mesh/mesh.ts'
import { type Generations, watchGenerations } from './generations.ts'
import { inventoryMachine, type InventoryMachine } from './inventory-machine.ts'
import { leaderDesk, type LeaderDesk } from './leader-desk.ts'
import { members, type Members } from './members.ts'
import { raftCluster } from './raft-cluster.ts'
import { type Removal } from './removal.ts'
import { raftTransport, receiveFrames, receiveSnapshots, type RaftTransportOptions } from './raft-transport.ts'
import { serveMembers } from './serve.ts'
import { type Space, watchSpace } from './space.ts'
import { type MeshIdentity } from './wire.ts'

/** What a data directory remembers of its membership; written once init or join is committed. */
export interface MemberIdentity {
  readonly mesh: MeshIdentity
  readonly member: MemberId
  /** The hosts that the join reply named: whom to talk to before the own log says it. */
  readonly introduced: readonly { readonly id: HostId; readonly member: MemberId; readonly addresses: readonly string[] }[]
  /** Why this member must not take part any more: its stores lost what it had acknowledged. Its host comes back as another member. */
  readonly damaged?: string | undefined
}

/** Both belong to whoever opened them. */
export interface Stores {
  readonly logStore: LogStore
  readonly stateStore: StateStore
}

/**
 * The durable side of a membership; files in the product, memory in the simulator. `save` is atomic, and names the member whose stores count:
 * a change of membership prepares the new stores, then saves, so that a crash leaves the one or the other.
 */
export interface MemberStore {
  load(): Promise<MemberIdentity | null>
  save(identity: MemberIdentity): Promise<void>
  /** The stores of one member, each in a place of its own: a host that becomes another member leaves those of the former one untouched. */
  openStores(member: MemberId): Promise<Stores>
  /** Moves the stores of a former member out of the way, for people to look into; returns where. Only the last ones so moved are kept. */
  setAside(member: MemberId): Promise<string>
  /** The membership is over: nothing is loaded any more. Its stores are put aside, in the place of those of an earlier one. */
  retire(removal: Removal): Promise<void>
  /** How the last membership ended, if it was ended and no other has begun. */
  removal(): Promise<Removal | null>
  /** Removes the stores of all other members: of former ones, and of an init or join that never finished. Null: of all. */
  removeOthers(keep: MemberId | null): Promise<void>
}

export interface MemberPorts {
  readonly self: HostId
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly mesh: Mesh
  readonly store: MemberStore
  readonly freeMiB: () => Promise<number>
  /** The member can go on no longer (a bug, an unknown command): the process must end. What a disk does is not fatal, see lasting-replica.ts. */
  readonly onFatal: (error: unknown) => void
  /** Differences from the product's limits: the simulator has its log cut after some dozens of entries. */
  readonly raftLimits?: Partial<ReplicaLimits> | undefined
}

export interface Member {
  readonly identity: MemberIdentity
  readonly replica: LastingReplica
  readonly machine: InventoryMachine
  readonly members: Members
  readonly desk: LeaderDesk
  readonly cluster: Cluster
  readonly generations: Generations
  readonly space: Space
  /** `cause` is told to whoever waits for something. */
  stop(cause?: OperationError): Promise<void>
}

/** Tick of 50 ms, elections after 10 to 20 of them: consensus.md, profile default. */
const TICK_MS = 50

/** Random per data directory, never reused: 48 bits, so that it stays a safe integer. */
export function newMemberId(random: Random): MemberId {
  let id = 0
  for (const byte of random.bytes(6)) id = id * 256 + byte
  // 0 stands for nobody.
  return Math.max(1, id) as MemberId
}

/**
 * Makes a mesh of this one host: its member is the only voter, mesh and host are the group's first state. Whatever a broken try left is
 * removed; the identity is saved last, so that a host either belongs to the mesh or can try again.
 */
export async function foundMesh(
  ports: MemberPorts,
  mesh: { readonly id: MeshId; readonly name: string },
  host: JoiningHost,
): Promise<MemberIdentity> {
  const founded = apply(EMPTY, firstRecord(ports.clock, host, { kind: 'mesh-init', mesh, host }), FIRST)
  if (founded.result.kind === 'refused') throw refusal(founded.result.message, founded.result.reasons)
  await ports.store.removeOthers(null)
  await withStores(ports.store, host.member, ({ logStore, stateStore }) =>
    bootstrap(logStore, stateStore, { voters: [host.member], values: toRows(founded.inventory) }),
  )
  const identity: MemberIdentity = {
    mesh: { ...mesh, generation: FIRST_GENERATION, generationId: null },
    member: host.member,
    introduced: [],
  }
  await ports.store.save(identity)
  return identity
}

/** What a mesh, or a generation of it, begins with: there is no leader yet to stamp it, the person at `host` does it alone. */
export function firstRecord(clock: Clock, host: JoiningHost, command: Command): CommandRecord {
  const at = Math.round(clock.wall())
  return { version: COMMAND_VERSION, at, actor: `admin@${host.name}`, reason: null, requestKey: null, command }
}

/** While no replica runs on them. */
export async function withStores<T>(
  store: Pick<MemberStore, 'openStores'>,
  member: MemberId,
  work: (stores: Stores) => Promise<T>,
): Promise<T> {
  const stores = await store.openStores(member)
  try {
    return await work(stores)
  } finally {
    await Promise.all([stores.logStore.close(), stores.stateStore.close()])
  }
}

/** Starts the member that `identity` names, from what its stores hold; a joiner's are empty and wait for the leader's snapshot. */
export async function startMember(ports: MemberPorts, identity: MemberIdentity): Promise<Member> {
  const { self, clock, log, mesh } = ports
  const machine = inventoryMachine()
  const introduced = new Map<NodeId, HostId>(identity.introduced.map((host) => [host.member, host.id]))
  const known = members(() => machine.inventory(), introduced)
  const generation = (): number => machine.inventory().mesh?.generation ?? identity.mesh.generation
  const frames: RaftTransportOptions = { mesh, members: known, log, generation }
  const replica = await startMemberReplica(ports, identity, { machine, transport: raftTransport(frames) })
  const generations = watchGenerations({
    mesh,
    mine: () => machine.inventory().mesh ?? identity.mesh,
    isMember(host) {
      const { hosts } = machine.inventory()
      return hosts.size > 0 ? hosts.has(host) : identity.introduced.some(({ id }) => id === host)
    },
  })
  const space = watchSpace({ clock, log, measure: ports.freeMiB })
  const desk = leaderDesk({ self, clock, replica, machine, members: known, generations, space })
  const cluster = raftCluster({ self, clock, log, mesh, replica, machine, members: known, desk, generations })
  const offs = [
    serveMembers(mesh, desk, cluster),
    receiveFrames(frames, (message) => replica.receive(message)),
    receiveSnapshots(frames, identity.member, (stream, from) => replica.receiveSnapshot(stream, from)),
    mesh.onPeer((event) => {
      const peer = event.kind === 'down' ? known.memberOf(event.host) : undefined
      if (peer !== undefined) replica.connectionLost(peer)
    }),
  ]
  return {
    identity,
    replica,
    machine,
    members: known,
    desk,
    cluster,
    generations,
    space,
    async stop(cause) {
      await space.stop()
      generations.stop()
      for (const off of offs) off()
      cluster.stop(cause)
      await replica.stop()
    },
  }
}

/** On the stores of the member; one that is known to be damaged does not even open them, however whole they look. */
function startMemberReplica(
  { clock, random, log, store, onFatal, raftLimits }: MemberPorts,
  { member: id, damaged }: MemberIdentity,
  world: Pick<ReplicaOptions, 'machine' | 'transport'>,
): Promise<LastingReplica> {
  const limits = raftLimits === undefined ? {} : { limits: raftLimits }
  return startLastingReplica({
    id,
    clock,
    random,
    log,
    onFatal,
    async open(onFailure) {
      if (damaged !== undefined) throw new OperationError('failed', damaged, { data: { kind: 'damaged' } })
      const stores = await store.openStores(id)
      try {
        return await startReplica({ id, clock, random, log, ...stores, ...world, tickMs: TICK_MS, onFatal: onFailure, ...limits })
      } catch (error) {
        await Promise.allSettled([stores.logStore.close(), stores.stateStore.close()])
        throw error
      }
    },
  })
}
