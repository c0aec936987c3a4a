// How a newcomer becomes a member: the inviter passes its signed request on, the leader checks the signature and burns the token.
import { type Clock, type Timer } from '../base/clock.ts'
import { OperationError, refusal } from '../base/errors.ts'
import { NOBODY } from '../consensus/types.ts'
import { COMMAND_VERSION, type JoiningHost, type MemberCommand } from '../inventory/command.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { parseJoinRequest, type JoinRequest } from '../mesh/join-messages.ts'
import { type Mesh } from '../mesh/mesh.ts'
import { verifyJoin } from '../mesh/token.ts'
import { type Member } from './member.ts'
import { JOIN, parseJoiner, type JoinReply } from './wire.ts'

/** Within the joiner's own patience: 5 s for everything. */
const JOIN_MS = 4_000
/** The door for strangers is looked at again this often: tokens expire without a change of the inventory. */
const DOOR_MS = 1_000

/** Serves both roles: the inviter's door, and the leader's answer. Returns the way to stop. */
export function serveJoins(mesh: Mesh, clock: Clock, member: Member): () => void {
  const offs = [
    mesh.handleJoin((request, signal) => passOn(mesh, member, request, signal)),
    mesh.handle(JOIN, (body, { signal }) => admit(member, parseJoinRequest(body), signal)),
  ]
  let timer: Timer | undefined
  const door = (): void => {
    mesh.setJoinOpen(tokenOpen(member.machine.inventory(), clock.wall()))
    timer = clock.after(DOOR_MS, door)
  }
  door()
  offs.push(member.machine.changes.on(() => mesh.setJoinOpen(tokenOpen(member.machine.inventory(), clock.wall()))))
  return () => {
    timer?.cancel()
    for (const off of offs) off()
  }
}

function tokenOpen(inventory: Inventory, wallMs: number): boolean {
  // A used-up token keeps the door open till it expires: its hosts may come again, others hear why they are refused.
  return [...inventory.tokens.values()].some((token) => !token.revoked && token.expiresAt > wallMs)
}

async function passOn(mesh: Mesh, member: Member, request: JoinRequest, signal: AbortSignal): Promise<unknown> {
  const { leader, role } = member.replica.status()
  if (role === 'leader') return admit(member, request, signal)
  const host = leader === NOBODY ? undefined : member.members.hostOf(leader)
  if (host === undefined) throw new OperationError('no-quorum', 'the mesh has no leader now: try again in a few seconds')
  return mesh.request(host, JOIN, request, { deadlineMs: JOIN_MS, signal })
}

/** The one commit point of a join: the entry that burns the token adds the host and its Raft member. Repeatable for the same host. */
async function admit(member: Member, request: JoinRequest, signal: AbortSignal): Promise<JoinReply> {
  const inventory = member.machine.inventory()
  const mesh = inventory.mesh
  if (mesh === null) throw new OperationError('no-quorum', 'this host has not caught up with the mesh yet: try again in a few seconds')
  if (request.meshId !== mesh.id) {
    throw refused('wrong-mesh', `the token is for mesh ${request.meshId}, this is mesh ${mesh.name} (${mesh.id})`)
  }
  if (request.tokenId === null) return readmit(member, request, signal)
  const token = inventory.tokens.get(request.tokenId)
  if (token === undefined) throw refused('token-unknown', `mesh ${mesh.name} knows no token ${request.tokenId}`)
  if (!verifyJoin(token.publicKey, request)) throw refused('token-forged', `the signature does not belong to token ${token.id}`)
  const host = joiningHost(request)
  return decided(member, host, { kind: 'host-join', token: token.id, host }, signal)
}

/** A host of the mesh that has become another member, of lost stores or of an earlier generation. The inviter saw the proof of its key. */
function readmit(member: Member, request: JoinRequest, signal: AbortSignal): Promise<JoinReply> {
  const host = joiningHost(request)
  return decided(member, host, { kind: 'host-rejoin', host }, signal)
}

async function decided(
  member: Member,
  host: JoiningHost,
  command: Extract<MemberCommand, { kind: 'host-join' | 'host-rejoin' }>,
  signal: AbortSignal,
): Promise<JoinReply> {
  if (member.machine.inventory().hosts.get(host.id)?.member !== host.member) {
    const result = await member.desk.decide(command, signal)
    if (result.kind === 'refused') throw refusal(result.message, result.reasons)
    if (result.kind === 'stale') throw new OperationError('unreachable', `the leader changed during the join: ${result.why}; try again`)
  }
  return joinReply(member.machine.inventory())
}

function joiningHost(request: JoinRequest): JoiningHost {
  const facts = parseJoiner(request.facts)
  if (facts.facts.commandVersion < COMMAND_VERSION) {
    const found = `version ${facts.facts.version} (commands ${facts.facts.commandVersion})`
    throw refused('version-too-old', `the joining host runs ${found}, the mesh needs commands ${COMMAND_VERSION}: upgrade hostmesh there`)
  }
  return { id: request.joiner, addresses: request.addresses, ...facts }
}

function joinReply(inventory: Inventory): JoinReply {
  const { mesh } = inventory
  if (mesh === null) throw new OperationError('no-quorum', 'this host has not caught up with the mesh yet')
  return {
    mesh: { id: mesh.id, name: mesh.name, generation: mesh.generation, generationId: mesh.generationId },
    hosts: [...inventory.hosts.values()].map(({ id, member, addresses }): JoinReply['hosts'][number] => ({ id, member, addresses })),
  }
}

function refused(code: string, message: string): OperationError {
  return refusal('the host was not let in', [{ code, message, fix: 'hostmesh token create' }])
}
