// Real agents on test hosts, used as an administrator uses them: through the command line of any host.
import { copyFileSync, mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { type ApiClient, apiClient } from '../../src/api/client.ts'
import { realClock } from '../../src/base/clock.ts'
import { guestFiles } from '../fixture/guest/guest-files.ts'
import { startLab, type Lab, type LabHost } from './lab.ts'
import { type HostProcess, type Machine, type Machines } from './machine.ts'
import { type Outcome, type RunOptions, runProgram } from './run-program.ts'
import { waitFor } from './wait-for.ts'

const BIN = join(import.meta.dirname, '../../bin')
export const HOSTMESH = join(BIN, 'hostmesh')
const MESH_PORT = 7400

/** On a machine that does much else at the same time, an agent may take this long to start; alone it takes a second. */
const AGENT_START_MS = 120_000

/** Longer than any command waits for a guest that does what it is asked. */
const COMMAND_MS = 120_000

/** A test host with its agent. */
export class MeshHost<M extends Machine = LabHost> {
  readonly host: M
  /** The agent's API without a process a call: for looking often, and for measuring. */
  readonly api: ApiClient
  #agent: HostProcess | undefined

  constructor(host: M) {
    this.host = host
    this.api = apiClient({ kind: 'socket', path: this.socket }, realClock)
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

  /** Its arguments behind `hostmesh`. */
  get agentArguments(): readonly string[] {
    return ['agent', '--name', this.name, '--data-dir', this.dataDir, '--listen', `${this.host.address}:${MESH_PORT}`]
  }

  /** What finds the agent from a shell of this host. */
  get env(): NodeJS.ProcessEnv {
    return { PATH: `${BIN}${delimiter}${process.env['PATH'] ?? ''}`, HOSTMESH_SOCKET: this.socket }
  }

  /** Powers the host on if need be and starts its agent, under `wrapper` if there is one; resolves when its API answers. */
  async startAgent(options: { readonly boot?: boolean; readonly wrapper?: readonly string[] } = {}): Promise<void> {
    if (options.boot !== false) await this.host.boot()
    this.#agent = await this.host.start('agent', [...(options.wrapper ?? []), HOSTMESH, ...this.agentArguments])
    await this.answers()
  }

  /** Until somebody accepts at the agent's socket; fails at once where the agent has ended. */
  async answers(): Promise<void> {
    let ended: Outcome | undefined
    const agent = this.agent
    const watch = agent.ended.then((outcome) => (ended = outcome))
    await waitFor(`the agent of ${this.name} to listen`, () => ended !== undefined || accepts(this.socket), { limitMs: AGENT_START_MS })
    if (ended !== undefined) throw new Error(`the agent of ${this.name} ended with exit code ${(await watch).code}, see ${agent.logFile}`)
  }

  /** kill -9 of the agent alone. */
  async killAgent(): Promise<void> {
    await this.agent.signal('SIGKILL')
    await this.agent.ended
  }

  /** As at the end of a power cut, with the cable plugged. */
  async powerOn(): Promise<void> {
    await this.host.join()
    await this.startAgent()
  }

  /** Runs the command line against this host's agent; any exit code is an answer. */
  cli(...args: readonly string[]): Promise<Outcome> {
    return this.cliWith({}, ...args)
  }

  cliWith(options: RunOptions, ...args: readonly string[]): Promise<Outcome> {
    return runProgram([HOSTMESH, ...args], { limitMs: COMMAND_MS, ...options, env: { ...process.env, ...this.env, NO_COLOR: '1' } })
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

export interface MeshLab<M extends Machine = LabHost> {
  readonly hosts: readonly MeshHost<M>[]
  /** Of everything that the lab holds. */
  readonly folder: string
  /** A datastore that all hosts see; holds the test guest's `vmlinuz` and `initrd`. */
  readonly datastore: string
  stop(options?: { readonly keepFolder?: boolean }): Promise<void>
}

/** Hosts with running agents that belong to no mesh yet. */
export async function startMeshLab(count: number): Promise<MeshLab & { readonly lab: Lab }> {
  const lab = await startLab(count)
  try {
    const mesh = await meshLab(lab)
    await Promise.all(mesh.hosts.map((host) => host.startAgent()))
    return { ...mesh, lab }
  } catch (error) {
    await lab.stop({ keepFolder: true })
    throw error
  }
}

/** The hosts of a lab as hosts of a mesh to be, powered off, and the datastore. */
export async function meshLab<M extends Machine>(machines: Machines<M>): Promise<MeshLab<M>> {
  const guest = await guestFiles()
  const datastore = join(machines.folder, 'shared')
  mkdirSync(datastore)
  copyFileSync(guest.kernel, join(datastore, 'vmlinuz'))
  copyFileSync(guest.initrd, join(datastore, 'initrd'))
  const hosts = machines.hosts.map((host) => new MeshHost(host))
  return { hosts, folder: machines.folder, datastore, stop: (options) => machines.stop(options) }
}

/** The first host founds mesh `lab`, the others join with one token, datastore `shared` is added; returns when there are `voters`. */
export async function formMesh<M extends Machine>(
  { hosts, datastore }: Pick<MeshLab<M>, 'hosts' | 'datastore'>,
  voters = 3,
): Promise<void> {
  const [first, ...others] = hosts
  if (first === undefined) return
  await first.ok('init', '--name', 'lab')
  if (others.length > 0) {
    const token = await newToken(first)
    for (const host of others) await host.ok('join', token)
  }
  await first.ok('datastore', 'add', 'shared', datastore)
  await votersAre(first, voters)
}

export async function newToken<M extends Machine>(host: MeshHost<M>, ...args: readonly string[]): Promise<string> {
  return (await host.json<{ secret: string }>('token', 'create', ...args)).secret
}

/** Until the mesh has that many voters, as this host sees it. A newcomer has to be up for 10 s before it may vote. */
export async function votersAre<M extends Machine>(host: MeshHost<M>, count: number): Promise<void> {
  const look = async (): Promise<boolean> => {
    const { answer } = await host.api.call('hostList', {}, { signal: AbortSignal.timeout(5_000) })
    return answer.filter(({ raft }) => raft === 'leader' || raft === 'voter').length === count
  }
  await waitFor(`${count} voters`, look, { limitMs: 60_000, everyMs: 100 })
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
