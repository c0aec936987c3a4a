// Who belongs to the mesh: its beginning, hosts that join and leave. These commands travel in a configuration change of Raft.
import { type Reason } from '../base/errors.ts'
import { type HostId, type MemberId } from '../base/ids.ts'
import { allowed } from './allowed.ts'
import { tokenReasons } from './apply-token.ts'
import { type Command, type JoiningHost } from './command.ts'
import { type Draft } from './draft.ts'
import { type CommandResult, FIRST_GENERATION, type Host, type HostStatus, REMOVED_KEPT, type RemovedHost } from './model.ts'
import { done, notFound, refused, stale, taken } from './results.ts'
import { addressReasons, nameReasons } from './validate.ts'

type MeshCommand = Extract<
  Command,
  { kind: 'mesh-init' | 'host-join' | 'host-rejoin' | 'host-remove' | 'voters-change' | 'leader-transfer' }
>

/** Only a `done` lets the configuration change happen: members of Raft and hosts of the mesh change together or not at all. */
export function applyMesh(draft: Draft, command: MeshCommand): CommandResult {
  switch (command.kind) {
    case 'mesh-init':
      return init(draft, command)
    case 'host-join':
      return join(draft, command)
    case 'host-rejoin':
      return rejoin(draft, command)
    case 'host-remove':
      return leave(draft, command)
    case 'voters-change':
      return voters(draft, command)
    case 'leader-transfer':
      return transfer(draft, command)
  }
}

function init(draft: Draft, { mesh, host }: Extract<Command, { kind: 'mesh-init' }>): CommandResult {
  const found = draft.state.mesh
  if (found !== null) {
    if (found.id === mesh.id && draft.state.hosts.has(host.id)) return done({ id: mesh.id })
    const message = `this host belongs to mesh ${found.name} already`
    return refused(message, [{ code: 'mesh-exists', message, fix: 'use a data directory of its own for another mesh' }], 'conflict')
  }
  const reasons = [...nameReasons('mesh', mesh.name), ...joinerReasons(draft, host)]
  if (reasons.length > 0) return refused(`mesh ${mesh.name} was not begun`, reasons)
  draft.setMesh({ ...mesh, generation: FIRST_GENERATION, generationId: null, createdAt: draft.at })
  draft.put('hosts', admitted(draft, host, 'up', 1))
  draft.event('mesh.created', `mesh ${mesh.name}`, { id: mesh.id, host: host.id })
  return done({ id: mesh.id })
}

/**
 * The same host with the same data directory again: done already. The same host with a new one: a new member in the place of the old; its
 * VMs stay its own. Anybody else needs a use of the token.
 */
function join(draft: Draft, { token: tokenId, host }: Extract<Command, { kind: 'host-join' }>): CommandResult {
  if (draft.state.mesh === null) return refused('there is no mesh to join', [{ code: 'mesh-missing', message: 'no mesh was begun yet' }])
  const before = draft.state.hosts.get(host.id)
  if (before?.member === host.member) return done({ id: host.id })
  const token = draft.state.tokens.get(tokenId)
  const against = tokenReasons(token, { host: host.id, role: host.role, at: draft.at })
  if (token === undefined || against.length > 0) {
    draft.event('token.refused', `token ${tokenId}`, { host: host.id, name: host.name, reasons: against })
    return refused(`host ${host.name} may not join`, against)
  }
  // What people called a host, it keeps; what it is, too: a host that owns VMs must not come back as a witness.
  const joiner = before === undefined ? host : { ...host, name: before.name }
  const reasons: Reason[] = [...joinerReasons(draft, joiner)]
  if (before !== undefined && before.role !== host.role) {
    const message = `host ${before.name} is a ${before.role} and cannot come back as a ${host.role}`
    reasons.push({ code: 'role-change', message, fix: `hostmesh host remove ${before.name}, then join anew` })
  }
  if (reasons.length > 0) {
    draft.event('host.refused', `host ${host.name}`, { id: host.id, reasons })
    return refused(`host ${host.name} cannot join`, reasons)
  }
  if (!token.usedBy.includes(host.id)) draft.put('tokens', { ...token, usedBy: [...token.usedBy, host.id] })
  if (before === undefined) {
    forget(draft, host.id)
    draft.put('hosts', admitted(draft, host, 'joining', 0))
    draft.event('host.joined', `host ${host.name}`, { id: host.id, member: host.member, role: host.role, token: tokenId })
  } else {
    draft.put('hosts', asAnotherMember(before, host))
    draft.event('host.replaced', `host ${joiner.name}`, { id: host.id, member: host.member, before: before.member })
  }
  return done({ id: host.id })
}

/** The same host with new stores, or with those of another generation: its VMs, its name and what people set stay its own. */
function rejoin(draft: Draft, { host }: Extract<Command, { kind: 'host-rejoin' }>): CommandResult {
  const before = draft.state.hosts.get(host.id)
  if (before === undefined) {
    const message = `host ${host.name} (${host.id}) is no host of this mesh, or was removed from it`
    const fix = 'on a host of the mesh: hostmesh token create; then join with an empty data directory'
    return refused(`host ${host.name} may not rejoin`, [{ code: 'not-a-host', message, fix }])
  }
  if (before.member === host.member) return done({ id: host.id })
  const joiner = { ...host, name: before.name, role: before.role }
  const reasons = joinerReasons(draft, joiner)
  if (reasons.length > 0) return refused(`host ${before.name} cannot rejoin`, reasons)
  draft.put('hosts', asAnotherMember(before, host))
  draft.event('host.rejoined', `host ${before.name}`, { id: host.id, member: host.member, before: before.member })
  return done({ id: host.id })
}

/** What people called a host, it keeps; what it is, too: a host that owns VMs must not come back as a witness. */
export function asAnotherMember(before: Host, { member, addresses, facts, bootId }: JoiningHost): Host {
  return { ...before, member, addresses, facts, bootId }
}

export function admitted(draft: Draft, host: JoiningHost, status: HostStatus, incarnation: number): Host {
  return { ...host, status, labels: {}, incarnation, joinedAt: draft.at }
}

/** What stands against a host as a member of this mesh. */
export function joinerReasons(draft: Draft, host: JoiningHost): readonly Reason[] {
  const others = [...draft.state.hosts.values()].filter(({ id }) => id !== host.id)
  const reasons: Reason[] = [...nameReasons('host', host.name), ...addressReasons(host.addresses)]
  if (others.some(({ name }) => name === host.name)) reasons.push(taken('host', host.name))
  const twin = others.find(({ member }) => member === host.member)
  if (twin !== undefined) {
    const message = `member ${host.member} is host ${twin.name}: a data directory was copied`
    reasons.push({ code: 'member-taken', message, fix: 'begin with an empty data directory' })
  }
  return reasons
}

function leave(draft: Draft, command: Extract<Command, { kind: 'host-remove' }>): CommandResult {
  const host = draft.state.hosts.get(command.host)
  if (host === undefined) return notFound('host', command.host)
  const reasons = allowed(draft.state, 'host-remove', host)
  if (reasons.length > 0) return refused(`host ${host.name} cannot be removed`, reasons)
  draft.remove('hosts', host.id)
  const { actor, reason } = draft.record
  remember(draft, { id: host.id, name: host.name, member: host.member, at: draft.at, by: actor, reason })
  draft.event('host.removed', `host ${host.name}`, { id: host.id, member: host.member })
  return done({ id: host.id })
}

function remember(draft: Draft, removed: RemovedHost): void {
  const { mesh } = draft.state
  if (mesh === null) return
  const others = (mesh.removed ?? []).filter(({ id }) => id !== removed.id)
  draft.setMesh({ ...mesh, removed: [...others, removed].slice(-REMOVED_KEPT) })
}

/** It belongs to the mesh again. */
export function forget(draft: Draft, host: HostId): void {
  const { mesh } = draft.state
  if (mesh?.removed?.some(({ id }) => id === host) !== true) return
  draft.setMesh({ ...mesh, removed: mesh.removed.filter(({ id }) => id !== host) })
}

/** The members themselves live in Raft's configuration; here it is checked that they are hosts, and written down for people. */
function voters(draft: Draft, command: Extract<Command, { kind: 'voters-change' }>): CommandResult {
  const { promote, demote, remove, why } = command
  const hosts = new Map<MemberId, Host>([...draft.state.hosts.values()].map((host) => [host.member, host]))
  const strangers = [...promote, ...demote].filter((member) => !hosts.has(member))
  if (strangers.length > 0) return stale(`members ${strangers.join(', ')} are no hosts of this mesh`)
  // A host leaves by `host-remove`, which looks after its VMs; what may be taken out here has no host any more.
  const alive = remove.filter((member) => hosts.has(member))
  if (alive.length > 0) return stale(`members ${alive.join(', ')} are hosts of this mesh`)
  const names = (members: readonly MemberId[]): readonly string[] => members.map((member) => hosts.get(member)?.name ?? String(member))
  draft.event('mesh.voters-changed', `mesh ${draft.state.mesh?.name ?? ''}`, {
    promoted: names(promote),
    demoted: names(demote),
    removed: names(remove),
    ...(why === undefined ? {} : { why }),
  })
  return done()
}

/** Who leads is Raft's to say and stands nowhere in the inventory; why it was asked to change does. */
function transfer(draft: Draft, { to, why }: Extract<Command, { kind: 'leader-transfer' }>): CommandResult {
  const host = draft.state.hosts.get(to)
  if (host === undefined) return stale(`host ${to} is no host of this mesh`)
  draft.event('mesh.leader-transfer', `mesh ${draft.state.mesh?.name ?? ''}`, { to: host.name, why })
  return done({ id: to })
}
