// A mesh of real agents as a group under test: each register is a label of a host, written and read through the API of any agent.
import { type ApiClient } from '../../src/api/client.ts'
import { callOnce } from '../../src/api/client-retry.ts'
import { present } from '../../src/base/assert.ts'
import { realClock } from '../../src/base/clock.ts'
import { hasCode, OperationError } from '../../src/base/errors.ts'
import { realRandom } from '../../src/base/random.ts'
import { type Lab } from '../lab/lab.ts'
import { statusOf } from '../lab/look.ts'
import { formMesh, type MeshHost, startMeshLab } from '../lab/mesh-lab.ts'
import { waitFor } from '../lab/wait-for.ts'
import { type Connection, type Group, type Heard } from './group.ts'
import { type RegisterInput } from './register.ts'

/** One mesh for all histories: to make it takes longer than most of them. */
export class AgentLab {
  readonly #mesh: Mesh
  #groups = 0

  private constructor(mesh: Mesh) {
    this.#mesh = mesh
  }

  static async start(members = 3): Promise<AgentLab> {
    const mesh = await startMeshLab(members)
    try {
      await formMesh(mesh, members)
      return new AgentLab(mesh)
    } catch (error) {
      await mesh.stop({ keepFolder: true })
      throw error
    }
  }

  /** The same mesh with registers that nobody has used before. */
  async newGroup(): Promise<Group> {
    this.#groups += 1
    return new AgentGroup(this.#mesh, `history-${this.#groups}`)
  }

  stop(): Promise<void> {
    return this.#mesh.stop()
  }
}

type Mesh = Awaited<ReturnType<typeof startMeshLab>>

/** A hand-over is done within an election time-out, or given up. */
const TRANSFER_MS = 1_000

export class AgentGroup implements Group {
  readonly lab: Lab
  /** The longer one outlasts an election, so that a write is asked for again under its key by the next life of its agent. */
  readonly use = { patienceMs: [4_000, 300], cas: false } as const
  readonly #hosts: readonly MeshHost[]
  readonly #prefix: string

  /** `prefix` keeps the registers of one group apart from those of another on the same mesh. */
  constructor({ lab, hosts }: Pick<Mesh, 'lab' | 'hosts'>, prefix: string) {
    this.lab = lab
    this.#hosts = hosts
    this.#prefix = prefix
  }

  /** Its socket is a file that all share: no cut wire comes between. */
  async connect(member: number, patienceMs: number): Promise<Connection> {
    const { api } = this.#host(member)
    return { isOpen: true, ask: (input) => this.#ask(api, input, AbortSignal.timeout(patienceMs)), close: () => {} }
  }

  async ready(limitMs: number): Promise<void> {
    const serves = async (): Promise<boolean> => {
      const statuses = await Promise.all(this.#hosts.map(statusOf))
      return statuses.every(({ stale }) => stale === null)
    }
    await waitFor('every agent to be served by a leader', serves, { limitMs, everyMs: 100 })
  }

  async state(limitMs: number): Promise<Awaited<ReturnType<Group['state']>>> {
    const signal = AbortSignal.timeout(limitMs)
    const asked = this.#hosts.map(({ api }) => api.call('status', {}, { signal }).catch(() => undefined))
    const statuses = (await Promise.all(asked)).flatMap((reply) => reply?.answer ?? []).toSorted((a, b) => b.term - a.term)
    const name = statuses.find(({ leader }) => leader !== null)?.leader?.name
    const at = this.#hosts.findIndex((host) => host.name === name)
    return { leader: at < 0 ? undefined : at + 1, term: statuses[0]?.term ?? 0 }
  }

  start(member: number): Promise<void> {
    return this.#host(member).startAgent({ boot: false })
  }

  async signal(member: number, signal: NodeJS.Signals): Promise<void> {
    const { agent } = this.#host(member)
    await agent.signal(signal)
    if (signal === 'SIGKILL') await agent.ended
  }

  async transfer(leader: number, to: number): Promise<void> {
    const body = { host: this.#host(to).name }
    try {
      const signal = AbortSignal.timeout(TRANSFER_MS)
      for await (const _ of this.#host(leader).api.follow('leaderTransfer', { body }, { signal }));
    } catch (error) {
      if (!(error instanceof OperationError) && !isTimeout(error)) throw error
    }
  }

  #host(member: number): MeshHost {
    return present(this.#hosts[member - 1], `host of member ${member}`)
  }

  async #ask(api: ApiClient, input: RegisterInput, signal: AbortSignal): Promise<Heard> {
    const host = this.#host(1).name
    const label = `${this.#prefix}-${input.key}`
    switch (input.kind) {
      case 'read':
        try {
          const { answer, stale } = await api.call('hostShow', { params: { host } }, { signal })
          // What says of itself that it may be old promises nothing.
          if (stale !== null) return { kind: 'refused' }
          return { kind: 'answered', output: { kind: 'value', value: answer.labels[label] ?? null } }
        } catch (error) {
          if (!(error instanceof OperationError) && !isTimeout(error)) throw error
          return { kind: 'unknown' }
        }
      case 'write':
        try {
          const wish = { params: { host }, query: {}, body: { labels: { [label]: input.value } } }
          await callOnce(api, 'hostSet', wish, { clock: realClock, random: realRandom, signal })
          return { kind: 'answered', output: { kind: 'written' } }
        } catch (error) {
          return { kind: surelyNotDone(error) ? 'refused' : 'unknown' }
        }
      case 'cas':
        throw new Error('the API compares and sets no label')
    }
  }
}

/** As the API promises (src/api/write.ts, client-retry.ts). Anything else that is no outcome of a write is a defect and ends the history. */
function surelyNotDone(error: unknown): boolean {
  if (hasCode(error, 'no-quorum')) return true
  if (hasCode(error, 'unreachable')) return error.data['phase'] === 'connect'
  if (hasCode(error, 'timeout') || isTimeout(error)) return false
  throw error
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'TimeoutError'
}
