// Serial consoles: what guests wrote, from the logs that QEMU keeps, and live streams shared by several onlookers of one guest.
import { readdir, rm, stat } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Clock } from '../base/clock.ts'
import { within } from '../base/deadline.ts'
import { emitter } from '../base/emitter.ts'
import { OperationError } from '../base/errors.ts'
import { type VmId } from '../base/ids.ts'
import { readTail } from '../system/files.ts'
import { runProgram } from '../system/run-program.ts'
import { type ConsoleStream, type Run } from './driver.ts'
import { runKey } from './run-rules.ts'
import { CONSOLE_SOCKET } from './warden-protocol.ts'

/** Of each VM: some 10,000 lines. */
export const CONSOLE_KEPT_BYTES = 1024 * 1024
/** Logs of VMs without a run on this host: those written last. 200 MiB at most. */
const LOGS_KEPT = 200
const CONNECT_LIMIT_MS = 2_000
const TRIM_LIMIT_MS = 30_000
/** File systems give back whole blocks: trimming less often than each few bytes. */
const TRIM_STEP_BYTES = 256 * 1024
/** What a guest may leave unread of what people typed: a guest that reads nothing loses the rest. */
const MAX_UNREAD_BYTES = 64 * 1024

export interface ConsolesOptions {
  /** Of the logs, one a VM. */
  readonly directory: string
  readonly clock: Clock
}

export class Consoles {
  readonly #options: ConsolesOptions
  readonly #shared = new Map<string, SharedConsole>()
  /** Up to where each log is a hole already. */
  readonly #holes = new Map<string, number>()

  constructor(options: ConsolesOptions) {
    this.#options = options
  }

  logPath(vm: VmId): string {
    return join(this.#options.directory, `${vm}${LOG_ENDING}`)
  }

  /** The newest bytes that guests of this VM wrote; empty where there is no log. */
  log(vm: VmId, maxBytes: number): Promise<Uint8Array> {
    return readTail(this.logPath(vm), Math.min(maxBytes, CONSOLE_KEPT_BYTES))
  }

  /** Rejects with `unreachable` or `timeout` where QEMU does not take the connection. */
  async open(run: Run, directory: string): Promise<ConsoleStream> {
    const key = runKey(run)
    let shared = this.#shared.get(key)
    if (shared === undefined) {
      shared = new SharedConsole(join(directory, CONSOLE_SOCKET), () => this.#shared.delete(key))
      this.#shared.set(key, shared)
    }
    const { connected } = shared
    // An onlooker from now on: while this one waits, the others may leave.
    const stream = shared.join()
    try {
      await within({ clock: this.#options.clock, ms: CONNECT_LIMIT_MS, what: `connecting to the console of ${key}` }, () => connected)
      return stream
    } catch (error) {
      stream.close()
      throw error
    }
  }

  /**
   * Frees what lies before the newest CONSOLE_KEPT_BYTES of every log by punching a hole: QEMU goes on appending meanwhile and no byte is
   * lost, which no copy or rename could promise. Removes the oldest logs of VMs that have no run here beyond LOGS_KEPT.
   */
  async trim(live: ReadonlySet<VmId>, signal: AbortSignal): Promise<void> {
    const inUse = new Set([...live].map((vm) => this.logPath(vm)))
    const idle: { readonly path: string; readonly writtenMs: number }[] = []
    for (const name of await readdir(this.#options.directory)) {
      const path = join(this.#options.directory, name)
      const { size, mtimeMs } = await stat(path)
      if (size - CONSOLE_KEPT_BYTES - (this.#holes.get(path) ?? 0) >= TRIM_STEP_BYTES) await this.#cut(path, size, signal)
      if (!inUse.has(path)) idle.push({ path, writtenMs: mtimeMs })
    }
    for (const { path } of idle.toSorted((one, other) => other.writtenMs - one.writtenMs).slice(LOGS_KEPT)) {
      await rm(path, { force: true })
      this.#holes.delete(path)
    }
  }

  close(): void {
    for (const shared of this.#shared.values()) shared.close()
  }

  async #cut(path: string, sizeBytes: number, signal: AbortSignal): Promise<void> {
    const length = sizeBytes - CONSOLE_KEPT_BYTES
    const args = ['--punch-hole', '--offset', '0', '--length', String(length), path]
    await runProgram({ program: 'fallocate', args, clock: this.#options.clock, timeoutMs: TRIM_LIMIT_MS, signal })
    this.#holes.set(path, length)
  }
}

const LOG_ENDING = '.console'

/**
 * QEMU serves one client at a console: this one, for all onlookers. It is there only while somebody looks, because a client that stops
 * reading (an agent that hangs) would in the end hold up the guest's output.
 */
class SharedConsole {
  readonly connected: Promise<void>
  readonly #socket: Socket
  readonly #onEmpty: () => void
  readonly #data = emitter<Uint8Array>()
  readonly #closed = emitter<void>()
  #onlookers = 0
  #ended = false

  constructor(path: string, onEmpty: () => void) {
    this.#onEmpty = onEmpty
    this.#socket = connect({ path })
    this.connected = new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve)
      this.#socket.once('close', () => reject(new OperationError('unreachable', `QEMU does not take a connection at ${path}`)))
    })
    // Whoever opened it waits for it; a close after that is told to the onlookers.
    this.connected.catch(() => {})
    this.#socket.on('data', (chunk) => this.#data.emit(chunk))
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => this.close())
  }

  join(): ConsoleStream {
    this.#onlookers += 1
    const mine = { open: true, offs: new Set<() => void>() }
    const leave = (): void => {
      if (!mine.open) return
      mine.open = false
      for (const off of mine.offs) off()
      this.#onlookers -= 1
      if (this.#onlookers === 0) this.close()
    }
    return {
      write: (bytes) => {
        if (mine.open && this.#socket.writableLength < MAX_UNREAD_BYTES) this.#socket.write(bytes)
      },
      onData: (listener) => void mine.offs.add(this.#data.on(listener)),
      onClose: (listener) => {
        if (this.#ended) listener()
        else mine.offs.add(this.#closed.on(listener))
      },
      close: leave,
    }
  }

  close(): void {
    if (this.#ended) return
    this.#ended = true
    this.#onEmpty()
    this.#socket.destroy()
    this.#closed.emit()
  }
}
