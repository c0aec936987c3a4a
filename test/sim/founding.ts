// How a simulated mesh comes to be: the first host founds it, the others join with a token, the quorum grows.
import { present } from '../../src/base/assert.ts'
import { type Cluster } from '../../src/inventory/cluster.ts'
import { belongs, hasAgent, makeToken, useToken } from './admission.ts'
import { type SimHost } from './sim-host.ts'
import { type World } from './world.ts'

export const MESH_NAME = 'lab'
/** Starting and founding take less than a second in a calm world. */
const STEP_MS = 30_000
/** Newcomers must be stable for 10 s before they vote. */
const QUORUM_MS = 60_000
/** One try to let a host in, its token included. */
const TRY_MS = 60_000
/** Each look costs a question to every host. */
const LOOK_MS = 20
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
    const failure = await world.settle(`${host.name} joins`, tryToJoin(world, host, number), TRY_MS)
    if (failure === null) return
    world.trace.note(host.name, 'not joined', number, () => failure)
    if (world.clock.now() >= end) throw new Error(`${host.name} could not join: ${failure}`)
    await world.run(AGAIN_MS)
  }
}

/** Null when it joined, else why not. */
async function tryToJoin(world: World, host: SimHost, number: number): Promise<string | null> {
  const inviter = [...world.hosts.values()].find(belongs)
  const { life } = host
  if (inviter === undefined || !hasAgent(life)) return 'nobody can be asked'
  const token = await makeToken(world, inviter, `token ${number} for ${host.name}`)
  return 'why' in token ? token.why : useToken(world, life, token.text)
}

export async function quorumGrows(world: World): Promise<void> {
  const wanted = votersWanted([...world.hosts.values()].filter(belongs).length)
  const grown = (): boolean => [...world.hosts.values()].some((host) => belongs(host) && votersOf(clusterOf(host)) === wanted)
  let nextLook = 0
  let isGrown = false
  const look = (): boolean => {
    if (isGrown || world.clock.now() < nextLook) return isGrown
    nextLook = world.clock.now() + LOOK_MS
    isGrown = grown()
    return isGrown
  }
  await world.runUntil(`${wanted} members vote`, look, QUORUM_MS)
}

/** One voter of one or two hosts, three of three or four, five of more. */
export function votersWanted(hosts: number): number {
  return hosts < 3 ? 1 : hosts < 5 ? 3 : 5
}

export function votersOf(cluster: Cluster): number {
  return cluster.status().members.filter(({ role }) => role !== 'learner').length
}
