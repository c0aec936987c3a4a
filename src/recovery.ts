// What an agent does when the mesh went on without it, or can go on through it alone: plans, recoveries, and coming in again by itself.
import { type AgentPorts } from './agent-ports.ts'
import { type Recovered, type Recovery, type RecoveryView, type Restored } from './api/context.ts'
import { abortable, deadline, within } from './base/deadline.ts'
import { errorText, OperationError, refusal } from './base/errors.ts'
import { type HostId, type MemberId, type MeshId } from './base/ids.ts'
import { type Loop, startLoop } from './base/loop.ts'
import { type MemberIdentity } from './cluster/member.ts'
import { planRecovery } from './cluster/recovery-plan.ts'
import { beginGeneration, loadBackup, planDigest, recoverAlone } from './cluster/renewal.ts'
import { askAll } from './cluster/standing.ts'
import { parseJoinReply } from './cluster/wire.ts'
import { hostName } from './inventory/view.ts'
import { caughtUp, joiner, LEADERLESS_MS, type Lifecycle } from './lifecycle.ts'
import { memberPorts, type Session } from './session.ts'

const LOOK_MS = 1_000
/** The commit of the leader there, through whoever is asked. */
const ASK_MS = 10_000
/** A sole voter leads at once; a snapshot of a large mesh takes its time. */
const SETTLE_MS = 60_000

export function startRecovery(ports: AgentPorts, lifecycle: Lifecycle): Recovery & { stop(): Promise<void> } {
  const { clock, log } = ports
  const loop: Loop = startLoop({
    clock,
    everyMs: LOOK_MS,
    onError: (error) => log.info({ error: errorText(error) }, 'the mesh went on without this host, which is not let in again yet'),
    run: (signal) => goOverAlone(ports, lifecycle, signal),
  })
  return {
    plan: (signal) => recoveryView(ports, memberSession(lifecycle), signal),
    confirm: (digest, signal) => recover(ports, lifecycle, digest, signal),
    rejoin: (host, signal) => rejoin(ports, lifecycle, host, signal),
    restore: (path, { dryRun }, signal) => restore(ports, lifecycle, { path, dryRun }, signal),
    stop: () => loop.stop(),
  }
}

function memberSession({ session }: Lifecycle): Session {
  if (session !== undefined) return session
  throw refusal('this host belongs to no mesh', [
    { code: 'no-mesh', message: 'it has neither founded nor joined one', fix: 'hostmesh mesh restore FILE, or hostmesh join TOKEN' },
  ])
}

async function recoveryView({ mesh }: AgentPorts, { member }: Session, signal: AbortSignal): Promise<RecoveryView> {
  const inventory = member.machine.inventory()
  const plan = planRecovery({ self: mesh.self, inventory, answers: await askAll(mesh, member, signal) })
  const { id, name } = member.identity.mesh
  return { mesh: { id, name }, plan, digest: planDigest(id, plan) }
}

/** All is looked at anew, and must be as the person saw it. Done already by the same plan: says so. */
async function recover(ports: AgentPorts, lifecycle: Lifecycle, digest: string, signal: AbortSignal): Promise<Recovered> {
  const session = memberSession(lifecycle)
  const { mesh: now, events } = session.member.machine.inventory()
  const done = events.findLast(({ type }) => type === 'mesh.recovered')
  if (now !== null && done?.data['plan'] === digest) return { mesh: now.name, generation: now.generation, already: true }
  const { plan, digest: found, mesh } = await recoveryView(ports, session, signal)
  if (plan.reasons.length > 0) throw refusal(`mesh ${mesh.name} was not recovered`, plan.reasons)
  if (found !== digest) {
    const message = `the plan is ${found} by now, not ${digest}: hosts came or went, or their logs moved, since it was read`
    throw new OperationError('conflict', `mesh ${mesh.name} was not recovered`, {
      reasons: [{ code: 'plan-changed', message, fix: 'hostmesh mesh recover --plan' }],
    })
  }
  const host = { id: ports.mesh.self, addresses: ports.mesh.ownAddresses(), ...joiner(ports, roleIn(session, ports.mesh.self)) }
  const renewal = { cause: 'recovered', host, generation: plan.to, plan: digest } as const
  const { member } = await lifecycle.become((before) => recoverAlone(memberPorts(ports), before, renewal))
  await within({ clock: ports.clock, ms: SETTLE_MS, what: 'leading the recovered mesh', signal }, (limited) => leads(member, limited))
  return { mesh: mesh.name, generation: plan.to, already: false }
}

async function leads({ replica, cluster }: Session['member'], signal: AbortSignal): Promise<void> {
  if (!replica.status().leading) {
    const { promise, resolve } = Promise.withResolvers<void>()
    const off = replica.onStatus(({ leading }) => {
      if (leading) resolve()
    })
    await abortable(promise, signal).finally(off)
  }
  await cluster.read(signal)
}

/**
 * The file is read as a whole before anything is made of it. On a host that belongs to no mesh, or to this one and needs repair with nobody to
 * come back through: then nobody but the backup has the state, and the damaged stores are set aside once the restored ones count.
 */
async function restore(
  ports: AgentPorts,
  lifecycle: Lifecycle,
  { path, dryRun }: { readonly path: string; readonly dryRun: boolean },
  signal: AbortSignal,
): Promise<Restored> {
  const { mesh, clock } = ports
  const { machine, salvaged, backup } = await loadBackup(path)
  const { head, rows, sum } = backup
  const damaged = loneDamage(lifecycle, head.mesh.id)
  const { hosts, vms, tokens } = machine.inventory()
  const restored = {
    head,
    rows,
    generation: { from: head.mesh.generation, to: head.mesh.generation + 1 },
    hosts: [...hosts.values()],
    vms: [...vms.values()].map(({ name }) => name).sort(),
    tokens: tokens.size,
    damaged: damaged?.why ?? null,
  }
  if (dryRun || (damaged === null && isRestored(lifecycle, sum))) return restored
  const host = { id: mesh.self, addresses: mesh.ownAddresses(), ...joiner(ports, 'host') }
  const renewal = { cause: 'restored', host, generation: restored.generation.to, plan: sum } as const
  const make = (): Promise<MemberIdentity> => beginGeneration(memberPorts(ports), { machine, salvaged, renewal })
  if (damaged === null) await lifecycle.found(make)
  else {
    await lifecycle.become(make)
    await setAside(ports, damaged.member)
  }
  const { member } = memberSession(lifecycle)
  await within({ clock, ms: SETTLE_MS, what: 'leading the restored mesh', signal }, (limited) => leads(member, limited))
  return restored
}

/** A backup of another mesh does not mend this one. */
function loneDamage(lifecycle: Lifecycle, backup: MeshId): { readonly why: string; readonly member: MemberId } | null {
  const { damage } = lifecycle
  if (damage?.alone !== true) return null
  const { identity } = memberSession(lifecycle).member
  return identity.mesh.id === backup ? { why: damage.why, member: identity.member } : null
}

async function setAside({ log, store }: AgentPorts, former: MemberId): Promise<void> {
  const place = await store.setAside(former)
  log.warn({ former, place }, 'this host is another member now, the stores of the former one were set aside')
}

/** By this very backup: a restore whose answer was lost may be asked for again. */
function isRestored({ session }: Lifecycle, sum: string): boolean {
  const { events, mesh } = session?.member.machine.inventory() ?? { events: [], mesh: null }
  const last = events.findLast(({ type }) => type === 'mesh.restored')
  return last?.data['plan'] === sum && last.data['generation'] === mesh?.generation
}

/** A person says so, whatever this host's own generation has: what only that has is given up. */
async function rejoin(ports: AgentPorts, lifecycle: Lifecycle, host: HostId, signal: AbortSignal): Promise<Recovered> {
  const session = memberSession(lifecycle)
  const { mesh, hosts } = session.member.machine.inventory()
  const name = hostName({ hosts }, host)
  const own = mesh?.generation ?? session.member.identity.mesh.generation
  const other = session.member.generations.of(host)
  // Hosts of different generations refuse each other's greeting.
  const here = host === ports.mesh.self || ports.mesh.peers().some((peer) => peer.host === host && peer.link === 'up')
  if (mesh !== null && here) return { mesh: mesh.name, generation: own, already: true }
  if (other === null || other.generation < own) {
    const found = other === null ? `nothing was heard of another generation at ${name}` : `${name} lives in generation ${other.generation}`
    const message = `${found}, this host lives in generation ${own}: only a later one, or one that was begun apart, can be gone over to`
    throw refusal('this host stays where it is', [{ code: 'no-later-generation', message, fix: 'hostmesh mesh status' }])
  }
  return goOver(ports, lifecycle, host, signal)
}

async function goOverAlone(ports: AgentPorts, lifecycle: Lifecycle, signal: AbortSignal): Promise<void> {
  const member = lifecycle.session?.member
  const successor = member?.generations.successor() ?? null
  if (member === undefined || successor === null) return
  const leaderlessMs = member.cluster.status().staleMs
  if (leaderlessMs === null || leaderlessMs < LEADERLESS_MS) return
  ports.log.warn({ ...successor, leaderlessMs }, 'the mesh went on in a later generation: this host goes over to it')
  await goOver(ports, lifecycle, successor.host, signal)
}

/**
 * Asks first and changes afterwards: until the reply is saved, this host is what it was. Its former stores stay till it has caught up; damaged
 * ones are set aside, for they may hold what nobody else has.
 */
export async function goOver(ports: AgentPorts, lifecycle: Lifecycle, host: HostId, signal: AbortSignal): Promise<Recovered> {
  const { mesh, clock, store } = ports
  const session = memberSession(lifecycle)
  const offer = joiner(ports, roleIn(session, mesh.self))
  const asked = { addresses: mesh.ownAddresses(), facts: offer }
  const reply = parseJoinReply(await mesh.rejoin(session.member.identity.mesh.id, host, asked, { deadlineMs: ASK_MS, signal }))
  const former = session.member.identity.member
  const damaged = session.member.replica.health().kind === 'damaged'
  const next = await lifecycle.become(async () => ({ mesh: reply.mesh, member: offer.member, introduced: reply.hosts }))
  if (damaged) await setAside(ports, former)
  const limit = deadline(clock, SETTLE_MS, 'catching up with the mesh', signal)
  try {
    await caughtUp(next.member, mesh.self, limit.signal)
    await store.removeOthers(offer.member)
  } finally {
    limit.done()
  }
  return { mesh: reply.mesh.name, generation: reply.mesh.generation, already: false }
}

function roleIn({ member }: Session, self: HostId): 'host' | 'witness' {
  return member.machine.inventory().hosts.get(self)?.role ?? 'host'
}
