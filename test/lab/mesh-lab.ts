// Real agents on test hosts, used as an administrator uses them: through the command line of any host.
import { mkdirSync, copyFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { guestFiles } from '../fixture/guest/guest-files.ts'
import { type HostProcess, type Lab, type LabHost, startLab } from './lab.ts'
import { type Outcome, runProgram } from './run-program.ts'
import { waitFor } from './wait-for.ts'

const HOSTMESH = join(import.meta.dirname, '../../bin/hostmesh')
const MESH_PORT = 7400

/** A test host with its agent. */
export class MeshHost {
  readonly host: LabHost
  #agent: HostProcess | undefined

  constructor(host: LabHost) {
    this.host = host
  }

  get name(): string {
    return this.host.name
  }

  get dataDir(): string {
    return join(this.host.folder, 'data')
  }

  get socket(): string {
    return join(this.dataDir, 'hostmesh.sock')
  }

  get agent(): HostProcess {
    if (this.#agent === undefined) throw new Error(`no agent was started on ${this.name}`)
    return this.#agent
  }

  /** Powers the host on if need be and starts its agent; resolves when its API answers. */
  async startAgent(options: { readonly boot?: boolean; readonly args?: readonly string[] } = {}): Promise<void> {
    if (options.boot !== false) await this.host.boot()
    const listen = `${this.host.address}:${MESH_PORT}`
    const args = ['agent', '--name', this.name, '--data-dir', this.dataDir, '--listen', listen, ...(options.args ?? [])]
    this.#agent = await this.host.start('agent', [HOSTMESH, ...args])
    await this.answers()
  }

  /** Until somebody accepts at the agent's socket. */
  async answers(): Promise<void> {
    await waitFor(`the agent of ${this.name} to listen`, () => accepts(this.socket), { limitMs: 30_000, everyMs: 20 })
  }

  /** kill -9 of the agent alone. */
  async killAgent(): Promise<void> {
    await this.agent.signal('SIGKILL')
    await this.agent.ended
  }

  /** Runs the command line against this host's agent; any exit code is an answer. */
  cli(...args: readonly string[]): Promise<Outcome> {
    return runProgram([HOSTMESH, ...args], { env: { ...process.env, HOSTMESH_SOCKET: this.socket, NO_COLOR: '1' } })
  }

  /** Runs a command that has to succeed; returns what it printed. */
  async ok(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cli(...args)
    if (code !== 0) throw new Error(`${this.name}: hostmesh ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`)
    return stdout
  }

  /** The same as JSON; the caller names the shape it relies on. */
  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '-o', 'json')) as T
  }
}

export interface MeshLab {
  readonly lab: Lab
  readonly hosts: readonly MeshHost[]
  /** A datastore that all hosts see; holds the test guest's `vmlinuz` and `initrd`. */
  readonly datastore: string
  stop(options?: { readonly keepFolder?: boolean }): Promise<void>
}

/** Hosts with running agents that belong to no mesh yet. */
export async function startMeshLab(count: number): Promise<MeshLab> {
  const guest = await guestFiles()
  const lab = await startLab(count)
  try {
    const datastore = join(lab.folder, 'shared')
    mkdirSync(datastore)
    copyFileSync(guest.kernel, join(datastore, 'vmlinuz'))
    copyFileSync(guest.initrd, join(datastore, 'initrd'))
    const hosts = lab.hosts.map((host) => new MeshHost(host))
    await Promise.all(hosts.map((host) => host.startAgent()))
    return { lab, hosts, datastore, stop: (options) => lab.stop(options) }
  } catch (error) {
    await lab.stop({ keepFolder: true })
    throw error
  }
}

/** The first host founds mesh `lab`, the others join with one token; returns when all have joined. Datastore `shared` is added. */
export async function formMesh({ hosts, datastore }: MeshLab): Promise<void> {
  const [first, ...others] = hosts
  if (first === undefined) return
  await first.ok('init', '--name', 'lab')
  if (others.length > 0) {
    const { token } = await first.json<{ token: string }>('token', 'create')
    for (const host of others) await host.ok('join', token)
  }
  await first.ok('datastore', 'add', 'shared', '--path', datastore)
}

/** Until the mesh has that many voters, as the first host sees it. */
export async function votersAre(host: MeshHost, count: number): Promise<void> {
  await waitFor(
    `${count} voters`,
    async () => {
      const hosts = await host.json<{ raft: string | null }[]>('host', 'list')
      return hosts.filter(({ raft }) => raft === 'leader' || raft === 'voter').length === count
    },
    { limitMs: 40_000, everyMs: 250 },
  )
}

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const line = connect(socket)
    line.once('connect', () => {
      line.destroy()
      resolve(true)
    })
    line.once('error', () => resolve(false))
  })
}
