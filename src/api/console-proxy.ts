// A VM's serial console over a WebSocket: bytes both ways between one client and the guest, wherever in the mesh it runs.
import { type IncomingMessage } from 'node:http'
import { type Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { OperationError, toWireError, httpStatus } from '../base/errors.ts'
import { type ApiContext, type ConsoleLine } from './context.ts'
import { CONSOLE_PATH } from './contract.ts'
import { readOrStale } from './freshness.ts'
import { findVm } from './resolve.ts'

/** A person's paste, not a file transfer. */
const MAX_INPUT_BYTES = 64 * 1024
/** A client that reads slower than its guest writes is let go at this backlog; the ring of the host keeps the text. */
const MAX_BACKLOG_BYTES = 1024 ** 2
/** WebSocket close codes (RFC 6455, 7.4): normal, policy. */
const CLOSED = { normal: 1000, tooSlow: 1008 } as const

export interface ConsoleProxy {
  /** Answers an upgrade request; access was checked before. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
  /** Ends every console at once. */
  close(): void
}

export function consoleProxy(context: ApiContext, stopping: AbortSignal): ConsoleProxy {
  const server = new WebSocketServer({ noServer: true, maxPayload: MAX_INPUT_BYTES, perMessageDeflate: false })
  return {
    async upgrade(request, socket, head) {
      try {
        const line = await openLine(context, request.url ?? '', stopping)
        server.handleUpgrade(request, socket, head, (client) => join(client, line))
      } catch (error) {
        refuseUpgrade(socket, error)
      }
    },
    close() {
      for (const client of server.clients) client.terminate()
      server.close()
    },
  }
}

/** Answers an upgrade with the error, as any other route would. */
export function refuseUpgrade(socket: Duplex, error: unknown): void {
  const wire = toWireError(error)
  const body = JSON.stringify(wire)
  const head = [
    `HTTP/1.1 ${httpStatus(wire.code)} Refused`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

async function openLine(context: ApiContext, url: string, signal: AbortSignal): Promise<ConsoleLine> {
  const name = CONSOLE_PATH.exec(url)?.[1]
  if (name === undefined) throw new OperationError('not-found', `there is no console at ${url}`)
  const { inventory } = await readOrStale(context, signal)
  const vm = findVm(inventory, decodeURIComponent(name))
  if (vm.owner === null) {
    const reason = { code: 'vm-state', message: `VM ${vm.name} is off, a console needs it running`, fix: `hostmesh vm start ${vm.name}` }
    throw new OperationError('refused', `cannot open the console of VM ${vm.name}`, { reasons: [reason] })
  }
  return context.console.open(vm.id, signal)
}

function join(client: WebSocket, line: ConsoleLine): void {
  client.on('message', (data) => line.write(bytesOf(data)))
  client.once('close', () => line.close())
  // The `close` that follows an error does the rest.
  client.on('error', () => undefined)
  line.onClose(() => client.close(CLOSED.normal, 'the console ended'))
  line.onData((bytes) => {
    if (client.readyState !== client.OPEN) return
    if (client.bufferedAmount <= MAX_BACKLOG_BYTES) {
      client.send(bytes)
      return
    }
    // The farewell waits behind the backlog for as long as the client likes; the guest's line does not.
    client.close(CLOSED.tooSlow, 'the client reads too slowly')
    line.close()
  })
}

function bytesOf(data: Buffer | ArrayBuffer | Buffer[]): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}
