// The agent's line to the warden: finds it or starts it, asks, and finds or starts it again whenever the line breaks.
import { spawn, type ChildProcess } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { backoffMs } from '../base/backoff.ts'
import { sleep, type Clock } from '../base/clock.ts'
import { deadline } from '../base/deadline.ts'
import { emitter } from '../base/emitter.ts'
import { errorText, hasCode, OperationError } from '../base/errors.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { PRIVATE_FILE, readTail } from '../system/files.ts'
import { connectWarden, type Hello, type WardenLine } from './warden-line.ts'
import { WARDEN_PROTOCOL, WARDEN_SOCKET, type WardenAnswer, type WardenCall } from './warden-protocol.ts'

export interface WardenClientOptions {
  /** Holds the warden's lock, socket, ledger and log; of one agent only, closed to others. */
  readonly directory: string
  /** Of this agent: a warden of another version is replaced when no guest runs. */
  readonly version: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Held by the warden's own process through flock, so that it ends with it and with nothing else. */
const LOCK = 'warden.lock'
const LOG = 'warden.log'
const LOG_LIMIT_BYTES = 1024 * 1024
/** A start of Node takes 0.1 s, 1 s under full load; reading a long ledger some ms more. */
const APPEAR_LIMIT_MS = 15_000
const APPEAR_WAIT = { firstMs: 10, maxMs: 200 }
/** What a program of ours may say about its own failure. */
const LAST_WORDS_BYTES = 2_000

export class WardenClient {
  readonly #options: WardenClientOptions
  readonly #changes = emitter<void>()
  #line: Promise<WardenLine> | undefined
  #closed = false

  constructor(options: WardenClientOptions) {
    this.#options = options
  }

  /**
   * The warden's answer. Rejects with the warden's own `conflict`, `not-found`, `failed`, `usage`; with `unreachable` when the line broke
   * (what became of the call is to be seen in the next list), `timeout`, or `failed` when no warden can be had.
   */
  async call(call: WardenCall, signal?: AbortSignal): Promise<WardenAnswer> {
    const line = await this.#connected()
    return line.call(call, signal)
  }

  /** A guest ended, or the line broke: ask for the list. */
  onChange(listener: () => void): () => void {
    return this.#changes.on(listener)
  }

  close(): void {
    this.#closed = true
    this.#line?.then(
      (line) => line.close(),
      () => {},
    )
  }

  /** One attempt at a time for all callers; a failed one is forgotten, the next caller tries again. */
  #connected(): Promise<WardenLine> {
    if (this.#closed) throw new OperationError('failed', 'the line to the warden was closed')
    this.#line ??= this.#connect().then(
      (line) => {
        line.onClose(() => {
          this.#line = undefined
          if (!this.#closed) this.#changes.emit()
        })
        return line
      },
      (error: unknown) => {
        this.#line = undefined
        throw error
      },
    )
    return this.#line
  }

  async #connect(): Promise<WardenLine> {
    const { version, log } = this.#options
    const { line, hello } = await this.#findOrStart()
    if (hello.protocol === WARDEN_PROTOCOL && hello.version === version) return line
    const gone = await line.askToGo()
    if (!gone && hello.protocol === WARDEN_PROTOCOL) return line
    line.close()
    if (!gone) throw strangeWarden(hello)
    log.info({ from: hello.version, to: version }, 'the warden is replaced, no guest runs')
    return (await this.#findOrStart()).line
  }

  /** Tries to reach a warden, and starts one whenever none listens; starting it twice is harmless, the lock lets one live. */
  async #findOrStart(): Promise<Met> {
    const { clock, directory, random } = this.#options
    const limit = deadline(clock, APPEAR_LIMIT_MS, 'finding or starting the warden')
    let starting: WardenStart | undefined
    try {
      for (let attempt = 0; ; attempt += 1) {
        const met = await this.#meet()
        if (met !== undefined) return met
        if (starting?.state() === 'failed') throw new OperationError('failed', 'it ended right after its start')
        if (starting?.state() !== 'running') starting = await startWarden(this.#options)
        await sleep(clock, backoffMs(attempt, APPEAR_WAIT, random), limit.signal)
      }
    } catch (error) {
      throw new OperationError('failed', `no warden: ${errorText(error)}${await lastWords(directory)}`, { cause: error })
    } finally {
      limit.done()
    }
  }

  /** Undefined where none listens, or where one that does is about to end: nothing was asked of it yet. */
  async #meet(): Promise<Met | undefined> {
    const { clock, directory } = this.#options
    const line = await connectWarden(join(directory, WARDEN_SOCKET), clock, () => this.#changes.emit())
    if (line === undefined) return undefined
    try {
      return { line, hello: await line.hello() }
    } catch (error) {
      line.close()
      if (hasCode(error, 'unreachable', 'conflict')) return undefined
      throw error
    }
  }
}

interface Met {
  readonly line: WardenLine
  readonly hello: Hello
}

function strangeWarden(hello: Hello): OperationError {
  return new OperationError(
    'failed',
    `the warden of this host (process ${hello.pid}, version ${hello.version}) speaks protocol ${hello.protocol}, this agent ${WARDEN_PROTOCOL}, and guests run under it: shut them down or move them, then restart the agent`,
  )
}

interface WardenStart {
  /** `locked`: there is another one, which may be starting or ending just now. */
  state(): 'running' | 'locked' | 'failed'
}

/**
 * Node has no flock: the program of that name takes the lock and becomes (--no-fork) the warden, so that the lock lives and dies with the
 * warden's process. QEMU does not inherit it: Node closes what it inherited before it runs another program.
 */
async function startWarden({ directory, version }: WardenClientOptions): Promise<WardenStart> {
  const log = await open(join(directory, LOG), 'a', PRIVATE_FILE)
  try {
    if ((await log.stat()).size > LOG_LIMIT_BYTES) await log.truncate(0)
    const node = [process.execPath, ...NODE_OPTIONS, wardenProgram(), '--directory', directory, '--release', version]
    const flock = ['--no-fork', '--nonblock', '--conflict-exit-code', String(LOCKED_STATUS), join(directory, LOCK)]
    const child = spawn('flock', [...flock, ...node], {
      // A session of its own: what is sent to the agent's group or terminal does not reach it.
      detached: true,
      cwd: directory,
      stdio: ['ignore', log.fd, log.fd],
      env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(directory, 'compile-cache') },
    })
    child.unref()
    return await started(child)
  } finally {
    await log.close()
  }
}

/** EX_TEMPFAIL of sysexits.h: no status that Node ends with. */
const LOCKED_STATUS = 75

/** It holds a few strings: a small heap, collected early, keeps it small. */
const NODE_OPTIONS = ['--max-old-space-size=64', '--max-semi-space-size=1']

/** The warden beside this file's folder, in the same form (`.ts` here, `.js` in the package). */
function wardenProgram(): string {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  return fileURLToPath(new URL(`../warden${extension}`, import.meta.url))
}

function started(child: ChildProcess): Promise<WardenStart> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new OperationError('failed', `flock could not be run: ${cause.message}`, { cause })))
    child.once('spawn', () => resolve({ state: () => stateOf(child) }))
  })
}

function stateOf(child: ChildProcess): 'running' | 'locked' | 'failed' {
  if (child.exitCode === null && child.signalCode === null) return 'running'
  return child.exitCode === LOCKED_STATUS ? 'locked' : 'failed'
}

async function lastWords(directory: string): Promise<string> {
  const text = new TextDecoder().decode(await readTail(join(directory, LOG), LAST_WORDS_BYTES)).trim()
  return text === '' ? '' : `; its last words: ${text}`
}
