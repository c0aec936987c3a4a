// How a simulated mesh comes to be: the first host founds it, the others join with a token, the quorum grows.
import { present } from '../../src/base/assert.ts'
import { type RequestKey } from '../../src/base/ids.ts'
import { type Cluster } from '../../src/inventory/cluster.ts'
import { type SimHost } from './sim-host.ts'
import { type World } from './world.ts'

export const MESH_NAME = 'lab'
/** Starting, founding and joining take less than a second each in a calm world. */
const STEP_MS = 30_000
/** Newcomers must be stable for 10 s before they vote. */
const QUORUM_MS = 60_000
const TOKEN_MS = 3_600_000

/** Of a host whose agent is up and belongs to a mesh. */
export function clusterOf(host: SimHost): Cluster {
  return present(host.agent, `agent of ${host.name}`).api.cluster
}

/** All hosts are switched on and become one mesh. Resolves when as many vote as can. */
export async function foundMesh(world: World): Promise<void> {
  const [first, ...others] = [...world.hosts.values()]
  const founder = present(first, 'first host')
  await powerOn(world, [founder, ...others])
  await initialise(world, founder)
  for (const host of others) await join(world, host, founder)
  await quorumGrows(world, founder)
}

export async function powerOn(world: World, hosts: readonly SimHost[]): Promise<void> {
  for (const host of hosts) host.powerOn()
  await world.runUntil('the agents are up', () => hosts.every((host) => host.agent !== undefined), STEP_MS)
}

export async function initialise(world: World, host: SimHost): Promise<void> {
  const { lifecycle } = present(host.agent, `agent of ${host.name}`).api
  await world.settle('the mesh is founded', lifecycle.init(MESH_NAME, new AbortController().signal), STEP_MS)
  await leads(world, host)
}

async function leads(world: World, host: SimHost): Promise<void> {
  await world.runUntil('the founder leads', () => clusterOf(host).status().leading, STEP_MS)
}

/** With a token of `inviter`. */
export async function join(world: World, host: SimHost, inviter: SimHost): Promise<void> {
  const { api } = present(inviter.agent, `agent of ${inviter.name}`)
  const expiresAt = Math.round(world.clock.wall()) + TOKEN_MS
  const { id, publicKey, text } = api.createToken('host', expiresAt)
  const signal = new AbortController().signal
  const how = { signal, actor: `admin@${inviter.name}`, requestKey: `token for ${host.name}` as RequestKey }
  await world.settle(
    'the token is made',
    api.cluster.propose({ kind: 'token-create', id, publicKey, role: 'host', uses: 1, expiresAt }, how),
    STEP_MS,
  )
  const { lifecycle } = present(host.agent, `agent of ${host.name}`).api
  await world.settle(`${host.name} joins`, lifecycle.join({ token: text, role: null, progress: () => {} }, signal), STEP_MS)
}

/** One voter of one or two hosts, three of more. */
async function quorumGrows(world: World, host: SimHost): Promise<void> {
  const wanted = world.hosts.size < 3 ? 1 : 3
  await world.runUntil(`${wanted} members vote`, () => votersOf(clusterOf(host)) === wanted, QUORUM_MS)
}

export function votersOf(cluster: Cluster): number {
  return cluster.status().members.filter(({ role }) => role !== 'learner').length
}
