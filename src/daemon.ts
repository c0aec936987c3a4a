// The agent's process: real ports for agent.ts, bottom-up; signals stop them in reverse. Only the command line loads it, to go on as the agent.
import { mkdir } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { startAgent } from './agent.ts'
import { startApi } from './api/server.ts'
import { realClock } from './base/clock.ts'
import { errorText, exitCode, OperationError } from './base/errors.ts'
import { newId } from './base/ids.ts'
import { type Log } from './base/log.ts'
import { realRandom } from './base/random.ts'
import { memberFiles } from './cluster/member-files.ts'
import { LOAD_TOPIC } from './host/report-load.ts'
import { COMMAND_VERSION } from './inventory/command.ts'
import { type HostFacts } from './inventory/model.ts'
import { nameReasons } from './inventory/validate.ts'
import { parseAddress } from './mesh/address.ts'
import { loadIdentity } from './mesh/identity.ts'
import { startMesh } from './mesh/start-mesh.ts'
import { dirDatastores } from './storage/dir-datastore.ts'
import { cpuShare, machineCounters } from './system/counters.ts'
import { machineFacts } from './system/facts.ts'
import { freeSpaceMiB } from './system/free-space.ts'
import { makePrivateDirectory, PRIVATE_FILE } from './system/files.ts'
import { QEMU, qemuFacts } from './vm/qemu-facts.ts'
import { openQemuDriver } from './vm/qemu-driver.ts'
import { VERSION } from './version.ts'

/** Whoever stops an agent (systemd, a person) waits about this long before it kills. */
const STOP_MS = 8_000

interface Options {
  readonly name: string
  readonly dataDir: string
  readonly listen: string
  readonly socket: string
  readonly api: { readonly host: string; readonly port: number } | null
}

const OPTIONS = {
  name: { type: 'string' },
  'data-dir': { type: 'string', default: '/var/lib/hostmesh' },
  listen: { type: 'string' },
  socket: { type: 'string' },
  api: { type: 'string' },
} as const

/** Throws `usage` naming the option, what it holds and what it needs. */
function parseOptions(args: readonly string[]): Options {
  const values = readArguments(args)
  const name = values.name ?? nameOfMachine()
  const wrong = nameReasons('host', name)[0]
  if (wrong !== undefined) throw new OperationError('usage', `${wrong.message}; give one with --name NAME`)
  if (values.listen === undefined) {
    throw new OperationError(
      'usage',
      '--listen IP:PORT is missing: where the other hosts reach this one, for example --listen 192.0.2.10:7400',
    )
  }
  parseAddress(values.listen)
  const dataDir = resolve(values['data-dir'])
  const tcp = values.api === undefined ? null : parseAddress(values.api)
  const api = tcp === null ? null : { host: tcp.ip, port: tcp.port }
  return { name, dataDir, listen: values.listen, socket: values.socket ?? join(dataDir, 'hostmesh.sock'), api }
}

function readArguments(args: readonly string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'] {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values
  } catch (error) {
    throw new OperationError('usage', errorText(error))
  }
}

/** The first label of the machine's name, in the letters that a host's name may have. */
function nameOfMachine(): string {
  const label = hostname().split('.')[0] ?? ''
  return label
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63)
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  const log: Log = pino({ level: process.env['HOSTMESH_LOG'] ?? 'info', base: { pid: process.pid } })
  await mkdir(options.dataDir, { recursive: true })
  await makePrivateDirectory(options.dataDir)
  const stop = await start(options, log)
  // Else only an agent that ends in peace leaves compiled code to the next, which then starts in half the time.
  flushCompileCache()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'the agent stops; guests run on')
      realClock.after(STOP_MS, () => process.exit(1))
      stop().then(
        () => process.exit(0),
        (error: unknown) => die(log, error),
      )
    })
  }
}

async function start({ name, dataDir, listen, socket, api }: Options, log: Log): Promise<() => Promise<void>> {
  const world = { clock: realClock, random: realRandom, log }
  const machine = await machineFacts()
  const [identity, qemu] = await Promise.all([
    loadIdentity(join(dataDir, 'identity.key'), realRandom),
    qemuFacts({ dataDir, bootId: machine.bootId, clock: realClock }),
  ])
  const facts: HostFacts = { cpu: machine.cpu, memoryMiB: machine.memoryMiB, version: VERSION, commandVersion: COMMAND_VERSION, ...qemu }
  // A boot of the agent, not of the machine: two live ones under one key are two processes.
  const agentBoot = newId<never>((length) => realRandom.bytes(length))
  const mesh = await startMesh({
    ...world,
    identity,
    listen: [listen],
    networks: [],
    dataDir,
    version: VERSION,
    bootId: agentBoot,
    topics: [LOAD_TOPIC],
  })
  const driver = await openQemuDriver({
    ...world,
    directory: join(dataDir, 'vms'),
    qemu: QEMU,
    accelerator: facts.accelerator,
    version: VERSION,
  })
  const agent = await startAgent({
    ...world,
    mesh,
    driver,
    files: dirDatastores(world),
    meter: machineMeter(),
    store: memberFiles(dataDir),
    freeMiB: () => freeSpaceMiB(dataDir),
    facts,
    bootId: machine.bootId,
    hostName: name,
    onFatal: (error) => die(log, error),
  })
  const server = await startApi(agent.api, { socketPath: socket, socketMode: PRIVATE_FILE, tcp: api === null ? null : { ...api, dataDir } })
  log.info({ host: mesh.self, listen: mesh.ownAddresses(), socket, version: VERSION }, 'agent is up')
  return async () => {
    await server.stop()
    await agent.stop()
    await driver.close()
    await mesh.stop()
  }
}

/** The whole machine, between two calls. */
function machineMeter(): { measure(): Promise<{ cpuPercent: number; memoryUsedMiB: number }> } {
  let last = machineCounters()
  return {
    async measure() {
      const before = await last
      const after = await machineCounters()
      last = Promise.resolve(after)
      return { cpuPercent: Math.round(cpuShare(before, after) * 1000) / 10, memoryUsedMiB: after.memoryTotalMiB - after.memoryAvailableMiB }
    },
  }
}

/** A bug or a broken disk: end at once. The supervisor starts the agent again, guests run on under the warden. */
function die(log: Log, error: unknown): void {
  log.error({ error: errorText(error), stack: error instanceof Error ? error.stack : undefined }, 'the agent cannot go on')
  process.exit(1)
}

main().catch((error: unknown) => {
  process.stderr.write(`hostmesh agent: ${errorText(error)}\n`)
  process.exit(error instanceof OperationError ? exitCode(error.code) : 1)
})
