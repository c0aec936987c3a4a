// Routes of the mesh itself: its beginning, joining it, how it is, and who it is made of.
import { OperationError, toWireError } from '../base/errors.ts'
import { Queue } from '../base/queue.ts'
import { type Inventory } from '../inventory/inventory.ts'
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
import { drain, type StreamItem } from './stream.ts'
import { type JoinMessage, type MeshAnswer, type StatusAnswer } from './types.ts'
import { settingKeys } from './routes-config.ts'

/** Steps of a join that a client has not read yet; there are fewer than ten. */
const JOIN_STEPS = 100

export const meshReads: ReadHandlers<'status' | 'meshStatus'> = {
  status({ context, inventory, stale }): StatusAnswer {
    const { id, name } = meshOf(inventory)
    return statusAnswer(sightOf(context, inventory), { cluster: context.cluster.status(), self: named(context), mesh: { id, name }, stale })
  },
  meshStatus: ({ context, inventory }) => meshAnswer(context, inventory),
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

export const streamRoutes: StreamHandlers = {
  changes: ({ context, query, signal }) => {
    assertMember(context)
    const liveness = () => livenessOf(context)
    return changeFeed({ cluster: context.cluster, clock: context.clock, liveness }, query.since, signal)
  },
  join: joinMessages,
}

/** Steps as they come, then how it ended. A client that goes away ends the join, which may be asked for again. */
async function* joinMessages({ context, body, signal }: Request<'join'>): AsyncGenerator<StreamItem<JoinMessage> | null, void, undefined> {
  const queue = new Queue<JoinMessage>(JOIN_STEPS)
  // A step that does not fit is not shown; how the join ended always is.
  const progress = (step: string): unknown => queue.push({ kind: 'step', step })
  const end = (message: JoinMessage): void => {
    if (queue.push(message)) return
    queue.clear()
    queue.push(message)
  }
  context.lifecycle.join({ token: body.token, role: body.role ?? null, progress }, signal).then(
    () => end({ kind: 'done', ...memberAnswer(context) }),
    (error: unknown) => end({ kind: 'failed', error: wireAnswer(error) }),
  )
  for await (const message of drain(queue, context.clock, signal)) {
    yield message === null ? null : { data: message }
    if (message !== null && message.kind !== 'step') return
  }
}

function wireAnswer(error: unknown): Extract<JoinMessage, { kind: 'failed' }>['error'] {
  const { code, message, data, reasons } = toWireError(error)
  return { code, message, data: { ...data }, reasons: reasons.map((reason) => ({ ...reason })) }
}

function meshAnswer(context: ApiContext, inventory: Inventory): MeshAnswer {
  const { term, leader, commitIndex, appliedIndex, quorum, members } = context.cluster.status()
  const { firstIndex, lastIndex, peers } = context.raft()
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
    members: byName(members.map((member) => ({ ...member, id: member.host, name: hostName(inventory, member.host) }))).map((member) => {
      const peer = peerOf.get(member.host)
      const link = { connected: peer?.connected ?? null, address: peer?.address ?? null, rttMs: peer?.rttMs ?? null }
      return { id: member.host, name: member.name, role: member.role, matchIndex: member.matchIndex, ...link }
    }),
  }
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
