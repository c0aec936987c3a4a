// Mounts the contract: each route with its parsing, its freshness and its errors, once for all.
import { type Context, Hono } from 'hono'
import { assert } from '../base/assert.ts'
import { httpStatus, OperationError, toWireError } from '../base/errors.ts'
import { type ApiContext } from './context.ts'
import { type Body, CONTRACT, type Endpoint, type EndpointName, type Names, type Params, type Query } from './contract.ts'
import { readOrStale } from './freshness.ts'
import { type Handlers, type Request as Call } from './handler.ts'
import { parseInput, parseJsonBody, parseKey, readBody } from './input.ts'
import { eventBody } from './stream.ts'
import { write } from './write.ts'

/** Ends every request that is still under way. */
export interface AppOptions {
  readonly context: ApiContext
  readonly handlers: Handlers
  readonly stopping: AbortSignal
}

export function buildApp(options: AppOptions): Hono {
  const app = new Hono()
  const mount = (name: EndpointName, answer: (c: Context) => Promise<Response>): void => {
    app.on(CONTRACT[name].method, `/v1${CONTRACT[name].path}`, answer)
  }
  for (const name of namesOf('read')) mount(name, (c) => answerRead(options, name, c))
  for (const name of namesOf('write')) mount(name, (c) => answerWrite(options, name, c))
  for (const name of namesOf('local')) mount(name, (c) => answerLocal(options, name, c))
  for (const name of namesOf('stream')) mount(name, (c) => answerStream(options, name, c))
  app.notFound((c) => errorAnswer(new OperationError('not-found', `there is no route ${c.req.method} ${c.req.path}`)))
  app.onError((error, c) => {
    // A fault of ours: its text may name anything, so the client gets the fact, the log the rest.
    if (!(error instanceof OperationError)) options.context.log.error({ error, path: c.req.path }, 'a request failed')
    return errorAnswer(
      error instanceof OperationError ? error : new OperationError('failed', 'the agent failed at this request; its log says why'),
    )
  })
  return app
}

function errorAnswer(error: OperationError): Response {
  return new Response(JSON.stringify(toWireError(error)), {
    status: httpStatus(error.code),
    headers: { 'content-type': 'application/json' },
  })
}

async function answerRead<N extends Names<'read'>>({ context, handlers, stopping }: AppOptions, name: N, c: Context): Promise<Response> {
  const call = await parsed(context, name, c, stopping)
  const fresh = await readOrStale(context, call.signal)
  const handler: Handlers['read'][N] = handlers.read[name]
  const answer = await handler({ ...call, ...fresh })
  return c.json(answer, 200, fresh.stale === null ? {} : { 'hostmesh-stale': String(fresh.stale.ageMs) })
}

async function answerWrite<N extends Names<'write'>>({ context, handlers, stopping }: AppOptions, name: N, c: Context): Promise<Response> {
  const key = parseKey(c.req.header('idempotency-key'), context.random)
  const call = await parsed(context, name, c, stopping)
  const { dryRun = false, reason = null }: { readonly dryRun?: boolean | undefined; readonly reason?: string | null | undefined } =
    call.query
  const answer = await write(call, handlers.write[name], { key, dryRun, reason })
  return c.json(answer, answer.job === null ? 200 : 202)
}

async function answerLocal<N extends Names<'local'>>({ context, handlers, stopping }: AppOptions, name: N, c: Context): Promise<Response> {
  const handler: Handlers['local'][N] = handlers.local[name]
  return c.json(await handler(await parsed(context, name, c, stopping)))
}

async function answerStream<N extends Names<'stream'>>(
  { context, handlers, stopping }: AppOptions,
  name: N,
  c: Context,
): Promise<Response> {
  const gone = new AbortController()
  const call = await parsed(context, name, c, AbortSignal.any([stopping, gone.signal]))
  const handler: Handlers['stream'][N] = handlers.stream[name]
  const items = handler(call)
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store' }
  return c.newResponse(
    eventBody(items, () => gone.abort(new OperationError('unreachable', 'the client went'))),
    { headers },
  )
}

async function parsed<N extends EndpointName>(context: ApiContext, name: N, c: Context, stopping: AbortSignal): Promise<Call<N>> {
  const { query, body } = CONTRACT[name]
  return {
    context,
    params: paramsOf(name, c),
    query: parseInput<Query<N>>(query, c.req.query(), 'query'),
    body: parseInput<Body<N>>(body, parseJsonBody(await readBody(c.req.raw)), 'body'),
    signal: AbortSignal.any([c.req.raw.signal, stopping]),
  }
}

/** The router fills every parameter of the path that it matched. */
function paramsOf<N extends EndpointName>(name: N, c: Context): Params<N> {
  const found: unknown = c.req.param()
  assert(hasParams(name, found), `parameters of ${CONTRACT[name].path} in ${c.req.path}`)
  return found
}

function hasParams<N extends EndpointName>(name: N, found: unknown): found is Params<N> {
  const wanted = CONTRACT[name].path.match(/(?<=:)[a-z]+/g) ?? []
  return typeof found === 'object' && found !== null && wanted.every((key) => key in found)
}

function namesOf<K extends Endpoint['kind']>(kind: K): Names<K>[] {
  const isOfKind = (name: string): name is Names<K> => Object.hasOwn(CONTRACT, name) && kindOf(name) === kind
  return Object.keys(CONTRACT).filter(isOfKind)
}

function kindOf(name: string): Endpoint['kind'] | undefined {
  const table: Readonly<Record<string, Endpoint>> = CONTRACT
  return table[name]?.kind
}
