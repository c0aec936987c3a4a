// The agent put together from its ports: daemon.ts gives it the real world, the simulator a world of its own.
import { type ApiContext, type JoinRequest as JoinWish } from './api/context.ts'
import { type Clock } from './base/clock.ts'
import { OperationError, refusal } from './base/errors.ts'
import { newId, type MeshId, type TokenId } from './base/ids.ts'
import { type Log } from './base/log.ts'
import { type Random } from './base/random.ts'
import { serveJoins } from './cluster/join-desk.ts'
import {
  foundMesh,
  newMemberId,
  startMember,
  type Member,
  type MemberIdentity,
  type MemberPorts,
  type MemberStore,
} from './cluster/member.ts'
import { parseJoinReply, type Joiner } from './cluster/wire.ts'
import { startAnnouncing } from './host/announce.ts'
import { type DiskFiles } from './host/carry-out.ts'
import { serveConsoles, type MeshConsoles } from './host/consoles.ts'
import { startHost } from './host/host.ts'
import { startReportingAlarms } from './host/report-alarms.ts'
import { startReportingLoad, type HostMeter, type LoadReporter } from './host/report-load.ts'
import { splitReference } from './host/resolve-spec.ts'
import { NO_LOAD } from './inventory/load.ts'
import { type Datastore, type HostFacts, type HostRole } from './inventory/model.ts'
import { type Liveness } from './inventory/view.ts'
import { startControllers } from './leader/controllers.ts'
import { diskController } from './leader/disk-controller.ts'
import { placementController } from './leader/placement-controller.ts'
import { votersController } from './leader/voters-controller.ts'
import { type Mesh } from './mesh/mesh.ts'
import { createToken, encodeToken, parseToken } from './mesh/token.ts'
import { type Driver } from './vm/driver.ts'

/** Everything that an agent needs of the world. */
export interface AgentPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly mesh: Mesh
  readonly driver: Driver
  readonly files: DiskFiles & { check(datastore: Datastore): Promise<void> }
  readonly meter: HostMeter
  readonly store: MemberStore
  readonly facts: HostFacts
  readonly bootId: string
  /** The machine's own name: becomes the host's when it founds or joins a mesh. */
  readonly hostName: string
  /** The member cannot go on: the process has to end; guests live on. */
  readonly onFatal: (error: unknown) => void
  readonly raftLimits?: MemberPorts['raftLimits']
}

export interface Agent {
  readonly api: ApiContext
  stop(): Promise<void>
}

/** A join is asked for within this time; the rest of its 5 s is for catching up. */
const JOIN_MS = 10_000
/** How many inviters a token names: one may be away. */
const INVITERS = 3

/** Resumes the membership that the store remembers; without one it waits for init or join through its API. */
export async function startAgent(ports: AgentPorts): Promise<Agent> {
  const lifecycle = new Lifecycle(ports)
  await lifecycle.resume()
  return { api: apiContext(ports, lifecycle), stop: () => lifecycle.stop() }
}

/** What runs while this host belongs to a mesh. */
interface Session {
  readonly member: Member
  readonly consoles: MeshConsoles
  readonly reporter: LoadReporter
  stop(): Promise<void>
}

class Lifecycle {
  readonly #ports: AgentPorts
  #session: Session | undefined
  #changing = false

  constructor(ports: AgentPorts) {
    this.#ports = ports
  }

  get session(): Session | undefined {
    return this.#session
  }

  async resume(): Promise<void> {
    const identity = await this.#ports.store.load()
    if (identity !== null) this.#session = await startSession(this.#ports, identity)
  }

  /** Makes a mesh of this one host. */
  init(name: string): Promise<void> {
    return this.#once(async () => {
      const ports = this.#ports
      const mesh = { id: newId<MeshId>((length) => ports.random.bytes(length)), name }
      const host = { id: ports.mesh.self, addresses: ports.mesh.ownAddresses(), ...joiner(ports, 'host') }
      const identity = await foundMesh(memberPorts(ports), mesh, host)
      this.#session = await startSession(ports, identity)
    })
  }

  /** Becomes a learner of the mesh that the token names; done when this host has applied its own admission. May be asked for again. */
  async join(wish: JoinWish, signal: AbortSignal): Promise<void> {
    const { mesh, store } = this.#ports
    const token = parseToken(wish.token)
    const session = this.#session
    // A join that was cut short after its admission goes on by itself, a finished one is what was asked for.
    if (session !== undefined && session.member.identity.mesh.id === token.meshId) {
      wish.progress(`a member of mesh ${session.member.identity.mesh.name} already, catching up`)
      return caughtUp(session.member, mesh.self, signal)
    }
    return this.#once(async () => {
      const role = wish.role ?? token.role
      if (role !== token.role) {
        throw refusal('the host was not let in', [
          {
            code: 'token-role',
            message: `the token is for a ${token.role}, asked for was a ${role}`,
            fix: `hostmesh token create --role ${role}`,
          },
        ])
      }
      const offer = joiner(this.#ports, role)
      await store.removeOthers(null)
      wish.progress('asking an inviter')
      const reply = parseJoinReply(
        await mesh.join(token, { addresses: mesh.ownAddresses(), facts: offer }, { deadlineMs: JOIN_MS, signal }),
      )
      wish.progress(`admitted to mesh ${reply.mesh.name}, catching up`)
      const identity: MemberIdentity = { mesh: reply.mesh, member: offer.member, introduced: reply.hosts }
      // Saved first: from here on this host is a member, and an agent that dies now goes on as one.
      await store.save(identity)
      this.#session = await startSession(this.#ports, identity)
      await caughtUp(this.#session.member, mesh.self, signal)
    })
  }

  async stop(): Promise<void> {
    await this.#session?.stop()
  }

  async #once(change: () => Promise<void>): Promise<void> {
    const name = this.#session?.member.identity.mesh.name
    if (name !== undefined)
      throw new OperationError('conflict', `this host belongs to mesh ${name} already; leaving it is "hostmesh host remove"`)
    if (this.#changing) throw new OperationError('conflict', 'an init or join is under way on this host')
    this.#changing = true
    try {
      await change()
    } finally {
      this.#changing = false
    }
  }
}

function joiner({ hostName, facts, bootId, random }: AgentPorts, role: HostRole): Joiner {
  return { name: hostName, role, facts, bootId, member: newMemberId(random) }
}

function memberPorts(ports: AgentPorts): MemberPorts {
  const { clock, random, log, mesh, store, onFatal, raftLimits } = ports
  return { self: mesh.self, clock, random, log, mesh, store, onFatal, raftLimits }
}

/** Bottom-up; `stop` goes the other way. */
async function startSession(ports: AgentPorts, identity: MemberIdentity): Promise<Session> {
  const { clock, log, mesh, driver, facts, bootId } = ports
  const self = mesh.self
  const member = await startMember(memberPorts(ports), identity)
  const { cluster } = member
  const offMembership = followMembership(mesh, member)
  const stopJoins = serveJoins(mesh, clock, member)
  const consoles = serveConsoles({ self, cluster, driver, mesh })
  const actor = `host ${ports.hostName}`
  const announcer = startAnnouncing({ self, actor, clock, log, cluster, mesh, facts, bootId, member: identity.member })
  const alarms = startReportingAlarms({ self, actor, clock, log, cluster, mesh })
  const host = startHost({ self, actor, clock, log, cluster, driver, files: ports.files })
  const reporter = startReportingLoad({
    self,
    clock,
    log,
    cluster,
    mesh,
    driver,
    meter: ports.meter,
    checkDatastore: (store) => ports.files.check(store),
  })
  const controllers = startControllers({
    self,
    clock,
    log,
    cluster,
    liveness: () => liveness(mesh),
    load: () => reporter.load(),
    controllers: [placementController, votersController, diskController],
  })
  return {
    member,
    consoles,
    reporter,
    async stop() {
      await controllers.stop()
      await reporter.stop()
      await host.stop()
      await alarms.stop()
      await announcer.stop()
      consoles.stop()
      stopJoins()
      offMembership()
      await member.stop()
    },
  }
}

/** The mesh talks to whoever the inventory lists; before a joiner's log says who that is, to those that the join reply named. */
function followMembership(mesh: Mesh, member: Member): () => void {
  const follow = (): void => {
    const { mesh: known, hosts } = member.machine.inventory()
    const { id, generation, generationId } = known ?? member.identity.mesh
    const peers = hosts.size > 0 ? [...hosts.values()] : member.identity.introduced
    mesh.setMembers({ meshId: id, generation, generationId, members: peers.map((peer) => ({ host: peer.id, addresses: peer.addresses })) })
  }
  follow()
  return member.machine.changes.on(({ before, after }) => {
    if (before.hosts !== after.hosts || before.mesh !== after.mesh) follow()
  })
}

function caughtUp(member: Member, self: string, signal: AbortSignal): Promise<void> {
  const done = (): boolean => [...member.machine.inventory().hosts.keys()].some((id) => id === self)
  return new Promise((resolve, reject) => {
    if (done()) return resolve()
    const off = member.machine.changes.on(() => {
      if (!done()) return
      off()
      resolve()
    })
    const onAbort = (): void => {
      off()
      reject(signal.reason)
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

function liveness(mesh: Mesh): Liveness {
  return new Map([
    [mesh.self, 'up' as const],
    ...mesh.peers().map((peer) => [peer.host, peer.link === 'up' ? ('up' as const) : ('suspect' as const)] as const),
  ])
}

function apiContext(ports: AgentPorts, lifecycle: Lifecycle): ApiContext {
  const { mesh, clock, random, log, files } = ports
  const session = (): Session => {
    if (lifecycle.session !== undefined) return lifecycle.session
    throw refusal('this host belongs to no mesh yet', [
      { code: 'no-mesh', message: 'it has neither founded nor joined one', fix: 'hostmesh init --name NAME, or hostmesh join TOKEN' },
    ])
  }
  return {
    self: { id: mesh.self, name: () => lifecycle.session?.member.machine.inventory().hosts.get(mesh.self)?.name ?? ports.hostName },
    get cluster() {
      return session().member.cluster
    },
    clock,
    random,
    log,
    version: ports.facts.version,
    liveness: () => liveness(mesh),
    load: () => lifecycle.session?.reporter.load() ?? NO_LOAD,
    lifecycle: {
      initialised: () => lifecycle.session !== undefined,
      init: (name) => lifecycle.init(name),
      join: (request, signal) => lifecycle.join(request, signal),
    },
    createToken(role, expiresAt) {
      const { identity, machine } = session().member
      const up = liveness(mesh)
      const inviters = [...machine.inventory().hosts.values()]
        .sort(
          (a, b) =>
            Number(b.id === mesh.self) - Number(a.id === mesh.self) || Number(up.get(b.id) === 'up') - Number(up.get(a.id) === 'up'),
        )
        .slice(0, INVITERS)
        .map((host) => ({ host: host.id, addresses: host.addresses }))
      const id = newId<TokenId>((length) => random.bytes(length))
      const { token, publicKey } = createToken({ meshId: identity.mesh.id, tokenId: id, inviters, expiresAt, role }, random)
      return { id, publicKey, text: encodeToken(token) }
    },
    console: {
      log: (vm, maxBytes, signal) => session().consoles.log(vm, maxBytes, signal),
      open: (vm, signal) => session().consoles.open(vm, signal),
    },
    raft() {
      const { firstIndex, lastIndex } = session().member.replica.status()
      const peers = mesh.peers().map((peer) => ({ host: peer.host, connected: peer.link === 'up', address: peer.address, rttMs: null }))
      return { peers, firstIndex, lastIndex }
    },
    async checkFile(path) {
      const { datastore, path: inside } = splitReference(session().member.machine.inventory(), path)
      try {
        await files.check(datastore)
      } catch {
        return null
      }
      return files.file(datastore, inside).then(
        () => true,
        () => false,
      )
    },
  }
}
