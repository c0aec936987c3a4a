// The API as servers: a unix socket for this host, and on demand a TCP port for others. Started and stopped with the agent.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { chmod, lstat, unlink } from 'node:fs/promises'
import { getRequestListener } from '@hono/node-server'
import { errorText, httpStatus, OperationError, toWireError } from '../base/errors.ts'
import { assertAccess, type Gate } from './access.ts'
import { loadApiToken } from './api-token.ts'
import { buildApp } from './app.ts'
import { type ConsoleProxy, consoleProxy, refuseUpgrade } from './console-proxy.ts'
import { type ApiContext } from './context.ts'
import { HANDLERS } from './routes.ts'

/** A head or body that is still not complete by then is an attack or a broken client. */
const REQUEST_MS = 30_000
/** Command lines, pages with their feeds, consoles; far more is a leak of some client. */
const MAX_CONNECTIONS = 512
/** sun_path of Linux holds 108 bytes with its closing zero. */
const MAX_SOCKET_PATH_BYTES = 107

export interface ApiListeners {
  readonly socketPath: string
  /** 0o600, or 0o660 where a group may manage the mesh. */
  readonly socketMode: number
  /** Only with a token, which stands in `dataDir`. */
  readonly tcp: { readonly host: string; readonly port: number; readonly dataDir: string } | null
}

export interface ApiServer {
  /** The port that the system chose where 0 was asked for; null without TCP. */
  readonly port: number | null
  /** Ends every request, stream and console. */
  stop(): Promise<void>
}

export async function startApi(context: ApiContext, listeners: ApiListeners): Promise<ApiServer> {
  const stopping = new AbortController()
  const app = buildApp({ context, handlers: HANDLERS, stopping: stopping.signal })
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  const consoles = consoleProxy(context, stopping.signal)
  const serve = (gate: Gate): Server => gated(gate, { context, answer, consoles })
  const servers: Server[] = []
  try {
    servers.push(await listenOnSocket(serve({ token: null }), listeners))
    if (listeners.tcp !== null) {
      const token = await loadApiToken(listeners.tcp.dataDir, context.random)
      servers.push(await listenOnPort(serve({ token }), listeners.tcp))
    }
  } catch (error) {
    await Promise.all(servers.map(close))
    throw error
  }
  const address = servers[1]?.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : null,
    async stop() {
      stopping.abort(new OperationError('unreachable', 'the agent stops'))
      consoles.close()
      await Promise.all(servers.map(close))
    },
  }
}

interface Parts {
  readonly context: ApiContext
  readonly answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  readonly consoles: ConsoleProxy
}

/** A server that lets nothing past its gate. */
function gated(gate: Gate, { context, answer, consoles }: Parts): Server {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS })
  server.maxConnections = MAX_CONNECTIONS
  server.on('request', (request, response) => {
    try {
      assertAccess(gate, request.headers)
    } catch (error) {
      refuse(response, error)
      return
    }
    answer(request, response).catch((error: unknown) => context.log.warn({ error: errorText(error) }, 'an answer could not be sent'))
  })
  server.on('upgrade', (request, socket, head) => {
    // Without a listener a client that goes away in the middle would end the process.
    socket.on('error', () => socket.destroy())
    try {
      assertAccess(gate, request.headers)
    } catch (error) {
      refuseUpgrade(socket, error)
      return
    }
    consoles.upgrade(request, socket, head).catch((error: unknown) => {
      context.log.warn({ error: errorText(error) }, 'a console could not be opened')
      socket.destroy()
    })
  })
  return server
}

function refuse(response: ServerResponse, error: unknown): void {
  const wire = toWireError(error)
  response.writeHead(httpStatus(wire.code), { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(wire))
}

async function listenOnSocket(server: Server, { socketPath, socketMode }: ApiListeners): Promise<Server> {
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
    const message = `the socket path ${socketPath} has ${Buffer.byteLength(socketPath)} bytes, Linux takes ${MAX_SOCKET_PATH_BYTES}`
    throw new OperationError('usage', message, {
      reasons: [{ code: 'socket-path', message, fix: 'hostmesh agent --socket with a shorter path' }],
    })
  }
  await removeDeadSocket(socketPath)
  await started(server, () => server.listen(socketPath))
  // To connect takes the right to write, which the usual umask gives to nobody else in the moment before.
  await chmod(socketPath, socketMode)
  return server
}

/** The socket of an agent that was killed stays behind; that of one that lives must not be taken away. */
async function removeDeadSocket(path: string): Promise<void> {
  const outcome = await new Promise<string>((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve('alive')
    })
    probe.once('error', (error: Error & { readonly code?: string }) => resolve(error.code ?? error.message))
  })
  if (outcome === 'ENOENT') return
  // A plain file refuses connections too: it is somebody's, and stays.
  if (outcome === 'ECONNREFUSED' && (await lstat(path)).isSocket()) return unlink(path)
  const why = outcome === 'alive' ? 'another agent listens on it' : `something else is there (${outcome})`
  throw new OperationError('conflict', `cannot listen on ${path}: ${why}`, {
    reasons: [{ code: 'socket-taken', message: why, fix: 'stop that agent, or give this one another --data-dir or --socket' }],
  })
}

async function listenOnPort(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<Server> {
  try {
    await started(server, () => server.listen({ host, port }))
  } catch (cause) {
    const message = `cannot listen on ${host}:${port}: ${errorText(cause)}`
    throw new OperationError('failed', message, {
      cause,
      reasons: [{ code: 'api-address', message, fix: 'hostmesh agent --api with a free IP:PORT of this host' }],
    })
  }
  return server
}

function started(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    listen()
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
