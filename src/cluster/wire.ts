// What hosts ask the leader over the mesh: method names, shapes, and their parsing at the border.
import * as v from 'valibot'
import { OperationError } from '../base/errors.ts'
import { type GenerationId, type HostId, type MemberId, type MeshId, type RequestKey } from '../base/ids.ts'
import { type HandOver, type MemberStatus } from '../inventory/cluster.ts'
import { type AdminCommand, type HostCommand, type JoiningHost } from '../inventory/command.ts'
import { type CommandResult } from '../inventory/model.ts'

/** A member asks the leader to propose: body ProposeRequest, reply ProposeReply. */
export const PROPOSE = 'cluster.propose'
/** A member asks the leader to hand over: body HandOver, an empty reply once the other leads. */
export const HAND_OVER = 'cluster.hand-over'
/** A member asks the leader how the members do: an empty body, reply MemberStatus[]. */
export const MEMBERS = 'cluster.members'
/** An inviter passes a joiner's request to the leader: body JoinRequest, reply JoinReply. */
export const JOIN = 'cluster.join'

export interface ProposeRequest {
  readonly command: AdminCommand | HostCommand
  readonly actor: string
  readonly reason: string | null
  readonly requestKey: RequestKey | null
}

export interface ProposeReply {
  readonly index: number
  readonly result: CommandResult
}

/** A mesh as its members know it, and as their data directories remember it. */
export interface MeshIdentity {
  readonly id: MeshId
  readonly name: string
  readonly generation: number
  readonly generationId: GenerationId | null
}

/** What a new member needs to begin: who is in the mesh, where, and as which Raft member. */
export interface JoinReply {
  readonly mesh: MeshIdentity
  readonly hosts: readonly { readonly id: HostId; readonly member: MemberId; readonly addresses: readonly string[] }[]
}

const proposeReply = v.object({
  index: v.number(),
  result: v.variant('kind', [
    v.object({ kind: v.literal('done'), value: v.looseObject({}) }),
    v.object({
      kind: v.literal('refused'),
      code: v.string(),
      message: v.string(),
      reasons: v.array(v.object({ code: v.string(), message: v.string(), fix: v.optional(v.string()) })),
    }),
    v.object({ kind: v.literal('stale'), why: v.string() }),
  ]),
})

export function parseProposeReply(body: unknown): ProposeReply {
  // Same program on both ends, authenticated: the shape is checked, the ids inside are taken as they are.
  return parsed<ProposeReply>(proposeReply, body, 'reply to a proposal')
}

const proposeRequest = v.object({
  command: v.looseObject({ kind: v.string() }),
  actor: v.pipe(v.string(), v.maxLength(200)),
  reason: v.nullable(v.pipe(v.string(), v.maxLength(1000))),
  requestKey: v.nullable(v.pipe(v.string(), v.maxLength(200))),
})

/** The command inside is checked by `decodeRecord`, as every command that enters the log. */
export function parseProposeRequest(body: unknown): ProposeRequest {
  return parsed<ProposeRequest>(proposeRequest, body, 'proposal')
}

const handOver = v.object({
  to: v.custom<HostId>((value) => typeof value === 'string'),
  why: v.pipe(v.string(), v.maxLength(1000)),
  actor: v.pipe(v.string(), v.maxLength(200)),
  reason: v.nullable(v.pipe(v.string(), v.maxLength(1000))),
  dryRun: v.boolean(),
})

export function parseHandOver(body: unknown): HandOver {
  return parsed<HandOver>(handOver, body, 'wish for another leader')
}

const memberStatuses = v.array(
  v.object({
    host: v.custom<HostId>((value) => typeof value === 'string'),
    member: v.custom<MemberId>((value) => typeof value === 'number'),
    role: v.picklist(['leader', 'voter', 'learner', 'witness']),
    leaving: v.boolean(),
    matchIndex: v.nullable(v.number()),
    active: v.nullable(v.boolean()),
  }),
)

export function parseMembers(body: unknown): readonly MemberStatus[] {
  return parsed<readonly MemberStatus[]>(memberStatuses, body, 'list of members')
}

const joinReply = v.object({
  mesh: v.object({ id: v.string(), name: v.string(), generation: v.number(), generationId: v.nullable(v.string()) }),
  hosts: v.array(v.object({ id: v.string(), member: v.number(), addresses: v.array(v.string()) })),
})

export function parseJoinReply(body: unknown): JoinReply {
  return parsed<JoinReply>(joinReply, body, 'reply to a join')
}

const hostFacts = v.object({
  cpu: v.object({ cores: v.number(), mhz: v.number(), model: v.string(), flags: v.array(v.string()) }),
  memoryMiB: v.number(),
  version: v.string(),
  commandVersion: v.number(),
  machineTypes: v.array(v.string()),
  qemuVersion: v.nullable(v.string()),
  accelerator: v.picklist(['kvm', 'tcg']),
})

const joiner = v.object({
  name: v.pipe(v.string(), v.maxLength(63)),
  role: v.picklist(['host', 'witness']),
  facts: hostFacts,
  member: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  bootId: v.string(),
})

/** What a joiner says of itself in the `facts` of its offer. */
export type Joiner = Omit<JoiningHost, 'id' | 'addresses'>

export function parseJoiner(body: unknown): Joiner {
  return parsed<Joiner>(joiner, body, 'description of the joining host')
}

function parsed<T>(schema: v.GenericSchema, body: unknown, what: string): T {
  const result = v.safeParse(schema, body)
  if (!result.success) throw new OperationError('usage', `${what} is malformed: ${result.issues.map((issue) => issue.message).join('; ')}`)
  return result.output as T
}
