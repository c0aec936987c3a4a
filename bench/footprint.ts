// What it costs to be there: 50 VMs defined and 10 running on three hosts; agents, warden, command line, and what npm installs.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createDiskGuest } from '../test/lab/guests.ts'
import { leadership, statusOf } from '../test/lab/look.ts'
import { formMesh, HOSTMESH, type MeshHost, startMeshLab } from '../test/lab/mesh-lab.ts'
import { runProgram } from '../test/lab/run-program.ts'
import { pause, waitFor } from '../test/lab/wait-for.ts'
import { median, printFigures, roundsWanted } from './shared/figures.ts'

const DEFINED = 50
const RUNNING = 10
const IDLE_MS = 20_000
/** What USER_HZ is on every Linux that people run: /proc/PID/stat counts in these. */
const TICKS_PER_S = 100
/** Promised on a machine where Node itself starts and ends in as much. */
const HELP_MS = 60
const BARE_NODE_MS = 38
const ROOT = join(import.meta.dirname, '..')

const rounds = roundsWanted(10)
const lab = await startMeshLab(3)
try {
  await formMesh(lab)
  await makeVms()
  const { leader, others } = await leadership(lab.hosts)
  const idle = await Promise.all([leader, ...others].map(idlePercent))
  const memory = await Promise.all([leader, ...others].map((host) => memoryMiB(host, host.agent.pid)))
  const wardens = await Promise.all(lab.hosts.map(async (host) => memoryMiB(host, await pidOf(host, 'src/warden.ts'))))
  printFigures(`Three hosts, ${DEFINED} VMs defined, ${RUNNING} running, nothing to do`, [
    { name: 'CPU of the agent that leads', values: idle.slice(0, 1), unit: '%' },
    { name: 'CPU of an agent that follows', values: idle.slice(1), unit: '%' },
    { name: 'memory of an agent (resident)', values: memory, unit: 'MiB' },
    { name: 'memory of a warden (resident)', values: wardens, unit: 'MiB' },
  ])
  const env = { ...process.env, ...leader.env }
  const node = await cpuMs([process.execPath, '-e', '0'], env)
  const help = await cpuMs([HOSTMESH, '--help'], env)
  const list = await cpuMs([HOSTMESH, 'vm', 'list'], env)
  const timesNode = (values: readonly number[]): readonly number[] => values.map((value) => value / median(node))
  printFigures('CPU time of commands, user and system; a busy machine stretches all of them, the ratios stay', [
    { name: 'node -e 0', values: node, unit: 'ms' },
    { name: 'hostmesh --help', values: help, unit: 'ms', promised: HELP_MS },
    { name: 'hostmesh --help, of bare Node', values: timesNode(help), unit: 'x', promised: HELP_MS / BARE_NODE_MS },
    { name: `hostmesh vm list (${DEFINED} VMs)`, values: list, unit: 'ms' },
    { name: `hostmesh vm list (${DEFINED} VMs), of bare Node`, values: timesNode(list), unit: 'x' },
  ])
} finally {
  await lab.stop()
}
const { direct, all, bytes } = dependencies()
process.stdout.write(`\nrun-time dependencies: ${direct} named, ${all} packages in all, ${(bytes / 2 ** 20).toFixed(1)} MiB\n`)

/** Those that run boot from a disk of their own; the others are words in the inventory. */
async function makeVms(): Promise<void> {
  const [first] = lab.hosts
  if (first === undefined) return
  for (let number = 1; number <= RUNNING; number += 1) await createDiskGuest(first, lab, `run-${number}`)
  for (let number = RUNNING + 1; number <= DEFINED; number += 1) {
    const body = { name: `defined-${number}`, vcpus: 1, memoryMiB: 64 }
    await first.api.call('vmCreate', { query: {}, body }, { signal: AbortSignal.timeout(30_000) })
  }
  for (let number = 1; number <= RUNNING; number += 1) await first.ok('vm', 'start', `run-${number}`)
  const allRun = async (): Promise<boolean> => (await statusOf(first)).vms.running === RUNNING
  await waitFor(`${RUNNING} VMs to run`, allRun, { limitMs: 120_000 })
}

/** Of one core, of an agent that nobody asks for anything. */
async function idlePercent(host: MeshHost): Promise<number> {
  const before = await cpuTicks(host)
  const from = performance.now()
  await pause(IDLE_MS)
  const ticks = (await cpuTicks(host)) - before
  return (100 * ticks) / TICKS_PER_S / ((performance.now() - from) / 1000)
}

async function cpuTicks({ host, agent }: MeshHost): Promise<number> {
  const { stdout } = await host.exec(['cat', `/proc/${agent.pid}/stat`])
  // Behind the name in parentheses: state is field 3, user and system time are 14 and 15 (proc(5)).
  const fields = stdout.slice(stdout.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

async function memoryMiB({ host }: MeshHost, pid: number): Promise<number> {
  const { stdout } = await host.exec(['cat', `/proc/${pid}/status`])
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(stdout)?.[1]) / 1024
}

async function pidOf({ host }: MeshHost, text: string): Promise<number> {
  const { stdout } = await host.exec(['pgrep', '-n', '-f', text])
  return Number(stdout)
}

/** bash counts the CPU time of a child that it has waited for. */
async function cpuMs(command: readonly string[], env: NodeJS.ProcessEnv): Promise<readonly number[]> {
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const { stderr } = await runProgram(['bash', '-c', 'TIMEFORMAT="%U %S"; time "$@" >/dev/null 2>&1', 'cpu', ...command], { env })
    times.push(
      1000 *
        stderr
          .trim()
          .split(' ')
          .map(Number)
          .reduce((sum, value) => sum + value, 0),
    )
  }
  return times
}

/** What `npm ci --omit=dev --omit=optional` installs, by the lock file, and what that takes here. */
function dependencies(): { readonly direct: number; readonly all: number; readonly bytes: number } {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, LockedPackage> }
  const { '': project, ...packages } = lock.packages
  const wanted = Object.entries(packages).filter(([path, about]) => !isLeftOut(about) && existsSync(join(ROOT, path)))
  return {
    direct: Object.keys(project?.dependencies ?? {}).length,
    all: wanted.length,
    bytes: wanted.reduce((sum, [path]) => sum + sizeOf(join(ROOT, path)), 0),
  }
}

interface LockedPackage {
  readonly dependencies?: Record<string, string>
  readonly dev?: boolean
  readonly optional?: boolean
  readonly devOptional?: boolean
}

function isLeftOut({ dev, optional, devOptional }: LockedPackage): boolean {
  return dev === true || optional === true || devOptional === true
}

/** Without the packages inside it, which stand in the lock file themselves. */
function sizeOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'node_modules' ? sum : sum + sizeOf(path)
    return sum + (entry.isFile() ? statSync(path).size : 0)
  }, 0)
}
