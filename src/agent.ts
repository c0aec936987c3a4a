// The agent put together from its ports: daemon.ts gives it the real world, the simulator a world of its own.
import { type AgentPorts } from './agent-ports.ts'
import { type ApiContext, type Membership, type Recovery } from './api/context.ts'
import { noMember } from './api/freshness.ts'
import { newId, type TokenId } from './base/ids.ts'
import { removalText } from './cluster/removal.ts'
import { splitReference } from './host/resolve-spec.ts'
import { NO_LOAD } from './inventory/load.ts'
import { type Damage, Lifecycle } from './lifecycle.ts'
import { createToken, encodeToken } from './mesh/token.ts'
import { startRecovery } from './recovery.ts'
import { startRepair } from './repair.ts'
import { liveness, type Session } from './session.ts'

export interface Agent {
  readonly api: ApiContext
  stop(): Promise<void>
}

/** How many inviters a token names: one may be away. */
const INVITERS = 3

/** Resumes the membership that the store remembers; without one it waits for init or join through its API. */
export async function startAgent(ports: AgentPorts): Promise<Agent> {
  const lifecycle = new Lifecycle(ports)
  await lifecycle.resume()
  const recovery = startRecovery(ports, lifecycle)
  const repair = startRepair(ports, lifecycle)
  return {
    api: apiContext(ports, lifecycle, recovery),
    async stop() {
      await repair.stop()
      await recovery.stop()
      await lifecycle.stop()
    },
  }
}

/** What a member had applied before it was found damaged stays to be seen, marked as old; one that could not load anything has nothing to show. */
function shownDamage({ session, damage }: Lifecycle): Damage | null {
  return session?.member.machine.inventory().mesh === null ? damage : null
}

function apiContext(ports: AgentPorts, lifecycle: Lifecycle, recovery: Recovery): ApiContext {
  const { mesh, clock, random, log, files } = ports
  const ended = (): string | null => (lifecycle.removal === null ? null : removalText(lifecycle.removal))
  const membership = (): Membership | null => {
    const { identity } = lifecycle
    return identity === null ? null : { mesh: identity.mesh.name, generation: identity.mesh.generation }
  }
  const session = (): Session => {
    if (lifecycle.session !== undefined) return lifecycle.session
    throw noMember(membership(), ended())
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
      membership,
      ended,
      damaged: () => shownDamage(lifecycle),
      init: (name) => lifecycle.init(name),
      join: (request, signal) => lifecycle.join(request, signal),
    },
    recovery,
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
