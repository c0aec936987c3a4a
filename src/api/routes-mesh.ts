// Routes of the mesh itself: its beginning, joining it, how it is, and who it is made of.
import { within } from '../base/deadline.ts'
import { hasCode, OperationError } from '../base/errors.ts'
import { type MemberStatus } from '../inventory/cluster.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type HostLoad } from '../inventory/load.ts'
import { type Mesh } from '../inventory/model.ts'
import { hostName } from '../inventory/view.ts'
import { changeFeed } from './change-feed.ts'
import { type ApiContext } from './context.ts'
import { type Query } from './contract.ts'
import { assertMember } from './freshness.ts'
import { type LocalHandlers, type ReadHandlers, type Request, type StreamHandlers } from './handler.ts'
import { byName, isoTime } from './shapes.ts'
import { livenessOf, sightOf } from './sight.ts'
import { statusAnswer } from './status.ts'
import { stepStream } from './step-stream.ts'
import { sparableVoters } from './survives.ts'
import { type MeshAnswer, type StatusAnswer } from './types.ts'
import { settingKeys } from './routes-config.ts'

/** It answers within a round trip; the rest of the answer does not wait longer for one that is busy or gone. */
const ASK_LEADER_MS = 1_000

export const meshReads: ReadHandlers<'status' | 'meshStatus'> = {
  status({ context, inventory, stale }): StatusAnswer {
    const { id, name } = meshOf(inventory)
    return statusAnswer(sightOf(context, inventory), { cluster: context.cluster.status(), self: named(context), mesh: { id, name }, stale })
  },
  meshStatus: async ({ context, inventory, signal }) => meshAnswer(context, inventory, await membersOf(context, signal)),
}

export const localRoutes: Pick<LocalHandlers, 'version' | 'init' | 'names'> = {
  async version({ context }) {
    return { version: context.version, self: named(context), initialised: context.lifecycle.initialised() }
  },
  async init({ context, body, signal }) {
    await context.lifecycle.init(body.name, signal)
    return memberAnswer(context)
  },
  async names({ context, query }) {
    assertMember(context)
    return { names: namesOf(context.cluster.view(), query.kind) }
  },
}

export const streamRoutes: Pick<StreamHandlers, 'changes' | 'join'> = {
  changes: ({ context, query, signal }) => {
    assertMember(context)
    const liveness = () => livenessOf(context)
    return changeFeed({ cluster: context.cluster, clock: context.clock, liveness }, query.since, signal)
  },
  join: joinMessages,
}

/** A client that goes away ends the join, which may be asked for again. */
function joinMessages({ context, body, signal }: Request<'join'>): ReturnType<StreamHandlers['join']> {
  const { lifecycle, clock } = context
  return stepStream({ clock, signal }, async (progress) => {
    await lifecycle.join({ token: body.token, role: body.role ?? null, progress }, signal)
    return { kind: 'done' as const, ...memberAnswer(context) }
  })
}

/** As the leader knows them; where it does not answer in time, what this host knows by itself. */
async function membersOf({ clock, cluster }: ApiContext, signal: AbortSignal): Promise<readonly MemberStatus[]> {
  try {
    return await within({ clock, ms: ASK_LEADER_MS, what: 'asking the leader for its members', signal }, (limited) =>
      cluster.members(limited),
    )
  } catch (error) {
    signal.throwIfAborted()
    if (!hasCode(error, 'no-quorum', 'timeout', 'unreachable', 'not-found')) throw error
    return cluster.status().members
  }
}

function meshAnswer(context: ApiContext, inventory: Inventory, members: readonly MemberStatus[]): MeshAnswer {
  const { term, leader, commitIndex, appliedIndex, quorum } = context.cluster.status()
  const { firstIndex, lastIndex, peers } = context.raft()
  const load = context.load()
  const peerOf = new Map(peers.map((peer) => [peer.host, peer]))
  const { id, name, generation, createdAt } = meshOf(inventory)
  return {
    mesh: { id, name, generation, createdAt: isoTime(createdAt) },
    self: named(context),
    leader: leader === null ? null : { id: leader, name: hostName(inventory, leader) },
    term,
    commitIndex,
    appliedIndex,
    firstIndex,
    lastIndex,
    quorum,
    voters: {
      total: members.filter(({ role }) => role !== 'learner').length,
      spare: sparableVoters(livenessOf(context), { members, quorum }),
    },
    members: byName(members.map((member) => ({ ...member, id: member.host, name: hostName(inventory, member.host) }))).map((member) => {
      const peer = peerOf.get(member.host)
      const link = { connected: peer?.connected ?? null, address: peer?.address ?? null, rttMs: peer?.rttMs ?? null }
      const { host, role, matchIndex, active, leaving } = member
      return {
        id: host,
        name: member.name,
        role,
        zone: inventory.hosts.get(host)?.labels['zone'] ?? null,
        matchIndex,
        lag: matchIndex === null ? null : Math.max(0, commitIndex - matchIndex),
        active,
        leaving,
        stores: storesState(load.hosts.get(host)),
        ...link,
      }
    }),
  }
}

function storesState(load: HostLoad | undefined): MeshAnswer['members'][number]['stores'] {
  if (load === undefined) return 'unknown'
  const { trouble } = load.stores
  if (trouble === null) return 'ok'
  return trouble.kind === 'damaged' ? 'needs repair' : trouble.kind
}

function memberAnswer(context: ApiContext): { readonly mesh: Named; readonly host: Named } {
  const { id, name } = meshOf(context.cluster.view())
  return { mesh: { id, name }, host: named(context) }
}

interface Named {
  id: string
  name: string
}

function named({ self }: ApiContext): Named {
  return { id: self.id, name: self.name() }
}

/** There is one from a member's first applied entry on. */
function meshOf({ mesh }: Inventory): Mesh {
  if (mesh !== null) return mesh
  throw new OperationError('no-quorum', 'this host is a member, but has not received the state of the mesh yet')
}

type Kind = Query<'names'>['kind']

function namesOf(inventory: Inventory, kind: Kind): string[] {
  switch (kind) {
    case 'host':
      return byName(inventory.hosts.values()).map(({ name }) => name)
    case 'vm':
      return byName(inventory.vms.values()).map(({ name }) => name)
    case 'datastore':
      return byName(inventory.datastores.values()).map(({ name }) => name)
    case 'disk':
      return byName(inventory.disks.values()).map(
        (disk) => `${inventory.datastores.get(disk.datastore)?.name ?? disk.datastore}/${disk.name}`,
      )
    case 'job':
      return [...inventory.jobs.values()].filter(({ endedAt }) => endedAt === null).map(({ id }) => id)
    case 'token':
      return [...inventory.tokens.keys()]
    case 'setting':
      return settingKeys()
  }
}
