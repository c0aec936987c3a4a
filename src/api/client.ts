// The typed client of the API, for the command line and the page: one call per route of the contract, over a unix socket or TCP.
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import * as v from 'valibot'
import type { Clock, Timer } from '../base/clock.ts'
import { type ErrorCode, fromWireError, isErrorCode, OperationError, type WireError } from '../base/errors.ts'
import { type Answer, CONTRACT, type EndpointName, type Names, type Params } from './contract.ts'
import { eventParser } from './sse.ts'
import { ReasonAnswer } from './types.ts'

export type Target =
  | { readonly kind: 'socket'; readonly path: string }
  /** `host` is an IP address: names are never resolved. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly token: string | null }

/** Heartbeats come every 10 s (change-feed.ts): three missed ones are a dead connection. */
const SILENCE_MS = 30_000
/** No answer of the API comes near; more means that this is no agent. */
const MAX_ANSWER_CHARS = 64 * 1024 ** 2

type CallName = Names<'read' | 'write' | 'local'>
type StreamName = Names<'stream'>
type QueryInput<N extends EndpointName> = v.InferInput<(typeof CONTRACT)[N]['query']>
type BodyInput<N extends EndpointName> = v.InferInput<(typeof CONTRACT)[N]['body']>

/** What a route wants; parts that are empty for it may be left out. */
export type Input<N extends EndpointName> = Part<'params', Params<N>> & Part<'query', QueryInput<N>> & Part<'body', BodyInput<N>>
type Part<K extends string, T> = Record<never, never> extends T ? { readonly [P in K]?: T } : { readonly [P in K]: T }

export interface CallOptions {
  readonly signal: AbortSignal
  /** The same key with the same request is carried out once. */
  readonly key?: string
}

export interface Reply<N extends EndpointName> {
  readonly answer: Answer<N>
  /** The JSON as the agent sent it: a newer agent may say more than `answer` has keys for. */
  readonly json: unknown
  /** Set when the agent had no quorum: how old its knowledge is. */
  readonly stale: { readonly ageMs: number } | null
}

/**
 * Rejections are OperationErrors: those of the agent as it sent them, `unreachable` with `data.phase` `connect` (surely not done) or
 * `broken` (outcome unknown), and the reason of the signal.
 */
export interface ApiClient {
  readonly target: Target
  call<N extends CallName>(name: N, input: Input<N>, options: CallOptions): Promise<Reply<N>>
  /** Messages until the agent ends the stream, which may be at any time: whoever follows asks again. */
  follow<N extends StreamName>(name: N, input: Input<N>, options: CallOptions): AsyncGenerator<Answer<N>, void, undefined>
}

export function apiClient(target: Target, clock: Clock): ApiClient {
  return {
    target,
    async call(name, input, options) {
      const response = await send(target, requestOf(name, input, options), options.signal)
      const json = parseJson(await readAll(response, options.signal))
      if (response.statusCode !== undefined && response.statusCode >= 400) throw errorOf(json, response.statusCode)
      const age = response.headers['hostmesh-stale']
      return { answer: checked(name, json), json, stale: typeof age === 'string' ? { ageMs: Number(age) } : null }
    },
    async *follow(name, input, options) {
      const response = await send(target, requestOf(name, input, options), options.signal)
      if (response.statusCode !== 200) throw errorOf(parseJson(await readAll(response, options.signal)), response.statusCode ?? 0)
      const parse = eventParser()
      for await (const piece of pieces(response, clock, options.signal)) {
        for (const data of parse(piece)) yield checked(name, parseJson(data))
      }
    },
  }
}

/** The text of a URL for `name`, with every parameter and query value encoded. */
export function pathOf(name: EndpointName, params: Texts, query: Texts): string {
  const path = CONTRACT[name].path.replace(/:([a-z]+)/g, (_, key: string) => encodeURIComponent(params[key] ?? ''))
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, value)
  return search.size === 0 ? `/v1${path}` : `/v1${path}?${search.toString()}`
}

type Texts = Readonly<Record<string, string | undefined>>

interface Outgoing {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

function requestOf<N extends EndpointName>(name: N, input: Input<N>, options: CallOptions): Outgoing {
  const { params, query, body }: { readonly params?: Texts; readonly query?: Texts; readonly body?: object } = input
  const text = body === undefined ? null : JSON.stringify(body)
  const headers: Record<string, string> = {}
  if (text !== null) headers['content-type'] = 'application/json'
  if (options.key !== undefined) headers['idempotency-key'] = options.key
  return { method: CONTRACT[name].method, path: pathOf(name, params ?? {}, query ?? {}), headers, body: text }
}

/** Resolves with the head of the answer. */
function send(target: Target, outgoing: Outgoing, signal: AbortSignal): Promise<IncomingMessage> {
  // An ESM import of node:http evaluates all of undici (60 ms of CPU); the built-in module does not.
  const http = process.getBuiltinModule('node:http')
  const options: RequestOptions = { method: outgoing.method, path: outgoing.path, headers: headersOf(target, outgoing), agent: false }
  const where = target.kind === 'socket' ? { socketPath: target.path } : { host: target.host, port: target.port }
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const request: ClientRequest = http.request({ ...options, ...where })
    let connected = false
    const onAbort = (): void => {
      reject(signal.reason)
      request.destroy()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    request.once('socket', (socket) => socket.once('connect', () => (connected = true)))
    request.once('response', (response) => {
      response.once('close', () => signal.removeEventListener('abort', onAbort))
      resolve(response)
    })
    // After the answer began, an error of the connection reaches whoever reads it.
    request.on('error', (cause) => {
      signal.removeEventListener('abort', onAbort)
      reject(signal.aborted ? signal.reason : connectionError(target, cause, connected))
    })
    request.end(outgoing.body ?? undefined)
  })
}

function headersOf(target: Target, { headers, body }: Outgoing): Record<string, string> {
  const length = body === null ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  const token = target.kind === 'tcp' && target.token !== null ? { authorization: `Bearer ${target.token}` } : {}
  const host = target.kind === 'socket' ? { host: 'localhost' } : {}
  return { ...headers, ...length, ...token, ...host }
}

function connectionError(target: Target, cause: Error & { readonly code?: string }, connected: boolean): OperationError {
  const where = target.kind === 'socket' ? `the socket ${target.path}` : `${target.host}:${target.port}`
  if (connected)
    return new OperationError('unreachable', `the connection to the agent at ${where} broke`, { cause, data: { phase: 'broken' } })
  if (cause.code === 'EACCES') {
    const fix = 'run the command as root, or as a member of the group that the socket belongs to'
    return new OperationError('forbidden', `you may not use ${where}`, {
      cause,
      reasons: [{ code: 'socket-permission', message: `it is closed to your user`, fix }],
    })
  }
  const agent = target.kind === 'socket' ? `--socket ${target.path}` : `--api ${target.host}:${target.port}`
  const fix = `hostmesh agent --listen IP:PORT ${agent}, or name another agent with --socket PATH or --host URL`
  return new OperationError('unreachable', `no agent answers at ${where}`, {
    cause,
    data: { phase: 'connect' },
    reasons: [{ code: 'agent-not-running', message: cause.code === 'ENOENT' ? 'the socket does not exist' : cause.message, fix }],
  })
}

async function readAll(response: IncomingMessage, signal: AbortSignal): Promise<string> {
  response.setEncoding('utf8')
  let text = ''
  try {
    for await (const chunk of response) {
      text += String(chunk)
      if (text.length > MAX_ANSWER_CHARS) throw new OperationError('too-large', `the answer is longer than ${MAX_ANSWER_CHARS} characters`)
    }
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof OperationError) throw cause
    throw new OperationError('unreachable', 'the connection to the agent broke in the middle of its answer', {
      cause,
      data: { phase: 'broken' },
    })
  }
  return text
}

/** The text of a stream as it comes; ends with it, rejects after SILENCE_MS without a byte. */
async function* pieces(response: IncomingMessage, clock: Clock, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  response.setEncoding('utf8')
  const silent = (): Timer => clock.after(SILENCE_MS, () => response.destroy(new Error(`nothing came for ${SILENCE_MS} ms`)))
  let timer = silent()
  try {
    for await (const chunk of response) {
      timer.cancel()
      yield String(chunk)
      timer = silent()
    }
  } catch (cause) {
    signal.throwIfAborted()
    throw new OperationError('unreachable', 'the stream of the agent broke', { cause, data: { phase: 'broken' } })
  } finally {
    timer.cancel()
    response.destroy()
  }
}

const WireErrorSchema = v.object({
  code: v.string(),
  message: v.string(),
  data: v.record(v.string(), v.unknown()),
  reasons: v.array(ReasonAnswer),
})

/** The error in an answer's body, or in a message of a stream. */
export function errorOf(json: unknown, status: number): OperationError {
  const parsed = v.safeParse(WireErrorSchema, json)
  if (!parsed.success) return new OperationError('failed', `the agent answered with status ${status} and no error that can be read`)
  const { code, message, data, reasons } = parsed.output
  const known: ErrorCode = isErrorCode(code) ? code : 'failed'
  const wire: WireError = {
    code: known,
    message,
    data,
    reasons: reasons.map(({ fix, ...reason }) => (fix === undefined ? reason : { ...reason, fix })),
  }
  return fromWireError(wire)
}

function parseJson(text: string): unknown {
  try {
    const json: unknown = JSON.parse(text)
    return json
  } catch (cause) {
    throw new OperationError('failed', 'the agent answered with something that is no JSON', { cause })
  }
}

function checked<N extends EndpointName>(name: N, json: unknown): Answer<N> {
  const schema: v.GenericSchema<unknown, Answer<N>> = CONTRACT[name].answer
  const parsed = v.safeParse(schema, json)
  if (parsed.success) return parsed.output
  const issue = parsed.issues[0]
  const message = `the agent's answer to ${name} has another form than this version knows: ${v.getDotPath(issue) ?? ''} ${issue.message}`
  throw new OperationError('failed', message, {
    reasons: [{ code: 'version', message: 'agent and command line differ', fix: 'hostmesh version' }],
  })
}
