// Runs a program to its end: an argument list and never a shell, with a time limit, bounded output, and its last words in the error.
import { spawn } from 'node:child_process'
import { type Clock } from '../base/clock.ts'
import { deadline } from '../base/deadline.ts'
import { OperationError } from '../base/errors.ts'

export interface ProgramCall {
  /** Absolute, or a name that is looked up in PATH. */
  readonly program: string
  readonly args: readonly string[]
  readonly clock: Clock
  /** After it the program is killed with SIGKILL. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** More than this on either output ends the program: what we call answers in a few lines. */
  readonly maxOutputBytes?: number
}

export interface ProgramResult {
  readonly stdout: string
  readonly stderr: string
}

/** Enough for a JSON answer about one image or the list of machine types. */
const MAX_OUTPUT_BYTES = 1024 * 1024

/**
 * Resolves when the program ended with status 0. Rejects with `failed` (exit status or signal, and the last lines of its error output; program
 * missing), `timeout`, `too-large`, or the signal's reason; in every case after the process is gone.
 */
export async function runProgram(call: ProgramCall): Promise<ProgramResult> {
  const limit = deadline(call.clock, call.timeoutMs, describe(call), call.signal)
  try {
    return await runUntilClosed(call, limit.signal)
  } finally {
    limit.done()
  }
}

interface Failure {
  readonly error: unknown
}

function runUntilClosed(call: ProgramCall, signal: AbortSignal): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    // One language for all messages: people and the recogniser of image locks read them.
    const child = spawn(call.program, call.args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } })
    let failure: Failure | undefined
    const fail = (error: unknown): void => {
      failure ??= { error }
      child.kill('SIGKILL')
    }
    const stdout = collect(child.stdout, call, fail)
    const stderr = collect(child.stderr, call, fail)
    const onAbort = (): void => fail(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    child.on('error', (cause) => {
      failure ??= { error: new OperationError('failed', `${call.program} could not be run: ${cause.message}`, { cause }) }
    })
    child.on('close', (status, killedBy) => {
      signal.removeEventListener('abort', onAbort)
      if (failure !== undefined) reject(failure.error)
      else if (status === 0) resolve({ stdout: stdout(), stderr: stderr() })
      else reject(programFailed(call, { status, killedBy, stderr: stderr() }))
    })
  })
}

/** Returns the function that gives the text so far. */
function collect(stream: NodeJS.ReadableStream, call: ProgramCall, fail: (error: unknown) => void): () => string {
  const limit = call.maxOutputBytes ?? MAX_OUTPUT_BYTES
  const chunks: Buffer[] = []
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limit) fail(new OperationError('too-large', `${describe(call)} wrote more than ${limit} bytes`))
    else chunks.push(chunk)
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

interface Ending {
  readonly status: number | null
  readonly killedBy: NodeJS.Signals | null
  readonly stderr: string
}

function programFailed(call: ProgramCall, ending: Ending): OperationError {
  const how = ending.killedBy === null ? `ended with status ${ending.status ?? 'unknown'}` : `was ended by ${ending.killedBy}`
  const words = lastLines(ending.stderr)
  return new OperationError('failed', `${describe(call)} ${how}${words === '' ? '' : `: ${words}`}`, {
    data: { program: call.program, args: call.args, status: ending.status, signal: ending.killedBy },
  })
}

/** A program says what went wrong at its end. */
const LAST_LINES = 5

/** The last lines of an error output as one line. */
export function lastLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(-LAST_LINES)
    .join('; ')
}

/** Program and first argument: `qemu-img create`. */
function describe(call: ProgramCall): string {
  return [call.program, ...call.args.slice(0, 1)].join(' ')
}
