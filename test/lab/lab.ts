// Test hosts for end-to-end tests, benches and the demo: netlab.sh with types, several labs side by side, nothing left behind.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { claimSlot } from './lab-slot.ts'
import { type HostProcess, type Machine, type Machines } from './machine.ts'
import { type Outcome, outcomeOf, type RunOptions, runProgram } from './run-program.ts'

const NETLAB = join(import.meta.dirname, 'netlab.sh')

export interface Lab extends Machines<LabHost> {
  /** Nothing passes between the groups, silently. */
  split(left: readonly LabHost[], right: readonly LabHost[]): Promise<void>
  /** All cables in, no packet dropped, no rate limited. */
  heal(): Promise<void>
}

export interface StartOptions {
  /** Connects the machine itself to the lab's network. */
  readonly uplink?: boolean
}

/** Why this machine can hold no lab, undefined where it can. */
export function labUnavailable(): string | undefined {
  if (process.platform !== 'linux') return `test hosts need Linux, this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'test hosts need root, or: unshare -Urmn --propagation private, with a tmpfs on /run'
  for (const [program, version] of Object.entries({ ip: '-V', nft: '-v', nsenter: '-V' })) {
    try {
      execFileSync(program, [version], { stdio: 'ignore' })
    } catch {
      return `test hosts need ${program} on the PATH (./dev brings it)`
    }
  }
  return undefined
}

/**
 * A lab of `count` hosts. It ends with this process, however that ends: a caretaker waits on a pipe for it. What a machine
 * left behind that lost both is removed by the next lab.
 */
export async function startLab(count: number, options: StartOptions = {}): Promise<Lab> {
  const reason = labUnavailable()
  if (reason !== undefined) throw new Error(reason)
  const folder = mkdtempSync(join(tmpdir(), 'hostmesh-lab-'))
  const slot = await claimSlot(NETLAB, folder)
  const netlab: Netlab = { env: { ...process.env, ...slot.env }, run: (args) => verb(netlab, args) }
  try {
    await netlab.run(['up', String(count), ...(options.uplink === true ? ['--uplink'] : [])])
  } catch (error) {
    await slot.release()
    throw error
  }
  const hosts = Array.from({ length: count }, (_, index) => new LabHost(netlab, `h${index + 1}`, `${slot.env.NET}.${index + 1}`, folder))
  const names = (group: readonly LabHost[]): string => group.map(({ name }) => name).join(' ')
  return {
    hosts,
    folder,
    split: (left, right) => netlab.run(['split', names(left), names(right)]),
    heal: () => netlab.run(['heal']),
    async stop({ keepFolder = false } = {}) {
      if (keepFolder) writeFileSync(join(folder, 'keep'), '')
      await slot.release()
    },
  }
}

interface Netlab {
  readonly env: NodeJS.ProcessEnv
  run(args: readonly string[]): Promise<void>
}

async function verb(netlab: Netlab, args: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await runProgram([NETLAB, ...args], { env: netlab.env })
  if (code !== 0) throw new Error(`netlab.sh ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`)
}

/** One test host. Its files are the machine's; network, processes and host name are its own. */
export class LabHost implements Machine {
  readonly name: string
  /** IPv4, of eth0. */
  readonly address: string
  /** Of this host alone, survives a power cut. */
  readonly folder: string
  readonly #netlab: Netlab

  constructor(netlab: Netlab, name: string, address: string, labFolder: string) {
    this.#netlab = netlab
    this.name = name
    this.address = address
    this.folder = join(labFolder, name)
    mkdirSync(this.folder, { recursive: true })
  }

  /** Powers the host on; then `exec` and `start` run among its processes. */
  boot(): Promise<void> {
    return this.#run('boot')
  }

  /** Runs a command to its end; any exit code is an answer. */
  exec(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return runProgram([NETLAB, 'exec', this.name, ...command], { ...options, env: { ...this.#netlab.env, ...options.env } })
  }

  /** Starts a command that goes on; its output is appended to `NAME.log` in the host's folder. */
  async start(name: string, command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<HostProcess> {
    const logFile = join(this.folder, `${name}.log`)
    // The shell's pid becomes the command's; it is told before the output goes to the log.
    const script = 'echo $$; log=$1; shift; exec "$@" >>"$log" 2>&1'
    const child = spawn(NETLAB, ['exec', this.name, 'sh', '-c', script, name, logFile, ...command], {
      env: { ...this.#netlab.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const ended = outcomeOf(child)
    const pid = await firstNumber(child, ended)
    // From outside, without a process in between: whoever measures what a kill does knows its moment.
    const signal = async (wanted: NodeJS.Signals): Promise<void> => {
      process.kill(commandOf(child), wanted)
      // nsenter stops itself with its command, and would never see the end of one that is continued alone.
      if (wanted === 'SIGCONT') child.kill(wanted)
    }
    return { pid, logFile, ended, signal }
  }

  /** In front of a command: it becomes that command on a host that was not booted, with its pid and streams, a child of whoever started it. */
  get wrapper(): readonly string[] {
    const { LAB = '', NET = '', DIR = '' } = this.#netlab.env
    return ['env', `LAB=${LAB}`, `NET=${NET}`, `DIR=${DIR}`, NETLAB, 'exec', this.name]
  }

  /** What `start` logged under that name so far. */
  log(name: string): string {
    return readFileSync(join(this.folder, `${name}.log`), 'utf8')
  }

  /** Pulls the cable. */
  cut(): Promise<void> {
    return this.#run('cut')
  }

  /** Plugs the cable. */
  join(): Promise<void> {
    return this.#run('join')
  }

  /** Packets to that host, or to everybody, vanish silently. */
  dropTo(other: LabHost | 'ALL'): Promise<void> {
    return this.#run('drop', nameOf(other))
  }

  undropTo(other: LabHost | 'ALL'): Promise<void> {
    return this.#run('undrop', nameOf(other))
  }

  /** Per cent of the packets to and from this host vanish. */
  loss(percent: number): Promise<void> {
    return this.#run('loss', String(percent))
  }

  /** For example 100mbit, both ways. */
  rate(rate: string): Promise<void> {
    return this.#run('rate', rate)
  }

  /** The processes of the host share that part of one core. */
  cpu(percent: number | 'off'): Promise<void> {
    return this.#run('cpu', String(percent))
  }

  freeze(): Promise<void> {
    return this.#run('freeze')
  }

  thaw(): Promise<void> {
    return this.#run('thaw')
  }

  /** Every process killed; the kernel lives and tells the peers at once. */
  crash(): Promise<void> {
    return this.#run('crash')
  }

  /** As in a power cut: peers hear nothing. `join` and `boot` bring it back. */
  poweroff(): Promise<void> {
    return this.#run('poweroff')
  }

  #run(name: string, ...args: readonly string[]): Promise<void> {
    return this.#netlab.run([name, this.name, ...args])
  }
}

function nameOf(host: LabHost | 'ALL'): string {
  return host === 'ALL' ? host : host.name
}

/** The command's pid as this machine numbers it: nsenter has to fork to get into the host's process ids, and waits for it. */
function commandOf({ pid = 0 }: ChildProcess): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return children === '' ? pid : Number(children.split(' ')[0])
}

/** The first line of the child's output, which has to be a number. */
function firstNumber(child: ChildProcess, ended: Promise<Outcome>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(Number.parseInt(chunk.toString(), 10)))
    ended.then(({ code, stderr }) => reject(new Error(`ended at once with exit code ${code}: ${stderr}`)), reject)
  })
}
