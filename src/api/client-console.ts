// The client's side of a console: a WebSocket to the agent, over its unix socket or TCP.
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { OperationError } from '../base/errors.ts'
import { errorOf, type Target } from './client.ts'

export interface ConsoleConnection {
  send(bytes: Uint8Array): void
  /** Resolves when the console ended by itself; rejects when the connection broke, or the agent let go of a reader that was too slow. */
  readonly closed: Promise<void>
  close(): void
}

/** An error page of the agent is a few hundred bytes. */
const MAX_ERROR_CHARS = 64 * 1024
const NORMAL = 1000

/** `onData` gets what the guest writes, from the first byte on. Rejects with the agent's refusal. */
export function openConsole(
  target: Target,
  vm: string,
  onData: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<ConsoleConnection> {
  const socket = webSocketTo(target, `/v1/vms/${encodeURIComponent(vm)}/console`)
  return new Promise((resolve, reject) => {
    const onAbort = (): void => socket.terminate()
    signal.addEventListener('abort', onAbort, { once: true })
    // Listening from the start: the guest may write in the very turn in which the connection opens.
    socket.on('message', (data) => onData(bytesOf(data)))
    socket.on('error', (cause) => reject(signal.aborted ? signal.reason : broken(cause)))
    socket.on('unexpected-response', (_, response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text = (text + chunk).slice(0, MAX_ERROR_CHARS)))
      response.once('close', () => reject(errorOf(parseJson(text), response.statusCode ?? 0)))
    })
    const closed = new Promise<void>((ended, failed) => {
      socket.once('close', (code, reason) => {
        signal.removeEventListener('abort', onAbort)
        if (code === NORMAL) ended()
        else failed(signal.aborted ? signal.reason : broken(reason.toString()))
      })
    })
    // Whoever opened it awaits it; until then, and where opening failed, nobody does.
    closed.catch(() => undefined)
    socket.once('open', () => resolve({ send: (bytes) => socket.send(bytes), closed, close: () => socket.close(NORMAL) }))
  })
}

function webSocketTo(target: Target, path: string): WebSocket {
  const options = { perMessageDeflate: false }
  if (target.kind === 'socket') return new WebSocket(`ws://localhost${path}`, { ...options, createConnection: () => connect(target.path) })
  const host = target.host.includes(':') ? `[${target.host}]` : target.host
  const headers = target.token === null ? {} : { authorization: `Bearer ${target.token}` }
  return new WebSocket(`ws://${host}:${target.port}${path}`, { ...options, headers })
}

function broken(why: unknown): OperationError {
  const text = why instanceof Error ? why.message : String(why)
  return new OperationError('unreachable', `the console was cut off${text === '' ? '' : `: ${text}`}`, { cause: why })
}

function bytesOf(data: Buffer | ArrayBuffer | Buffer[]): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}

function parseJson(text: string): unknown {
  try {
    const json: unknown = JSON.parse(text)
    return json
  } catch {
    return null
  }
}
