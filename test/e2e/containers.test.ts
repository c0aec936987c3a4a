// Agents in containers, with file systems and process tables of their own and no QEMU: a mesh that outlives one of them.
import { getContainerRuntimeClient } from 'testcontainers'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Answer } from '../../src/api/contract.ts'
import { AgentContainer } from '../lab/agent-container.ts'
import { type Engine, startEngine } from '../lab/docker-engine.ts'
import { waitFor } from '../lab/wait-for.ts'

const NETWORK = 'hostmesh'
const SUBNET = '198.18.128'

/** A newcomer has to be up for 10 s before it may vote; the rest is for a machine that does much else. */
const WAIT = { limitMs: 60_000, everyMs: 500 }

type Hosts = Answer<'hostList'>

describe('three containers', () => {
  let engine: Engine | undefined
  let h1: AgentContainer
  let h2: AgentContainer
  let h3: AgentContainer

  beforeAll(async () => {
    engine = await startEngine()
    if (engine.kind === 'none') return
    const { image } = engine
    const { network } = await getContainerRuntimeClient()
    const IPAM = { Driver: 'default', Config: [{ Subnet: `${SUBNET}.0/24`, Gateway: `${SUBNET}.254` }] }
    await network.create({ Name: NETWORK, Internal: true, IPAM })
    const start = (number: number): Promise<AgentContainer> =>
      AgentContainer.start(`h${number}`, { image, network: NETWORK, address: `${SUBNET}.${number}` })
    ;[h1, h2, h3] = await Promise.all([start(1), start(2), start(3)])
  })
  beforeEach(({ skip }) => {
    if (engine?.kind === 'none') skip(engine.reason)
  })
  afterAll(async () => {
    if (engine?.kind === 'up') await engine.stop()
  })

  it('become one mesh by a token, and all list the same hosts, which offer no machine type', async () => {
    await h1.ok('init', '--name', 'box')
    const { secret } = await h1.json<{ secret: string }>('token', 'create')
    await Promise.all([h2, h3].map((host) => host.ok('join', secret)))
    const lists = await Promise.all([h1, h2, h3].map((host) => host.json<Hosts>('host', 'list')))
    const identities = lists.map((list) => list.map(({ name, id }) => [name, id]))
    expect(identities[0]?.map(([name]) => name).toSorted()).toEqual(['h1', 'h2', 'h3'])
    expect(identities).toEqual([identities[0], identities[0], identities[0]])
    expect(lists[0]?.map(({ qemuVersion, machineTypes }) => ({ qemuVersion, machineTypes }))).toEqual(
      Array(3).fill({ qemuVersion: null, machineTypes: [] }),
    )
  })

  it('go on without the one that led, and it catches up when it is started again', async () => {
    const leader = await waitFor('three voters', async () => leaderOfThree(await h1.json<Hosts>('host', 'list')), WAIT)
    const dead = [h1, h2, h3].find(({ name }) => name === leader)
    const [through, other] = [h1, h2, h3].filter((host) => host !== dead)
    if (dead === undefined || through === undefined || other === undefined) throw new Error(`no container is ${leader}`)

    await dead.kill()
    await through.ok('config', 'set', 'vm.shutdown-timeout-s', '33')
    expect(await other.ok('config', 'get', 'vm.shutdown-timeout-s')).toBe('33\n')
    await expect(dead.ok('status')).rejects.toThrow('not running')

    await dead.startAgain()
    // It answers reads from its own state; where that is stale, the command fails.
    const caughtUp = async (): Promise<boolean> => (await dead.ok('config', 'get', 'vm.shutdown-timeout-s')) === '33\n'
    await waitFor(`${dead.name} to know what it missed`, caughtUp, WAIT)
    const up = async (): Promise<boolean> => (await other.json<Hosts>('host', 'list')).every(({ state }) => state === 'up')
    await waitFor('all to be up again', up, WAIT)
  })
})

/** Once all three may vote: from then on the mesh can lose any one of them. */
function leaderOfThree(hosts: Hosts): string | undefined {
  const voters = hosts.filter(({ raft }) => raft === 'leader' || raft === 'voter')
  return voters.length === 3 ? hosts.find(({ raft }) => raft === 'leader')?.name : undefined
}
