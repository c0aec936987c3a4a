// Where each host stands: what a member says of its log when it is asked, also without a quorum. A recovery is planned from it.
import * as v from 'valibot'
import { errorText, OperationError } from '../base/errors.ts'
import { type GenerationId, type HostId, type MemberId } from '../base/ids.ts'
import { NOBODY } from '../consensus/types.ts'
import { type Standing } from '../inventory/recovery.ts'
import { type Mesh } from '../mesh/mesh.ts'
import { type Member } from './member.ts'

/** Any member asks any other: body null, reply Standing. */
const STANDING = 'cluster.standing'
/** All are asked at the same time; a host that is up answers in milliseconds. */
const ASK_MS = 3_000

/** What came of asking a host. */
export type Answer =
  | { readonly kind: 'stands'; readonly host: HostId; readonly standing: Standing }
  /** `why`: it was not reached, or its stores need repair. */
  | { readonly kind: 'silent'; readonly host: HostId; readonly why: string }

/** Throws `failed` while its stores cannot be relied on: what they hold is no ground to go on from. */
export function standingOf({ identity, replica, machine, members }: Member): Standing {
  const health = replica.health()
  if (health.kind !== 'running') throw new OperationError('failed', `its stores need repair: ${health.why}`)
  const { generation, generationId } = machine.inventory().mesh ?? identity.mesh
  const { term, leader, lastTerm, lastIndex, commitIndex, appliedIndex, conf } = replica.status()
  return {
    generation,
    generationId,
    member: identity.member,
    leader: leader === NOBODY ? null : (members.hostOf(leader) ?? null),
    term,
    lastTerm,
    lastIndex,
    commitIndex,
    appliedIndex,
    voters: conf.voters,
    outgoing: conf.outgoing,
  }
}

/** Returns the way to stop. */
export function serveStanding(mesh: Mesh, member: Member): () => void {
  return mesh.handle(STANDING, async () => standingOf(member))
}

/** Asks every host of the inventory but this one, whose own standing is the first answer, also where its inventory is lost. */
export function askAll(mesh: Mesh, member: Member, signal: AbortSignal): Promise<readonly Answer[]> {
  const reasons = new Map(mesh.peers().map(({ host, cause }) => [host, cause]))
  const ask = async (host: HostId): Promise<Answer> => {
    try {
      if (host === mesh.self) return { kind: 'stands', host, standing: standingOf(member) }
      return { kind: 'stands', host, standing: parseStanding(await mesh.request(host, STANDING, null, { deadlineMs: ASK_MS, signal })) }
    } catch (error) {
      signal.throwIfAborted()
      return { kind: 'silent', host, why: reasons.get(host) ?? errorText(error) }
    }
  }
  return Promise.all([...new Set([mesh.self, ...member.machine.inventory().hosts.keys()])].map(ask))
}

const standing = v.object({
  generation: v.number(),
  generationId: v.nullable(v.custom<GenerationId>((value) => typeof value === 'string')),
  member: v.custom<MemberId>((value) => typeof value === 'number'),
  leader: v.nullable(v.custom<HostId>((value) => typeof value === 'string')),
  term: v.number(),
  lastTerm: v.number(),
  lastIndex: v.number(),
  commitIndex: v.number(),
  appliedIndex: v.number(),
  voters: v.array(v.number()),
  outgoing: v.array(v.number()),
})

function parseStanding(body: unknown): Standing {
  const result = v.safeParse(standing, body)
  if (!result.success) throw new OperationError('usage', `the standing of a host is malformed: ${result.issues[0].message}`)
  return result.output
}
