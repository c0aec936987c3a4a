// The agent's line to the warden: finds it or starts it, asks, and finds or starts it again whenever the line breaks.
import { spawn, type ChildProcess } from 'node:child_process'
import { open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { backoffMs } from '../base/backoff.ts'
import { sleep, type Clock } from '../base/clock.ts'
import { deadline, within } from '../base/deadline.ts'
import { emitter } from '../base/emitter.ts'
import { errorText, hasCode, OperationError } from '../base/errors.ts'
import { LineSplitter } from '../base/line-splitter.ts'
import { type Log } from '../base/log.ts'
import { type Random } from '../base/random.ts'
import { PRIVATE_FILE, readTail } from '../system/files.ts'
import { MAX_LINE_BYTES, parseMessage, WARDEN_PROTOCOL, WARDEN_SOCKET, type WardenAnswer, type WardenCall } from './warden-protocol.ts'

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
/** The warden works on nothing that waits but starts and ends, and bounds those itself. */
const CALL_LIMIT_MS = 5_000
const LONG_CALL_LIMIT_MS = 60_000
/** What the warden takes of one client. */
const MAX_WAITING = 1_000
/** What a program of ours may say about its own failure. */
const LAST_WORDS_BYTES = 2_000

export class WardenClient {
  readonly #options: WardenClientOptions
  readonly #changes = emitter<void>()
  #line: Promise<Line> | undefined
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
    const limitMs = call.kind === 'start' || call.kind === 'end' ? LONG_CALL_LIMIT_MS : CALL_LIMIT_MS
    return line.call(call, limitMs, signal)
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
  #connected(): Promise<Line> {
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

  async #connect(): Promise<Line> {
    const first = await this.#findOrStart()
    const hello = await first.hello()
    if (hello.protocol === WARDEN_PROTOCOL && hello.version === this.#options.version) return first
    const gone = await first.askToGo()
    if (!gone && hello.protocol === WARDEN_PROTOCOL) return first
    first.close()
    if (!gone) throw strangeWarden(hello)
    this.#options.log.info({ from: hello.version, to: this.#options.version }, 'the warden is replaced, no guest runs')
    const second = await this.#findOrStart()
    await second.hello()
    return second
  }

  /** Tries to reach a warden, and starts one whenever none listens; starting it twice is harmless, the lock lets one live. */
  async #findOrStart(): Promise<Line> {
    const { clock, directory, random } = this.#options
    const limit = deadline(clock, APPEAR_LIMIT_MS, 'finding or starting the warden')
    let starting: WardenStart | undefined
    try {
      for (let attempt = 0; ; attempt += 1) {
        const line = await connectLine(join(directory, WARDEN_SOCKET), clock, () => this.#changes.emit())
        if (line !== undefined) return line
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

type Hello = WardenAnswer & { kind: 'hello' }

/** One connection to one warden. */
class Line {
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #onNotice: () => void
  readonly #lines = new LineSplitter(MAX_LINE_BYTES)
  readonly #waiting = new Map<number, { resolve(answer: WardenAnswer): void; reject(error: unknown): void }>()
  readonly #closed = emitter<void>()
  #nextId = 1
  #ended: OperationError | undefined

  constructor(socket: Socket, clock: Clock, onNotice: () => void) {
    this.#socket = socket
    this.#clock = clock
    this.#onNotice = onNotice
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', (error) => this.#end(error.message))
    socket.on('close', () => this.#end('closed'))
  }

  async call(call: WardenCall, limitMs: number, signal?: AbortSignal): Promise<WardenAnswer> {
    const answer = await within(this.#clock, limitMs, `the warden's answer to ${call.kind}`, () => this.#send(call), signal)
    if (answer.kind === 'error') throw new OperationError(answer.code, answer.message)
    return answer
  }

  async hello(): Promise<Hello> {
    const answer = await this.call({ kind: 'hello', protocol: WARDEN_PROTOCOL }, CALL_LIMIT_MS)
    if (answer.kind !== 'hello') throw new OperationError('failed', `the warden answered ${answer.kind} to hello`)
    return answer
  }

  /** False when it stays, because guests run. */
  async askToGo(): Promise<boolean> {
    try {
      await this.call({ kind: 'exit' }, CALL_LIMIT_MS)
      return true
    } catch (error) {
      if (hasCode(error, 'conflict')) return false
      throw error
    }
  }

  onClose(listener: () => void): void {
    if (this.#ended === undefined) this.#closed.on(listener)
    else listener()
  }

  close(): void {
    this.#end('closed by this agent')
  }

  async #send(call: WardenCall): Promise<WardenAnswer> {
    if (this.#ended !== undefined) throw this.#ended
    if (this.#waiting.size >= MAX_WAITING) throw new OperationError('failed', `${MAX_WAITING} calls wait for the warden already`)
    const id = this.#nextId
    this.#nextId += 1
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#socket.write(`${JSON.stringify({ id, ...call })}\n`)
    })
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const line of this.#lines.push(chunk)) {
        const message = parseMessage(line)
        if (message.kind === 'changed') {
          this.#onNotice()
          continue
        }
        const { id, ...answer } = message
        this.#waiting.get(id)?.resolve(answer)
        this.#waiting.delete(id)
      }
    } catch (error) {
      this.#end(errorText(error))
    }
  }

  #end(why: string): void {
    if (this.#ended !== undefined) return
    this.#ended = new OperationError('unreachable', `the line to the warden broke: ${why}`)
    this.#socket.destroy()
    for (const { reject } of this.#waiting.values()) reject(this.#ended)
    this.#waiting.clear()
    this.#closed.emit()
  }
}

/** Undefined where no warden listens. */
function connectLine(path: string, clock: Clock, onNotice: () => void): Promise<Line | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket.once('connect', () => resolve(new Line(socket, clock, onNotice)))
    socket.once('error', () => resolve(undefined))
  })
}
