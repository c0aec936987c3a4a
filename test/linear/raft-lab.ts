// Raft members as real processes, each on a test host of its own, so that wires between them can be cut while clients reach them all.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { KvClient, type Reply } from '../fixture/kv-client.ts'
import { RaftProcesses } from '../fixture/raft-processes.ts'
import { type Lab, startLab } from '../lab/lab.ts'
import { type Connection, type Group, type Heard } from './group.ts'
import { type RegisterInput } from './register.ts'

const MESH_PORT = 7400
const CLIENT_PORT = 7401
/** Entries until a log is cut, and kept then: whoever was away for a while gets a snapshot. */
const SHORT_LOGS = ['--compact-above', '400', '--keep-entries', '150']

/** One group after the other on the same test hosts. */
export class RaftLab {
  readonly #lab: Lab
  #processes: RaftProcesses | undefined
  #groups = 0

  private constructor(lab: Lab) {
    this.#lab = lab
  }

  static async start(members = 3): Promise<RaftLab> {
    return new RaftLab(await startLab(members, { uplink: true }))
  }

  /** In an empty folder, started; nobody leads yet. The one before is stopped. `program`: another raft-node.ts, that of a broken copy of the project. */
  async newGroup(program?: string): Promise<Group> {
    await this.#processes?.stop()
    this.#groups += 1
    const directory = join(this.#lab.folder, `group-${this.#groups}`)
    mkdirSync(directory)
    const { hosts } = this.#lab
    const addressOf = (id: number): string => hosts[id - 1]?.address ?? ''
    this.#processes = await RaftProcesses.start({
      directory,
      members: hosts.length,
      addresses: (id) => ({ listen: `${addressOf(id)}:${MESH_PORT}`, clients: `${addressOf(id)}:${CLIENT_PORT}` }),
      wrapper: (id) => hosts[id - 1]?.wrapper ?? [],
      args: () => SHORT_LOGS,
      ...(program === undefined ? {} : { program }),
    })
    return new RaftGroup(this.#lab, this.#processes)
  }

  async stop(options?: { readonly keepFolder?: boolean }): Promise<void> {
    await this.#processes?.stop()
    await this.#lab.stop(options)
  }
}

class RaftGroup implements Group {
  readonly lab: Lab
  readonly use = { patienceMs: [1_000, 300], cas: true } as const
  readonly #processes: RaftProcesses

  constructor(lab: Lab, processes: RaftProcesses) {
    this.lab = lab
    this.#processes = processes
  }

  async connect(member: number, patienceMs: number): Promise<Connection> {
    const client = await KvClient.connect(this.#processes.node(member).clients, patienceMs)
    return {
      get isOpen() {
        return client.isOpen
      },
      ask: async (input) => heardOf(input, await ask(client, input)),
      close: () => client.close(),
    }
  }

  async ready(limitMs: number): Promise<void> {
    await this.#processes.leader(limitMs)
  }

  async state(limitMs: number): Promise<Awaited<ReturnType<Group['state']>>> {
    const statuses = (await this.#processes.statuses(limitMs)).toSorted((a, b) => b.term - a.term)
    return { leader: statuses.find(({ role }) => role === 'leader')?.id, term: statuses[0]?.term ?? 0 }
  }

  start(member: number): Promise<void> {
    return this.#processes.start(member)
  }

  signal(member: number, signal: NodeJS.Signals): Promise<void> {
    return this.#processes.signal(member, signal)
  }

  async transfer(leader: number, to: number): Promise<void> {
    const client = await KvClient.connect(this.#processes.node(leader).clients, 500).catch(() => undefined)
    await client?.transfer(to)
    client?.close()
  }
}

function ask(client: KvClient, input: RegisterInput): Promise<Reply> {
  const { key } = input
  switch (input.kind) {
    case 'read':
      return client.get(key)
    case 'write':
      return client.put(key, Buffer.from(input.value))
    case 'cas':
      return client.cas(key, input.expected === null ? undefined : Buffer.from(input.expected), Buffer.from(input.value))
  }
}

function heardOf({ kind }: RegisterInput, reply: Reply): Heard {
  switch (reply.kind) {
    case 'refused':
    case 'unknown':
      return { kind: reply.kind }
    case 'ok':
      if (kind === 'read') return { kind: 'answered', output: { kind: 'value', value: reply.value.toString() } }
      return { kind: 'answered', output: { kind: kind === 'cas' ? 'swapped' : 'written' } }
    case 'absent':
      return { kind: 'answered', output: kind === 'read' ? { kind: 'value', value: null } : { kind: 'differed', found: null } }
    case 'mismatch':
      return { kind: 'answered', output: { kind: 'differed', found: reply.value.toString() } }
  }
}
