// A mesh of real agents whose stores are damaged one host at a time: what became of the host, and whether anything acknowledged was lost.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { callOnce } from '../../src/api/client-retry.ts'
import { realClock } from '../../src/base/clock.ts'
import { realRandom } from '../../src/base/random.ts'
import { type Machine } from './machine.ts'
import { type MeshHost } from './mesh-lab.ts'
import { storesIn } from './store-damage.ts'
import { waitFor } from './wait-for.ts'

/** `healed`: the same member goes on. `repaired`: another member of the same host. `refused`: its agent ended, or stayed away. */
export type Fate = 'healed' | 'repaired' | 'refused'

export interface RoundOutcome {
  readonly fate: Fate
  /** Of the damage, as the host or the mesh said it; empty where nobody noticed any. */
  readonly why: string
  /** From the start of the agent until the host had every acknowledged write. */
  readonly backMs: number
  /** Acknowledged writes that an answer left out although it said to be fresh, and what nobody wrote. */
  readonly wrong: readonly string[]
}

const BACK_MS = 60_000
const LOOK_MS = 5_000
const WRITE_MS = 30_000

export class DamageRounds<M extends Machine> {
  readonly #hosts: readonly MeshHost<M>[]
  readonly #acknowledged = new Set<string>()
  #written = 0

  constructor(hosts: readonly MeshHost<M>[]) {
    this.#hosts = hosts
  }

  /** Defines VMs through `host`, each once, and remembers them as acknowledged. */
  async write({ api }: MeshHost<M>, count: number): Promise<void> {
    for (let at = 0; at < count; at += 1) {
      this.#written += 1
      const name = `w${this.#written}`
      const options = { clock: realClock, random: realRandom, signal: AbortSignal.timeout(WRITE_MS) }
      await callOnce(api, 'vmCreate', { body: { name, vcpus: 1, memoryMiB: 64 } }, options)
      this.#acknowledged.add(name)
    }
  }

  /** Kills the agent of `host`, does `damage` to its stores, writes on through the others, starts it, and looks until it is back. */
  async round(host: MeshHost<M>, damage: (stores: string) => void, writes = 2): Promise<RoundOutcome> {
    const [other] = this.#hosts.filter((one) => one !== host)
    if (other === undefined) throw new Error('a mesh of one host has nobody to come back to')
    await this.write(host, writes)
    const before = memberOf(host)
    await host.killAgent()
    damage(storesIn(host.dataDir))
    await this.write(other, writes)
    const logged = logOf(host).length
    const from = performance.now()
    const started = await host.startAgent({ boot: false }).then(
      () => true,
      () => false,
    )
    const wrong = started ? await this.#untilBack(host) : []
    const backMs = performance.now() - from
    const fate = !started ? 'refused' : memberOf(host) === before ? 'healed' : 'repaired'
    const why = reasonIn(logOf(host).slice(logged))
    wrong.push(...(await this.#wrongAt(other)))
    return { fate, why, backMs, wrong }
  }

  /** Whether one more member may be away: a repaired host learns first, and its former member counts among the voters until it is replaced. */
  async allVote(): Promise<boolean> {
    const [host] = this.#hosts
    if (host === undefined) return false
    const { answer } = await host.api.call('hostList', {}, { signal: AbortSignal.timeout(LOOK_MS) })
    return answer.filter(({ raft }) => raft === 'leader' || raft === 'voter').length === this.#hosts.length
  }

  /** What is wrong at any host with a quorum. */
  async everywhere(): Promise<readonly string[]> {
    return (await Promise.all(this.#hosts.map((host) => this.#wrongAt(host)))).flat()
  }

  /** Looks all the time: an answer that says to be fresh has to be right at any moment. */
  async #untilBack(host: MeshHost<M>): Promise<string[]> {
    const wrong: string[] = []
    const look = async (): Promise<boolean> => {
      const { answer, stale } = await namesAt(host)
      if (stale) return false
      wrong.push(...this.#judge(host.name, answer))
      return true
    }
    await waitFor(`${host.name} to be back`, look, { limitMs: BACK_MS })
    return wrong
  }

  async #wrongAt(host: MeshHost<M>): Promise<string[]> {
    const fresh = async (): Promise<readonly string[] | false> => {
      const { answer, stale } = await namesAt(host)
      return stale ? false : answer
    }
    return this.#judge(host.name, await waitFor(`a fresh answer of ${host.name}`, fresh, { limitMs: BACK_MS }))
  }

  #judge(host: string, names: readonly string[]): string[] {
    const there = new Set(names)
    const lost = [...this.#acknowledged].filter((name) => !there.has(name)).map((name) => `${host}: ${name} was acknowledged and is lost`)
    const made = names.filter((name) => !this.#acknowledged.has(name)).map((name) => `${host}: ${name} was never written`)
    return [...lost, ...made]
  }
}

/** While the agent is between two members of its host there is a moment without an answer. */
async function namesAt<M extends Machine>({ api }: MeshHost<M>): Promise<{ readonly answer: readonly string[]; readonly stale: boolean }> {
  const { answer, stale } = await api.call('vmList', {}, { signal: AbortSignal.timeout(LOOK_MS) })
  return { answer: answer.map(({ name }) => name), stale: stale !== null }
}

export function memberOf<M extends Machine>({ dataDir }: MeshHost<M>): number {
  const { member }: { member: number } = JSON.parse(readFileSync(join(dataDir, 'member.json'), 'utf8'))
  return member
}

function logOf<M extends Machine>({ agent }: MeshHost<M>): string {
  return readFileSync(agent.logFile, 'latin1')
}

/** What its agent logged last of damage. */
function reasonIn(log: string): string {
  const damage = log.split('\n').findLast((line) => line.includes('needs repair') && line.includes('"why"'))
  const why = /"why":"((?:[^"\\]|\\.)*)"/.exec(damage ?? '')?.[1] ?? ''
  return why.replace(/^\S+ is damaged: /, '').replace(/\. (It needs|They need) repair.*$/, '')
}
