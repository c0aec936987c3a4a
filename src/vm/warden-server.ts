// The warden's ear: a unix socket on which agents ask. Every request is answered, in the order in which its work is done.
import { chmod, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { errorText, hasCode, OperationError } from '../base/errors.ts'
import { LineSplitter } from '../base/line-splitter.ts'
import { PRIVATE_FILE } from '../system/files.ts'
import {
  MAX_LINE_BYTES,
  parseRequest,
  type WardenAnswer,
  type WardenCall,
  type WardenErrorCode,
  type WardenNotice,
  type WardenReply,
} from './warden-protocol.ts'

/** One agent, the one that replaces it, and a person who looks. */
const MAX_CLIENTS = 16
/** An agent asks for at most a few things a VM at a time. */
const MAX_PENDING = 1_000
/** What a client may leave unread: one that stops reading is cut off, it can ask again. */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024

export interface WardenServer {
  readonly clients: number
  /** Tells every client that something changed. */
  notify(): void
  close(): void
}

export type AnswerCall = (call: WardenCall) => Promise<WardenAnswer>

/** Listens at `path`, for the own user only. Whoever calls holds the warden's lock: a socket left there is a dead warden's. */
export async function listenForAgents(path: string, answer: AnswerCall): Promise<WardenServer> {
  await rm(path, { force: true })
  const clients = new Set<Client>()
  const server = createServer((socket) => {
    if (clients.size >= MAX_CLIENTS) {
      socket.destroy()
      return
    }
    const client = new Client(socket, answer)
    clients.add(client)
    socket.on('close', () => clients.delete(client))
  })
  await listening(server, path)
  await chmod(path, PRIVATE_FILE)
  return {
    get clients() {
      return clients.size
    },
    notify() {
      for (const client of clients) client.send({ kind: 'changed' })
    },
    close() {
      server.close()
      for (const client of clients) client.part()
    },
  }
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
}

class Client {
  readonly #socket: Socket
  readonly #answer: AnswerCall
  readonly #lines = new LineSplitter(MAX_LINE_BYTES)
  #pending = 0

  constructor(socket: Socket, answer: AnswerCall) {
    this.#socket = socket
    this.#answer = answer
    socket.on('data', (chunk) => this.#receive(chunk))
    // An agent that dies breaks its connection: nothing to do, 'close' follows.
    socket.on('error', () => {})
  }

  send(message: WardenReply | WardenNotice): void {
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.#socket.destroy()
    else if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`)
  }

  /** Ends the connection once everything was sent. */
  part(): void {
    this.#socket.destroySoon()
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const line of this.#lines.push(chunk)) {
        const { id, ...call } = parseRequest(line)
        void this.#serve(id, call)
      }
    } catch (error) {
      // After a line that is no request nothing more can be understood: say why, and part.
      this.send({ id: 0, ...asAnswer(error) })
      this.part()
    }
  }

  async #serve(id: number, call: WardenCall): Promise<void> {
    this.#pending += 1
    try {
      if (this.#pending > MAX_PENDING) throw new OperationError('failed', `${MAX_PENDING} requests of this client are open already`)
      this.send({ id, ...(await this.#answer(call)) })
    } catch (error) {
      this.send({ id, ...asAnswer(error) })
    } finally {
      this.#pending -= 1
    }
  }
}

function asAnswer(error: unknown): WardenAnswer {
  const reason = error instanceof OperationError ? (error.reasons[0]?.code ?? null) : null
  return { kind: 'error', code: wardenCode(error), message: errorText(error), reason }
}

function wardenCode(error: unknown): WardenErrorCode {
  if (hasCode(error, 'conflict')) return 'conflict'
  if (hasCode(error, 'not-found')) return 'not-found'
  if (hasCode(error, 'usage', 'too-large')) return 'usage'
  if (hasCode(error, 'timeout')) return 'timeout'
  return 'failed'
}
