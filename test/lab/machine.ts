// What an agent can live on in a test or the demo: a network namespace (lab.ts), or no more than an address (loopback-lab.ts).
import { type Outcome, type RunOptions } from './run-program.ts'

export interface Machine {
  readonly name: string
  /** IPv4. */
  readonly address: string
  /** Of this machine alone, survives a power cut. */
  readonly folder: string
  /** Powers the machine on; then `exec` and `start` run among its processes. */
  boot(): Promise<void>
  /** Runs a command to its end; any exit code is an answer. */
  exec(command: readonly string[], options?: RunOptions): Promise<Outcome>
  /** Starts a command that goes on; its output is appended to `NAME.log` in the machine's folder. */
  start(name: string, command: readonly string[], env?: NodeJS.ProcessEnv): Promise<HostProcess>
  /** Ends every process at once. */
  poweroff(): Promise<void>
  /** Pulls the cable, where there is one. */
  cut(): Promise<void>
  /** Plugs the cable; a power cut pulls it too. */
  join(): Promise<void>
}

/** A process that was started on a machine and goes on. */
export interface HostProcess {
  /** As the processes of the machine see it. */
  readonly pid: number
  readonly logFile: string
  readonly ended: Promise<Outcome>
  signal(name: NodeJS.Signals): Promise<void>
}

export interface Machines<M extends Machine> {
  /** h1, h2, …: powered off. */
  readonly hosts: readonly M[]
  /** Of all of them, removed with them: logs, and whatever they share. */
  readonly folder: string
  /** Ends every process of every machine; the folder stays where `keepFolder` is set. */
  stop(options?: { readonly keepFolder?: boolean }): Promise<void>
}
