// A mesh grows from one voter to five, has a dead one replaced and its leader removed, while clients write: what they noticed at each step.
import { callOnce } from '../../src/api/client-retry.ts'
import { realClock } from '../../src/base/clock.ts'
import { errorText } from '../../src/base/errors.ts'
import { realRandom } from '../../src/base/random.ts'
import { leadership } from './look.ts'
import { type MeshHost, newToken, votersAre } from './mesh-lab.ts'
import { pause, waitFor } from './wait-for.ts'

export interface StepReport {
  readonly name: string
  readonly ms: number
  readonly written: number
  /** What each caller heard whose write failed. */
  readonly failed: readonly string[]
  /** The longest time in which no write was done at all. */
  readonly longestGapMs: number
}

/** Hosts that the steps need. */
export const STEP_HOSTS = 6

const CLIENTS = 4
/** Between two writes of a client: what is measured is the mesh, not the load. */
const REST_MS = 20
/** A client's patience: some elections. */
const WRITE_LIMIT_MS = 10_000
/** Instead of five minutes. */
const REPLACE_AFTER_S = 2

export interface Removed {
  /** Whose agent was killed, and that was removed after another host had its vote. */
  readonly dead: MeshHost
  /** That led, and still runs. */
  readonly leader: MeshHost
}

/** `hosts`: with running agents, of no mesh yet. Each step is told as it ends. */
export async function memberSteps(hosts: readonly MeshHost[], onStep: (report: StepReport) => void): Promise<Removed> {
  const [first, ...others] = hosts
  if (first === undefined || hosts.length !== STEP_HOSTS) throw new Error(`${STEP_HOSTS} hosts wanted`)
  await first.ok('init', '--name', 'lab')
  await first.ok('config', 'set', 'mesh.voter-replace-after-s', String(REPLACE_AFTER_S))
  const token = await newToken(first)
  const writers = new Writers([first])
  const step = async (name: string, work: () => Promise<void>): Promise<void> => onStep(await writers.during(name, work))
  const grow = async (joining: readonly MeshHost[], voters: number): Promise<void> => {
    for (const host of joining) await host.ok('join', token)
    await votersAre(first, voters)
    await writers.goThrough(hosts.slice(0, hosts.indexOf(joining.at(-1) ?? first) + 1))
  }
  try {
    await step('1 -> 3 voters', () => grow(others.slice(0, 2), 3))
    await step('3 -> 5 voters', () => grow(others.slice(2), 5))
    const { leader, others: followers } = await leadership(hosts)
    const dead = await oneThatVotes(leader, followers)
    const alive = hosts.filter((host) => host !== dead)
    await step('a dead voter is replaced, and removed', async () => {
      await writers.goThrough(alive)
      await dead.killAgent()
      await votesInstead(leader, dead)
      await leader.ok('host', 'remove', dead.name)
    })
    const left = await leadership(alive)
    const [through = left.leader] = left.others
    await step('the host that leads is removed', async () => {
      await writers.goThrough(left.others)
      await through.ok('host', 'remove', left.leader.name)
      await leadership(left.others)
      await votersAre(through, 3)
    })
    return { dead, leader: left.leader }
  } finally {
    await writers.stop()
  }
}

async function rolesSeenBy({ api }: MeshHost): Promise<ReadonlyMap<string, string | null>> {
  const { answer } = await api.call('hostList', {}, { signal: AbortSignal.timeout(5_000) })
  return new Map(answer.map(({ name, raft }) => [name, raft]))
}

async function oneThatVotes(leader: MeshHost, followers: readonly MeshHost[]): Promise<MeshHost> {
  const roles = await rolesSeenBy(leader)
  const voter = followers.find(({ name }) => roles.get(name) === 'voter')
  if (voter === undefined) throw new Error('no follower votes')
  return voter
}

/** Until the dead host has no vote any more, and five others have one. */
function votesInstead(leader: MeshHost, dead: MeshHost): Promise<unknown> {
  const look = async (): Promise<boolean> => {
    const roles = await rolesSeenBy(leader)
    const voters = [...roles.values()].filter((role) => role === 'leader' || role === 'voter')
    return roles.get(dead.name) === 'learner' && voters.length === 5
  }
  return waitFor(`another host to have the vote of ${dead.name}`, look, { limitMs: 60_000, everyMs: 100 })
}

/** Clients that each do one write after the other, through the hosts in turn. */
class Writers {
  readonly #over = new AbortController()
  readonly #clients: readonly Promise<void>[]
  readonly #underWay = new Set<Promise<void>>()
  #through: readonly MeshHost[]
  #number = 0
  #written = 0
  #failed: string[] = []
  #lastMs = performance.now()
  #longestGapMs = 0

  constructor(through: readonly MeshHost[]) {
    this.#through = through
    this.#clients = Array.from({ length: CLIENTS }, () => this.#client())
  }

  /** Resolves when no write is under way through any other host. */
  async goThrough(hosts: readonly MeshHost[]): Promise<void> {
    this.#through = hosts
    await Promise.all(this.#underWay)
  }

  /** What the clients noticed while `work` was done. */
  async during(name: string, work: () => Promise<void>): Promise<StepReport> {
    const from = performance.now()
    this.#written = 0
    this.#failed = []
    this.#longestGapMs = 0
    await work()
    this.#noteGap()
    return {
      name,
      ms: performance.now() - from,
      written: this.#written,
      failed: this.#failed,
      longestGapMs: this.#longestGapMs,
    }
  }

  async stop(): Promise<void> {
    this.#over.abort()
    await Promise.all(this.#clients)
  }

  async #client(): Promise<void> {
    while (!this.#over.signal.aborted) {
      const write = this.#write()
      this.#underWay.add(write)
      await write
      this.#underWay.delete(write)
      await pause(REST_MS)
    }
  }

  /** A setting that nothing here depends on, another value each time; never rejects. */
  async #write(): Promise<void> {
    const number = this.#number
    this.#number += 1
    const host = this.#through[number % this.#through.length]
    if (host === undefined) return
    const input = { params: { key: 'placement.memory-reserve-mib' }, query: {}, body: { value: 512 + number } }
    try {
      await callOnce(host.api, 'configSet', input, { clock: realClock, random: realRandom, signal: AbortSignal.timeout(WRITE_LIMIT_MS) })
      this.#written += 1
      this.#noteGap()
      this.#lastMs = performance.now()
    } catch (error) {
      this.#failed.push(`through ${host.name}: ${errorText(error)}`)
    }
  }

  #noteGap(): void {
    this.#longestGapMs = Math.max(this.#longestGapMs, performance.now() - this.#lastMs)
  }
}
