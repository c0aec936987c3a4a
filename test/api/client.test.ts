// The client: what it sends, and how it tells a refusal, a broken connection and no agent at all apart.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { apiClient, pathOf } from '../../src/api/client.ts'
import { realClock } from '../../src/base/clock.ts'
import { OperationError } from '../../src/base/errors.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

const never = new AbortController().signal

/** An agent of one answer. */
async function agentThat(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const path = join(await temporaryDirectory(), 's')
  const server = createServer(answer).listen(path)
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise((listening) => server.once('listening', listening))
  return path
}

const clientOf = (path: string) => apiClient({ kind: 'socket', path }, realClock)

describe('paths', () => {
  it('encode whatever a person typed', () => {
    expect(pathOf('vmShow', { vm: 'a/b?c' }, {})).toBe('/v1/vms/a%2Fb%3Fc')
    expect(pathOf('vmWhyNot', { vm: 'web' }, { host: 'h 1&x' })).toBe('/v1/vms/web/why-not?host=h+1%26x')
    expect(pathOf('eventList', {}, { since: undefined, limit: '5' })).toBe('/v1/events?limit=5')
  })
})

describe('the client', () => {
  it('sends method, key and body as the contract says', async () => {
    let seen: unknown
    const path = await agentThat((request, response) => {
      let body = ''
      request.on('data', (chunk) => (body += String(chunk)))
      request.on('end', () => {
        seen = {
          method: request.method,
          url: request.url,
          key: request.headers['idempotency-key'],
          type: request.headers['content-type'],
          body: JSON.parse(body) as unknown,
        }
        response.end(JSON.stringify({ dryRun: false, plan: [], id: 'x', job: null }))
      })
    })
    await clientOf(path).call(
      'diskResize',
      { params: { disk: 'images/root' }, query: { reason: 'grow' }, body: { sizeBytes: 5 } },
      { signal: never, key: 'k1' },
    )
    expect(seen).toEqual({
      method: 'PATCH',
      url: '/v1/disks/images%2Froot?reason=grow',
      key: 'k1',
      type: 'application/json',
      body: { sizeBytes: 5 },
    })
  })

  it('gives the answer, all that the agent said, and its age', async () => {
    const answer = { names: ['a'], news: 'of a newer agent' }
    const path = await agentThat((_, response) => response.setHeader('hostmesh-stale', '1500').end(JSON.stringify(answer)))
    expect(await clientOf(path).call('names', { query: { kind: 'vm' } }, { signal: never })).toEqual({
      answer: { names: ['a'] },
      json: answer,
      stale: { ageMs: 1500 },
    })
  })

  it('rejects with the error of the agent as it was', async () => {
    const error = { code: 'conflict', message: 'no', data: { job: 'j1' }, reasons: [{ code: 'job-open', message: 'busy', fix: 'wait' }] }
    const path = await agentThat((_, response) => response.writeHead(409).end(JSON.stringify(error)))
    const caught = await clientOf(path)
      .call('version', {}, { signal: never })
      .catch((reason: unknown) => reason)
    expect(caught).toBeInstanceOf(OperationError)
    expect(caught).toMatchObject(error)
  })

  it.each([400, 404, 500])('takes status %i for an error', async (status) => {
    const path = await agentThat((_, response) => response.writeHead(status).end('{"code":"usage","message":"no","data":{},"reasons":[]}'))
    await expect(clientOf(path).call('version', {}, { signal: never })).rejects.toMatchObject({ code: 'usage' })
  })

  it.each([
    ['no JSON', 'hello'],
    ['JSON of another form', '{"version": 5}'],
  ])('does not pass on an answer that is %s', async (_, text) => {
    const path = await agentThat((__, response) => response.end(text))
    await expect(clientOf(path).call('version', {}, { signal: never })).rejects.toMatchObject({ code: 'failed' })
  })

  it('reads an error that is none of ours as a failure with its status', async () => {
    const path = await agentThat((_, response) => response.writeHead(502).end('"bad gateway"'))
    await expect(clientOf(path).call('version', {}, { signal: never })).rejects.toThrow('status 502')
  })

  it('takes an unknown code for a plain failure', async () => {
    const path = await agentThat((_, response) =>
      response.writeHead(418).end('{"code":"teapot","message":"short and stout","data":{},"reasons":[]}'),
    )
    await expect(clientOf(path).call('version', {}, { signal: never })).rejects.toMatchObject({
      code: 'failed',
      message: 'short and stout',
    })
  })
})

describe('a connection', () => {
  it('that nobody takes was surely not used, and says how to start an agent', async () => {
    const path = join(await temporaryDirectory(), 'none')
    await expect(clientOf(path).call('version', {}, { signal: never })).rejects.toMatchObject({
      code: 'unreachable',
      data: { phase: 'connect' },
      reasons: [{ code: 'agent-not-running', fix: expect.stringContaining('hostmesh agent') }],
    })
    await expect(
      apiClient({ kind: 'tcp', host: '127.0.0.1', port: 1, token: null }, realClock).call('version', {}, { signal: never }),
    ).rejects.toMatchObject({
      data: { phase: 'connect' },
    })
  })

  it('that breaks before the answer, or in the middle of it, leaves the outcome open', async () => {
    const atOnce = await agentThat((request) => request.socket.destroy())
    await expect(clientOf(atOnce).call('version', {}, { signal: never })).rejects.toMatchObject({
      code: 'unreachable',
      data: { phase: 'broken' },
    })
    const midway = await agentThat((request, response) => {
      response.writeHead(200, { 'content-length': '100' })
      response.write('{"version":', () => request.socket.destroy())
    })
    await expect(clientOf(midway).call('version', {}, { signal: never })).rejects.toMatchObject({
      code: 'unreachable',
      data: { phase: 'broken' },
    })
  })

  it('ends with the signal, before and during the answer', async () => {
    const path = await agentThat((_, response) => response.write('{'))
    const limit = new AbortController()
    const call = clientOf(path).call('version', {}, { signal: limit.signal })
    limit.abort(new OperationError('timeout', 'too long'))
    await expect(call).rejects.toThrow('too long')
    await expect(clientOf(path).call('version', {}, { signal: limit.signal })).rejects.toThrow('too long')
  })
})

describe('a stream', () => {
  const message = { index: 1, reset: false, rows: [], events: [] }

  it('gives message after message and ends with the agent', async () => {
    const path = await agentThat((_, response) => {
      response.write(`id: 1\ndata: ${JSON.stringify(message)}\n\n:\n\n`)
      response.end(`id: 2\ndata: ${JSON.stringify({ ...message, index: 2 })}\n\n`)
    })
    const got: number[] = []
    for await (const { index } of clientOf(path).follow('changes', {}, { signal: never })) got.push(index)
    expect(got).toEqual([1, 2])
  })

  it('that is refused rejects with the error', async () => {
    const path = await agentThat((_, response) =>
      response.writeHead(422).end('{"code":"refused","message":"no mesh","data":{},"reasons":[]}'),
    )
    await expect(clientOf(path).follow('changes', {}, { signal: never }).next()).rejects.toMatchObject({ code: 'refused' })
  })

  it('that breaks says so', async () => {
    const path = await agentThat((request, response) => response.write(':\n\n', () => request.socket.destroy()))
    await expect(clientOf(path).follow('changes', {}, { signal: never }).next()).rejects.toMatchObject({ code: 'unreachable' })
  })

  it('that is silent for half a minute is dead', async () => {
    const waits: number[] = []
    const clock = { ...realClock, after: (ms: number, run: () => void) => (waits.push(ms), realClock.after(0, run)) }
    const path = await agentThat((_, response) => response.writeHead(200).flushHeaders())
    await expect(apiClient({ kind: 'socket', path }, clock).follow('changes', {}, { signal: never }).next()).rejects.toMatchObject({
      code: 'unreachable',
    })
    expect(waits).toEqual([30_000])
  })

  it('closes its connection when nobody reads on', async () => {
    let closed = false
    const path = await agentThat((request, response) => {
      request.socket.once('close', () => (closed = true))
      response.write(`data: ${JSON.stringify(message)}\n\n`)
    })
    for await (const one of clientOf(path).follow('changes', {}, { signal: never })) {
      expect(one.index).toBe(1)
      break
    }
    const { waitFor } = await import('../lab/wait-for.ts')
    await waitFor('the connection to close', () => closed)
  })
})
