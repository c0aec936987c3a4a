// The client side of QMP, QEMU's control protocol: greeting, capabilities, commands by id, events. One JSON object a line.
//
// Source: docs/interop/qmp-spec.rst of QEMU.
import { connect, type Socket } from 'node:net'
import { type Clock } from '../base/clock.ts'
import { deadline, within } from '../base/deadline.ts'
import { emitter } from '../base/emitter.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { LineSplitter } from '../base/line-splitter.ts'
import { asFields, asText, isFields, parseJson, type Fields } from '../base/parse.ts'

export interface QmpEvent {
  /** For example `STOP`. */
  readonly name: string
  readonly data: Fields
}

export interface ExecuteOptions {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Out of band: answered also while QEMU's main loop hangs. Only few commands can, for example `yank`. */
  readonly outOfBand?: boolean
}

export interface Qmp {
  /**
   * The command's return value. Rejects with `failed` when QEMU refuses it (its words, its class in data), `timeout` (what became of the
   * command is unknown), `unreachable` when the connection ended.
   */
  execute(command: string, args?: Fields, options?: ExecuteOptions): Promise<unknown>
  /** Called in QEMU's order; a listener only notes what it heard. */
  onEvent(listener: (event: QmpEvent) => void): () => void
  /** Called once, at once when the connection has ended already. */
  onClose(listener: () => void): void
  close(): void
}

export interface QmpOptions {
  readonly path: string
  readonly clock: Clock
  /** For connection, greeting and capabilities together. QEMU greets one client at a time: a second one waits in vain. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/** `query-named-block-nodes` of a VM with many disks has some 100 KiB. */
const MAX_LINE_BYTES = 8 * 1024 * 1024
/** Nobody has a reason to ask QEMU so many things at once; QEMU itself queues 8 a client. */
const MAX_PENDING = 64
/** A healthy QEMU answers in a few ms; one whose main loop waits for a disk takes as long as that does. */
const COMMAND_TIMEOUT_MS = 5_000

/** Connects and negotiates, with out-of-band commands where QEMU offers them. Rejects with `unreachable`, `timeout` or `failed`. */
export async function connectQmp(options: QmpOptions): Promise<Qmp> {
  const { path, clock, timeoutMs } = options
  const client = new QmpClient(connect({ path }), path, clock)
  try {
    await within({ clock, ms: timeoutMs, what: `connecting to QEMU at ${path}`, signal: options.signal }, () => client.negotiate())
    return client
  } catch (error) {
    client.close()
    throw error
  }
}

interface Pending {
  readonly command: string
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

class QmpClient implements Qmp {
  readonly #socket: Socket
  readonly #path: string
  readonly #clock: Clock
  readonly #lines = new LineSplitter(MAX_LINE_BYTES)
  readonly #pending = new Map<number, Pending>()
  readonly #events = emitter<QmpEvent>()
  readonly #closed = emitter<void>()
  readonly #greeting = Promise.withResolvers<Fields>()
  #nextId = 1
  #ended: OperationError | undefined

  constructor(socket: Socket, path: string, clock: Clock) {
    this.#socket = socket
    this.#path = path
    this.#clock = clock
    // Nobody may be waiting for the greeting when the connection ends.
    this.#greeting.promise.catch(() => {})
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', (error) => this.#end(`the connection to QEMU at ${path} failed: ${error.message}`))
    socket.on('close', () => this.#end(`QEMU closed the connection at ${path}`))
  }

  async negotiate(): Promise<void> {
    const greeting = asFields((await this.#greeting.promise)['QMP'], 'the greeting of QMP')
    const offered = greeting['capabilities']
    const enable = Array.isArray(offered) && offered.includes('oob') ? ['oob'] : []
    await this.execute('qmp_capabilities', { enable })
  }

  async execute(command: string, args: Fields = {}, options: ExecuteOptions = {}): Promise<unknown> {
    if (this.#ended !== undefined) throw this.#ended
    if (this.#pending.size >= MAX_PENDING) {
      throw new OperationError('failed', `${command}: ${MAX_PENDING} commands wait for QEMU at ${this.#path} already`)
    }
    const id = this.#nextId
    this.#nextId += 1
    const verb = options.outOfBand === true ? 'exec-oob' : 'execute'
    const limit = deadline(this.#clock, options.timeoutMs ?? COMMAND_TIMEOUT_MS, `QEMU's answer to ${command}`, options.signal)
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(id, { command, resolve, reject })
        if (limit.signal.aborted) reject(limit.signal.reason)
        limit.signal.addEventListener('abort', () => reject(limit.signal.reason), { once: true })
        this.#socket.write(`${JSON.stringify({ [verb]: command, arguments: args, id })}\n`)
      })
    } finally {
      this.#pending.delete(id)
      limit.done()
    }
  }

  onEvent(listener: (event: QmpEvent) => void): () => void {
    return this.#events.on(listener)
  }

  onClose(listener: () => void): void {
    if (this.#ended === undefined) this.#closed.on(listener)
    else listener()
  }

  close(): void {
    this.#end(`the connection to QEMU at ${this.#path} was closed`)
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const line of this.#lines.push(chunk)) this.#dispatch(asFields(parseJson(line, 'a line of QMP'), 'a line of QMP'))
    } catch (error) {
      this.#end(`QEMU at ${this.#path} does not speak QMP: ${errorText(error)}`)
    }
  }

  #dispatch(message: Fields): void {
    if ('event' in message) {
      const data = message['data']
      this.#events.emit({ name: asText(message['event'], 'event'), data: isFields(data) ? data : {} })
      return
    }
    if ('QMP' in message) {
      this.#greeting.resolve(message)
      return
    }
    const id = message['id']
    // An answer that nobody waits for any more came after its time-out.
    const pending = typeof id === 'number' ? this.#pending.get(id) : undefined
    if (pending === undefined) return
    if ('error' in message) pending.reject(refusedByQemu(pending.command, message['error']))
    else pending.resolve(message['return'])
  }

  #end(why: string): void {
    if (this.#ended !== undefined) return
    this.#ended = new OperationError('unreachable', why)
    this.#socket.destroy()
    this.#greeting.reject(this.#ended)
    for (const { reject } of this.#pending.values()) reject(this.#ended)
    this.#closed.emit()
  }
}

function refusedByQemu(command: string, error: unknown): OperationError {
  const fields = isFields(error) ? error : {}
  const words = typeof fields['desc'] === 'string' ? fields['desc'] : 'no reason given'
  return new OperationError('failed', `QEMU refused ${command}: ${words}`, { data: { command, class: fields['class'] ?? null } })
}
