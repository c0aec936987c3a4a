// Test hosts where there are no namespaces: plain processes, an address of 127.0.0.0/8 each. No cable to pull, no silence to hear.
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HostProcess, type Machine, type Machines } from './machine.ts'
import { type Outcome, outcomeOf, type RunOptions, runProgram } from './run-program.ts'
import { waitFor } from './wait-for.ts'

/** Hosts that end with this process, as long as it ends by itself or by a signal that it can hear: call `stop` there. */
export function startLoopbackLab(count: number): Machines<LoopbackHost> {
  const folder = mkdtempSync(join(tmpdir(), 'hostmesh-lab-'))
  const hosts = Array.from({ length: count }, (_, index) => new LoopbackHost(`h${index + 1}`, `127.0.0.${index + 1}`, folder))
  return {
    hosts,
    folder,
    async stop({ keepFolder = false } = {}) {
      await Promise.all(hosts.map((host) => host.poweroff()))
      if (!keepFolder) rmSync(folder, { recursive: true, force: true })
    },
  }
}

export class LoopbackHost implements Machine {
  readonly name: string
  readonly address: string
  readonly folder: string

  constructor(name: string, address: string, labFolder: string) {
    this.name = name
    this.address = address
    this.folder = join(labFolder, name)
    mkdirSync(this.folder, { recursive: true })
  }

  async boot(): Promise<void> {}

  async cut(): Promise<void> {}

  async join(): Promise<void> {}

  exec(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return runProgram(command, options)
  }

  async start(name: string, command: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<HostProcess> {
    const logFile = join(this.folder, `${name}.log`)
    const log = openSync(logFile, 'a')
    const [program = '', ...args] = command
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', log, log], detached: true })
    closeSync(log)
    const signal = async (wanted: NodeJS.Signals): Promise<void> => void child.kill(wanted)
    return { pid: child.pid ?? 0, logFile, ended: outcomeOf(child), signal }
  }

  /** Kills until nobody is left: a warden may be about to start a guest. Unlike at a power cut, peers hear of it at once. */
  async poweroff(): Promise<void> {
    await waitFor(`the processes of ${this.name} to end`, () => {
      const alive = this.#processes()
      for (const pid of alive) kill(pid)
      return alive.length === 0
    })
  }

  /** Agent, warden, guests and what they started: each was told where the host's data are. */
  #processes(): number[] {
    const mark = join(this.folder, 'data')
    return readdirSync('/proc')
      .filter((entry) => /^\d+$/.test(entry))
      .map(Number)
      .filter((pid) => pid !== process.pid && commandLine(pid).includes(mark))
  }
}

/** Empty for one that is gone, and for a zombie. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It was faster.
  }
}
