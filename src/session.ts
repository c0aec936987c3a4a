// What runs in an agent while its host belongs to a mesh: built bottom-up from its membership, stopped the other way.
import { type AgentPorts } from './agent-ports.ts'
import { type OperationError } from './base/errors.ts'
import { stopAll } from './base/stop-all.ts'
import { serveJoins } from './cluster/join-desk.ts'
import { startMember, type Member, type MemberIdentity, type MemberPorts } from './cluster/member.ts'
import { heardRemoval, noticesOf, ownRemoval, type Removal } from './cluster/removal.ts'
import { serveStanding } from './cluster/standing.ts'
import { startAnnouncing } from './host/announce.ts'
import { serveConsoles, type MeshConsoles } from './host/consoles.ts'
import { startHost } from './host/host.ts'
import { startReportingAlarms } from './host/report-alarms.ts'
import { startReportingLoad, type LoadReporter } from './host/report-load.ts'
import { type StoresLoad } from './inventory/load.ts'
import { type Liveness } from './inventory/view.ts'
import { startControllers } from './leader/controllers.ts'
import { diskController } from './leader/disk-controller.ts'
import { placementController } from './leader/placement-controller.ts'
import { spaceController } from './leader/space-controller.ts'
import { votersController } from './leader/voters-controller.ts'
import { type Mesh } from './mesh/mesh.ts'

export interface Session {
  readonly member: Member
  readonly consoles: MeshConsoles
  readonly reporter: LoadReporter
  /** `cause` is told to whoever waits for something. */
  stop(cause?: OperationError): Promise<void>
}

/** `onRemoved` is called once this host knows that it belongs to the mesh no more; whoever hears it ends the session. */
export async function startSession(ports: AgentPorts, identity: MemberIdentity, onRemoved: (removal: Removal) => void): Promise<Session> {
  const { clock, log, mesh, driver, facts, bootId } = ports
  const self = mesh.self
  const member = await startMember(memberPorts(ports), identity)
  const { cluster } = member
  const offMembership = followMembership(mesh, member)
  const offRemoval = listenForRemoval(mesh, member, onRemoved)
  const stopJoins = serveJoins(mesh, clock, member)
  const stopStanding = serveStanding(mesh, member)
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
    stores: () => ({ freeMiB: member.space.freeMiB(), trouble: troubleOf(member) }),
    checkDatastore: (store) => ports.files.check(store),
  })
  const controllers = startControllers({
    self,
    clock,
    log,
    cluster,
    liveness: () => liveness(mesh),
    load: () => reporter.load(),
    contacts: () => new Map(mesh.peers().map(({ host: peer, upMs, silentMs }) => [peer, { upMs, silentMs }])),
    controllers: [placementController, votersController, diskController, spaceController],
  })
  return {
    member,
    consoles,
    reporter,
    stop: (cause) =>
      stopAll([
        offRemoval,
        () => controllers.stop(),
        () => reporter.stop(),
        () => host.stop(),
        () => alarms.stop(),
        () => announcer.stop(),
        () => consoles.stop(),
        stopStanding,
        stopJoins,
        offMembership,
        () => member.stop(cause),
      ]),
  }
}

export function memberPorts(ports: AgentPorts): MemberPorts {
  const { clock, random, log, mesh, store, freeMiB, onFatal, raftLimits } = ports
  return { self: mesh.self, clock, random, log, mesh, store, freeMiB, onFatal, raftLimits }
}

function troubleOf({ replica }: Member): StoresLoad['trouble'] {
  const health = replica.health()
  return health.kind === 'running' ? null : health
}

/** The mesh talks to whoever the inventory lists; before a joiner's log says who that is, to those that the join reply named. */
function followMembership(mesh: Mesh, member: Member): () => void {
  const follow = (): void => {
    const { mesh: known, hosts } = member.machine.inventory()
    const { id, generation, generationId } = known ?? member.identity.mesh
    const peers = hosts.size > 0 ? [...hosts.values()] : member.identity.introduced
    const members = peers.map((peer) => ({ host: peer.id, addresses: peer.addresses }))
    mesh.setMembers({ meshId: id, generation, generationId, members, former: noticesOf(member.machine.inventory()) })
  }
  follow()
  return member.machine.changes.on(({ before, after }) => {
    if (before.hosts !== after.hosts || before.mesh !== after.mesh) follow()
  })
}

/** By its own log, by whoever hangs up on it, or by the next member that it greets. */
function listenForRemoval(mesh: Mesh, { identity, machine }: Member, onRemoved: (removal: Removal) => void): () => void {
  // Told again and again, as long as somebody says so: in the midst of another change nobody listens.
  const tell = (removal: Removal | undefined): void => {
    if (removal !== undefined) onRemoved(removal)
  }
  const look = (): void => tell(ownRemoval(machine.inventory(), mesh.self, identity.member))
  const offs = [machine.changes.on(look), mesh.onDismissed(({ notice }) => tell(heardRemoval(notice, identity.mesh.id, identity.member)))]
  look()
  return () => {
    for (const off of offs) off()
  }
}

export function liveness(mesh: Mesh): Liveness {
  return new Map([
    [mesh.self, 'up' as const],
    ...mesh.peers().map((peer) => [peer.host, peer.link === 'up' ? ('up' as const) : ('suspect' as const)] as const),
  ])
}
