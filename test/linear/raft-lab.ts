// Raft members as real processes, each on a test host of its own, so that wires between them can be cut while clients reach them all.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { present } from '../../src/base/assert.ts'
import { KvClient } from '../fixture/kv-client.ts'
import { RaftProcesses } from '../fixture/raft-processes.ts'
import { type Lab, type LabHost, startLab } from '../lab/lab.ts'

export interface RaftLabOptions {
  readonly members?: number
  /** Another raft-node.ts: that of a broken copy of the project. */
  readonly program?: string
  /** More arguments for each. */
  readonly args?: readonly string[]
}

const MESH_PORT = 7400
const CLIENT_PORT = 7401

/** One group after the other on the same test hosts. */
export class RaftLab {
  readonly #lab: Lab
  #group: RaftProcesses | undefined
  #groups = 0

  private constructor(lab: Lab) {
    this.#lab = lab
  }

  static async start(members = 3): Promise<RaftLab> {
    return new RaftLab(await startLab(members, { uplink: true }))
  }

  /** A new group in an empty folder, started; nobody leads yet. The one before is stopped. */
  async newGroup(options: Pick<RaftLabOptions, 'program' | 'args'> = {}): Promise<void> {
    await this.#group?.stop()
    this.#groups += 1
    const directory = join(this.#lab.folder, `group-${this.#groups}`)
    mkdirSync(directory)
    this.#group = await RaftProcesses.start({
      directory,
      members: this.#lab.hosts.length,
      addresses: (id) => ({ listen: `${this.host(id).address}:${MESH_PORT}`, clients: `${this.host(id).address}:${CLIENT_PORT}` }),
      wrapper: (id) => this.host(id).wrapper,
      args: () => options.args ?? [],
      ...(options.program === undefined ? {} : { program: options.program }),
    })
  }

  get group(): RaftProcesses {
    return present(this.#group, 'group')
  }

  host(id: number): LabHost {
    return present(this.#lab.hosts[id - 1], `host of member ${id}`)
  }

  othersThan(id: number): readonly LabHost[] {
    const own = this.host(id)
    return this.#lab.hosts.filter((host) => host !== own)
  }

  isolate(id: number): Promise<void> {
    return this.#lab.split([this.host(id)], this.othersThan(id))
  }

  heal(): Promise<void> {
    return this.#lab.heal()
  }

  /** Asks a leader to hand over; nothing comes of it where it does not lead or does not answer. */
  async transfer(leader: number, to: number): Promise<void> {
    const client = await KvClient.connect(this.group.node(leader).clients, 500).catch(() => undefined)
    await client?.transfer(to)
    client?.close()
  }

  async stop(options?: { readonly keepFolder?: boolean }): Promise<void> {
    await this.#group?.stop()
    await this.#lab.stop(options)
  }
}
