// Runs a program to its end and keeps what it said.
import { type ChildProcess, spawn } from 'node:child_process'

export interface Outcome {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  /** What it reads on its standard input. */
  readonly input?: string
  /** After that it is killed. */
  readonly limitMs?: number
}

/** Resolves when the program has ended, with whatever exit code; rejects where it could not be started. */
export function runProgram(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const [program = '', ...args] = command
  const child = spawn(program, args, {
    env: options.env ?? process.env,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    timeout: options.limitMs ?? 60_000,
    killSignal: 'SIGKILL',
  })
  // A program that ends without reading its input is no fault of the caller.
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(options.input)
  return outcomeOf(child)
}

/** What a child with piped output has said by its end. */
export function outcomeOf(child: ChildProcess): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }))
  })
}
