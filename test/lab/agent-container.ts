// A container whose main process is an agent, used as an administrator uses it: through the command line in it.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers'

const CHECKOUT = join(import.meta.dirname, '../..')
const NODE = dirname(dirname(process.execPath))
const QEMU = '/usr/bin/qemu-system-x86_64'
const HOSTMESH = '/app/bin/hostmesh'
const MESH_PORT = 7400

/** On a machine that does much else at the same time, an agent may take this long to start; alone it takes a second. */
const AGENT_START_MS = 90_000

export interface ContainerPlace {
  /** An image of bindimg.sh. */
  readonly image: string
  readonly network: string
  /** IPv4 in that network; kept over a restart, as the agent listens on it. */
  readonly address: string
}

export class AgentContainer {
  readonly name: string
  readonly #container: StartedTestContainer

  private constructor(name: string, container: StartedTestContainer) {
    this.name = name
    this.#container = container
  }

  /** Resolves when the agent is up. It has no QEMU, whatever the machine has. */
  static async start(name: string, place: ContainerPlace): Promise<AgentContainer> {
    const container = await new AddressedContainer(place)
      .withHostname(name)
      .withBindMounts([
        { source: '/usr', target: '/usr', mode: 'ro' },
        { source: NODE, target: '/node', mode: 'ro' },
        { source: CHECKOUT, target: '/app', mode: 'ro' },
        // In the way of the machine's QEMU, if there is one: a device cannot be run.
        ...(existsSync(QEMU) ? [{ source: '/dev/null', target: QEMU, mode: 'ro' as const }] : []),
      ])
      .withEnvironment({ NODE_COMPILE_CACHE: '/tmp/compile-cache', NO_COLOR: '1' })
      .withCommand([HOSTMESH, 'agent', '--listen', `${place.address}:${MESH_PORT}`])
      .withWaitStrategy(Wait.forLogMessage('agent is up'))
      .withStartupTimeout(AGENT_START_MS)
      .start()
    return new AgentContainer(name, container)
  }

  /** Runs a command that has to succeed, in the container; returns what it printed. */
  async ok(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.#container.exec([HOSTMESH, ...args])
    if (exitCode !== 0) throw new Error(`${this.name}: hostmesh ${args.join(' ')}: exit code ${exitCode}\n${stdout}${stderr}`)
    return stdout
  }

  /** The same as JSON; the caller names the shape it relies on. */
  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '-o', 'json')) as T
  }

  /** SIGKILL; the container stays, with its files. */
  async kill(): Promise<void> {
    const container = await this.#handle()
    await container.kill()
    await container.wait()
  }

  /** After `kill`; the agent needs a moment until it answers. */
  async startAgain(): Promise<void> {
    await (await this.#handle()).start()
  }

  // What testcontainers calls a stop removes the container.
  async #handle() {
    return (await getContainerRuntimeClient()).container.getById(this.#container.getId())
  }
}

/** Testcontainers leaves the address to the engine, which gives another one after a restart. */
class AddressedContainer extends GenericContainer {
  constructor({ image, network, address }: ContainerPlace) {
    super(image)
    this.withNetworkMode(network)
    this.createOpts.NetworkingConfig = { EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: address } } } }
  }
}
