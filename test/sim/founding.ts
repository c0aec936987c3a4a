// How a simulated mesh comes to be: the first host founds it, the others join with a token, the quorum grows.
import { type Agent } from '../../src/agent.ts'
import { present } from '../../src/base/assert.ts'
import { errorText } from '../../src/base/errors.ts'
import { type RequestKey } from '../../src/base/ids.ts'
import { type Cluster } from '../../src/inventory/cluster.ts'
import { Administrator } from './administrator.ts'
import { type SimHost } from './sim-host.ts'
import { type World } from './world.ts'

export const MESH_NAME = 'lab'
/** Starting and founding take less than a second in a calm world. */
const STEP_MS = 30_000
/** Newcomers must be stable for 10 s before they vote. */
const QUORUM_MS = 60_000
const TOKEN_MS = 3_600_000
/** One try to join; in a calm world the first one takes some 100 ms. */
const JOIN_MS = 20_000
/** Between two tries. */
const AGAIN_MS = 300
/** Also in the worst of weathers a host that goes on trying is let in. */
const JOIN_LIMIT_MS = 600_000

/** Of a host whose agent is up and belongs to a mesh. */
export function clusterOf(host: SimHost): Cluster {
  return present(host.agent, `agent of ${host.name}`).api.cluster
}

/** All hosts are switched on and become one mesh. Resolves when as many vote as can. */
export async function foundMesh(world: World): Promise<void> {
  const [founder, ...others] = [...world.hosts.values()]
  await powerOn(world, [...world.hosts.values()])
  await initialise(world, present(founder, 'first host'))
  for (const host of others) await join(world, host)
  await quorumGrows(world)
}

export async function powerOn(world: World, hosts: readonly SimHost[]): Promise<void> {
  for (const host of hosts) host.powerOn()
  await world.runUntil('the agents are up', () => hosts.every((host) => host.agent !== undefined), STEP_MS)
}

/** Resolves when the founder leads its mesh of one. */
export async function initialise(world: World, host: SimHost): Promise<void> {
  const { lifecycle } = present(host.agent, `agent of ${host.name}`).api
  await world.settle('the mesh is founded', lifecycle.init(MESH_NAME, new AbortController().signal), STEP_MS)
  await world.runUntil('the founder leads', () => clusterOf(host).status().leading, STEP_MS)
}

/** With tokens of whoever is in the mesh, again and again: faults may come between. */
export async function join(world: World, host: SimHost): Promise<void> {
  const end = world.clock.now() + JOIN_LIMIT_MS
  for (let number = 1; !belongs(host); number += 1) {
    const inviter = [...world.hosts.values()].find(belongs)
    const { life } = host
    const failure =
      inviter === undefined || life?.agent === undefined
        ? 'nobody can be asked'
        : await tryToJoin(world, host, { inviter, agent: life.agent, over: life.over.promise, number })
    if (failure === null) return
    world.trace.note(host.name, 'not joined', number, () => failure)
    if (world.clock.now() >= end) throw new Error(`${host.name} could not join: ${failure}`)
    await world.run(AGAIN_MS)
  }
}

function belongs({ agent, id }: SimHost): boolean {
  return agent !== undefined && agent.api.lifecycle.initialised() && agent.api.cluster.view().hosts.has(id)
}

interface Try {
  readonly inviter: SimHost
  readonly agent: Agent
  /** The joiner's process ended. */
  readonly over: Promise<void>
  readonly number: number
}

/** Null when it joined, else why not. */
async function tryToJoin(world: World, host: SimHost, { inviter, agent, over, number }: Try): Promise<string | null> {
  const expiresAt = Math.round(world.clock.wall()) + TOKEN_MS
  const { id, publicKey, text } = present(inviter.agent, `agent of ${inviter.name}`).api.createToken('host', expiresAt)
  const made = new Administrator(world).write({
    key: `token ${number} for ${host.name}` as RequestKey,
    command: () => ({ kind: 'token-create', id, publicKey, role: 'host', uses: 1, expiresAt }),
    through: [inviter],
  })
  const outcome = await world.settle('a token is made', made, STEP_MS)
  if (outcome.kind !== 'answered') return `no token: ${outcome.code}`
  const limit = new AbortController()
  const joined = agent.api.lifecycle.join({ token: text, role: null, progress: () => {} }, limit.signal).then(
    () => null,
    (error: unknown) => errorText(error),
  )
  const ended = over.then(() => 'its agent ended')
  const patience = new Promise<string>((resolve) => {
    world.clock.after(JOIN_MS, () => resolve(`not joined after ${JOIN_MS} ms`))
  })
  const failure = await world.settle(`${host.name} joins`, Promise.race([joined, ended, patience]), 2 * JOIN_MS)
  limit.abort(new Error('given up'))
  return failure
}

/** One voter of one or two hosts, three of three or four, five of more. */
export async function quorumGrows(world: World): Promise<void> {
  const wanted = world.hosts.size < 3 ? 1 : world.hosts.size < 5 ? 3 : 5
  const counts = (): number[] => [...world.hosts.values()].map((host) => (belongs(host) ? votersOf(clusterOf(host)) : 0))
  await world.runUntil(`${wanted} members vote`, () => counts().includes(wanted), QUORUM_MS)
}

export function votersOf(cluster: Cluster): number {
  return cluster.status().members.filter(({ role }) => role !== 'learner').length
}
