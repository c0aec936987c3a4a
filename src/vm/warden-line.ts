// One connection to the warden: calls with a deadline, answers by id, notices. A broken line rejects what waits, and stays broken.
import { connect, type Socket } from 'node:net'
import { type Clock } from '../base/clock.ts'
import { within } from '../base/deadline.ts'
import { emitter } from '../base/emitter.ts'
import { errorText, hasCode, OperationError } from '../base/errors.ts'
import { LineSplitter } from '../base/line-splitter.ts'
import { MAX_LINE_BYTES, parseMessage, WARDEN_PROTOCOL, type WardenAnswer, type WardenCall } from './warden-protocol.ts'

/** The warden works on nothing that waits but starts and ends, and bounds those itself. */
const CALL_LIMIT_MS = 5_000
const LONG_CALL_LIMIT_MS = 60_000
/** What the warden takes of one client. */
const MAX_WAITING = 1_000

export type Hello = WardenAnswer & { kind: 'hello' }

/** One connection to one warden. */
export class WardenLine {
  readonly #socket: Socket
  readonly #clock: Clock
  readonly #onNotice: () => void
  readonly #lines = new LineSplitter(MAX_LINE_BYTES)
  readonly #waiting = new Map<number, PromiseWithResolvers<WardenAnswer>>()
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

  /** The warden's answer; its errors, `unreachable` and `timeout` as of WardenClient.call. */
  async call(call: WardenCall, signal?: AbortSignal): Promise<WardenAnswer> {
    const limitMs = call.kind === 'start' || call.kind === 'end' ? LONG_CALL_LIMIT_MS : CALL_LIMIT_MS
    const answer = await within({ clock: this.#clock, ms: limitMs, what: `the warden's answer to ${call.kind}`, signal }, () =>
      this.#send(call),
    )
    if (answer.kind === 'error') throw errorOf(answer)
    return answer
  }

  async hello(): Promise<Hello> {
    const answer = await this.call({ kind: 'hello', protocol: WARDEN_PROTOCOL })
    if (answer.kind !== 'hello') throw new OperationError('failed', `the warden answered ${answer.kind} to hello`)
    return answer
  }

  /** False when it stays, because guests run. A line that breaks at that is its answer too. */
  async askToGo(): Promise<boolean> {
    try {
      await this.call({ kind: 'exit' })
      return true
    } catch (error) {
      if (hasCode(error, 'conflict')) return false
      if (hasCode(error, 'unreachable')) return true
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
    const waiting = Promise.withResolvers<WardenAnswer>()
    this.#waiting.set(id, waiting)
    this.#socket.write(`${JSON.stringify({ id, ...call })}\n`)
    return waiting.promise
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
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended)
    this.#waiting.clear()
    this.#closed.emit()
  }
}

/** Undefined where no warden listens. */
export function connectWarden(path: string, clock: Clock, onNotice: () => void): Promise<WardenLine | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path })
    socket.once('connect', () => resolve(new WardenLine(socket, clock, onNotice)))
    socket.once('error', () => resolve(undefined))
  })
}

function errorOf({ code, message, reason }: Extract<WardenAnswer, { kind: 'error' }>): OperationError {
  return new OperationError(code, message, { reasons: reason === null ? [] : [{ code: reason, message }] })
}
