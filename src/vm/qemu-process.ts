// One QEMU as its parent sees it: started so that it dies with the parent, spoken to over its own monitor, ended and reaped.
import { spawn, type ChildProcess } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep, type Clock } from '../base/clock.ts'
import { abortable, deadline } from '../base/deadline.ts'
import { hasCode, OperationError } from '../base/errors.ts'
import { PRIVATE_FILE, readTail } from '../system/files.ts'
import { startTicksOf } from '../system/facts.ts'
import { connectQmp, type Qmp } from './qmp.ts'
import { QEMU_OUTPUT, WARDEN_MONITOR } from './warden-protocol.ts'

/** QEMU makes its sockets some 20 ms after its start under no load. */
const CONNECT_EVERY_MS = 10
const CONNECT_TIMEOUT_MS = 5_000
/** QEMU's last words are a line or two; a crash report of glib some ten. */
const LAST_WORDS_BYTES = 4 * 1024

export interface QemuExit {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly lastWords: string
}

export class QemuProcess {
  readonly pid: number
  readonly startTicks: number
  /** Resolves when the process is reaped. Never rejects. */
  readonly exited: Promise<QemuExit>
  readonly #child: ChildProcess
  readonly #directory: string
  readonly #clock: Clock
  #qmp: Qmp | undefined
  #gone = false

  /**
   * Starts `argv` in a directory made for this run. setpriv puts the death signal in place before QEMU's first instruction; it is tied to the
   * thread that forks, so call this on the main thread only. Throws `failed` when there is no such program.
   */
  static async start(argv: readonly string[], directory: string, clock: Clock): Promise<QemuProcess> {
    const output = await open(join(directory, QEMU_OUTPUT), 'a', PRIVATE_FILE)
    try {
      const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...argv], {
        cwd: directory,
        stdio: ['ignore', output.fd, output.fd],
        env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      })
      // Listened for from the first turn on: an exit must not be missed while the start is still being noted.
      const exit = exitOf(child)
      const pid = await pidOf(child)
      // 0: it ended before anybody looked.
      const startTicks = (await startTicksOf(pid)) ?? 0
      return new QemuProcess({ child, pid, startTicks, exit, directory, clock })
    } finally {
      await output.close()
    }
  }

  private constructor(made: {
    readonly child: ChildProcess
    readonly pid: number
    readonly startTicks: number
    readonly exit: Promise<Omit<QemuExit, 'lastWords'>>
    readonly directory: string
    readonly clock: Clock
  }) {
    this.pid = made.pid
    this.startTicks = made.startTicks
    this.#child = made.child
    this.#directory = made.directory
    this.#clock = made.clock
    this.exited = made.exit.then(async (exit) => {
      this.#gone = true
      this.#qmp?.close()
      return { ...exit, lastWords: await lastWords(this.#directory) }
    })
  }

  /**
   * Resolves when QEMU answers its monitor. Rejects with `failed` and its last words when it ends instead, with `timeout` when it does
   * neither.
   */
  async ready(timeoutMs: number): Promise<void> {
    const limit = deadline(this.#clock, timeoutMs, `the start of QEMU ${this.pid}`)
    try {
      await Promise.race([this.#connect(limit.signal), this.exited])
      if (this.#qmp !== undefined && !this.#gone) return
      const { lastWords } = await this.exited
      throw new OperationError('failed', lastWords === '' ? 'QEMU ended without a word' : lastWords)
    } finally {
      limit.done()
    }
  }

  /** A command on the warden's own monitor. Errors as of Qmp.execute; `unreachable` while QEMU has not answered yet. */
  execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return this.#monitor().execute(command, args)
  }

  /** Resets the machine and lets it run, also where the guest had switched itself off. */
  async reset(timeoutMs: number): Promise<void> {
    const qmp = this.#monitor()
    const limit = deadline(this.#clock, timeoutMs, `the reset of QEMU ${this.pid}`)
    // The answer comes before the reset; `cont` is refused until that is done.
    const done = Promise.withResolvers<void>()
    const off = qmp.onEvent(({ name }) => {
      if (name === 'RESET') done.resolve()
    })
    try {
      await qmp.execute('system_reset')
      await abortable(done.promise, limit.signal)
      await qmp.execute('cont')
    } finally {
      off()
      limit.done()
    }
  }

  /** Asks QEMU to quit, which closes its disks in order; kill -9 after `graceMs`. Resolves when it is reaped. */
  async end(graceMs: number): Promise<void> {
    const exited = this.exited.then(() => {})
    try {
      // The answer may be lost with the connection; what counts is the exit.
      this.#qmp?.execute('quit').catch(() => {})
      if (this.#qmp !== undefined) await Promise.race([exited, sleep(this.#clock, graceMs)])
    } finally {
      this.kill()
    }
    await exited
  }

  /** kill -9; harmless when it is gone. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #monitor(): Qmp {
    if (this.#qmp === undefined) throw new OperationError('unreachable', `QEMU ${this.pid} does not answer QMP yet`)
    return this.#qmp
  }

  /** Resolves when connected, or when there is nothing to connect to any more. */
  async #connect(signal: AbortSignal): Promise<void> {
    const path = join(this.#directory, WARDEN_MONITOR)
    while (this.#qmp === undefined && !this.#gone) {
      try {
        this.#qmp = await connectQmp({ path, clock: this.#clock, timeoutMs: CONNECT_TIMEOUT_MS, signal })
      } catch (error) {
        if (!hasCode(error, 'unreachable')) throw error
        await sleep(this.#clock, CONNECT_EVERY_MS, signal)
      }
    }
  }
}

function exitOf(child: ChildProcess): Promise<Omit<QemuExit, 'lastWords'>> {
  return new Promise((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))
  })
}

function pidOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new OperationError('failed', `setpriv could not be run: ${cause.message}`, { cause })))
    child.once('spawn', () => {
      if (child.pid !== undefined) resolve(child.pid)
    })
  })
}

async function lastWords(directory: string): Promise<string> {
  const text = new TextDecoder().decode(await readTail(join(directory, QEMU_OUTPUT), LAST_WORDS_BYTES))
  return text.trim()
}
