// The servers of the API: who reaches them, what they refuse, and how they begin and end.
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { apiClient } from '../../src/api/client.ts'
import { startApi } from '../../src/api/server.ts'
import { realClock } from '../../src/base/clock.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { fakeAgent, type FakeAgent } from './fake-agent.ts'
import { rawRequest, type RawAnswer } from './raw-http.ts'

const never = new AbortController().signal

function onSocket(agent: FakeAgent, path: string, options: Parameters<typeof rawRequest>[1] = {}): Promise<RawAnswer> {
  return rawRequest({ socketPath: agent.socketPath, path }, options)
}

async function overTcp(agent: FakeAgent, headers: Record<string, string>): Promise<RawAnswer> {
  return rawRequest({ host: '127.0.0.1', port: agent.port, path: '/v1/status' }, { headers })
}

async function tokenOf(agent: FakeAgent): Promise<string> {
  return (await readFile(join(agent.directory, 'api-token'), 'utf8')).trim()
}

describe('the unix socket', () => {
  it('answers, and is closed to other users', async () => {
    const agent = await fakeAgent()
    expect((await onSocket(agent, '/v1/version')).status).toBe(200)
    expect((await stat(agent.socketPath)).mode & 0o777).toBe(0o600)
  })

  it('has the mode that it was asked for', async () => {
    const agent = await fakeAgent()
    const socketPath = join(agent.directory, 'other.sock')
    const server = await startApi(agent.context, { socketPath, socketMode: 0o660, tcp: null })
    expect((await stat(socketPath)).mode & 0o777).toBe(0o660)
    await server.stop()
  })

  it('takes the place of one that a killed agent left behind', async () => {
    const agent = await fakeAgent()
    const socketPath = join(agent.directory, 'dead.sock')
    const dead = createServer().listen(socketPath)
    await new Promise((listening) => dead.once('listening', listening))
    // The file stays as after a kill -9: Node would take it away at the close.
    const other = join(agent.directory, 'moved.sock')
    const { rename } = await import('node:fs/promises')
    await rename(socketPath, other)
    await new Promise((closed) => dead.close(closed))
    await rename(other, socketPath)
    const server = await startApi(agent.context, { socketPath, socketMode: 0o600, tcp: null })
    expect((await rawRequest({ socketPath, path: '/v1/version' }, {})).status).toBe(200)
    await server.stop()
  })

  it('is left to an agent that lives', async () => {
    const agent = await fakeAgent()
    const second = startApi(agent.context, { socketPath: agent.socketPath, socketMode: 0o600, tcp: null })
    await expect(second).rejects.toMatchObject({
      code: 'conflict',
      reasons: [{ code: 'socket-taken', message: 'another agent listens on it' }],
    })
    expect((await onSocket(agent, '/v1/version')).status).toBe(200)
  })

  it('is not put in the place of something else', async () => {
    const agent = await fakeAgent()
    const socketPath = join(agent.directory, 'notes')
    await writeFile(socketPath, 'mine')
    await expect(startApi(agent.context, { socketPath, socketMode: 0o600, tcp: null })).rejects.toThrow(/cannot listen/)
    expect(await readFile(socketPath, 'utf8')).toBe('mine')
  })

  it('is refused where its path is too long for the kernel', async () => {
    const agent = await fakeAgent()
    const path = (bytes: number): string => join(agent.directory, 'x'.repeat(bytes - agent.directory.length - 1))
    await expect(startApi(agent.context, { socketPath: path(108), socketMode: 0o600, tcp: null })).rejects.toMatchObject({ code: 'usage' })
    await (await startApi(agent.context, { socketPath: path(107), socketMode: 0o600, tcp: null })).stop()
  })
})

describe('the TCP listener', () => {
  it('answers whoever has the token', async () => {
    const agent = await fakeAgent({ tcp: true })
    const answer = await overTcp(agent, { authorization: `Bearer ${await tokenOf(agent)}` })
    expect(answer.status).toBe(200)
  })

  it.each<[string, Record<string, string>]>([
    ['no token', {}],
    ['a wrong token', { authorization: 'Bearer wrong' }],
    ['a name as its Host', { host: 'evil.example' }],
  ])('refuses a request with %s, and says what is wrong without saying more', async (_, headers) => {
    const agent = await fakeAgent({ tcp: true })
    const withToken = 'host' in headers ? { ...headers, authorization: `Bearer ${await tokenOf(agent)}` } : headers
    const answer = await overTcp(agent, withToken)
    expect(answer.status).toBe(403)
    expect(answer.json).toMatchObject({ code: 'forbidden', reasons: [{ fix: expect.any(String) }] })
    expect(JSON.stringify(answer.json)).not.toContain(await tokenOf(agent))
  })

  it('keeps its token over restarts, readable by its user only', async () => {
    const directory = await temporaryDirectory()
    const agent = await fakeAgent()
    const listeners = { socketPath: join(directory, 's'), socketMode: 0o600, tcp: { host: '127.0.0.1', port: 0, dataDir: directory } }
    const path = join(directory, 'api-token')
    await (await startApi(agent.context, listeners)).stop()
    const first = await readFile(path, 'utf8')
    await chmod(path, 0o644)
    await (await startApi(agent.context, listeners)).stop()
    expect(await readFile(path, 'utf8')).toBe(first)
    expect(first.trim()).toMatch(/^[\w-]{43}$/)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('is not opened with a token that was damaged', async () => {
    const directory = await temporaryDirectory()
    const agent = await fakeAgent()
    await writeFile(join(directory, 'api-token'), '\n')
    const listeners = { socketPath: join(directory, 's'), socketMode: 0o600, tcp: { host: '127.0.0.1', port: 0, dataDir: directory } }
    await expect(startApi(agent.context, listeners)).rejects.toMatchObject({ code: 'failed', reasons: [{ code: 'api-token' }] })
    // Nothing is left half open either.
    await expect(rawRequest({ socketPath: listeners.socketPath, path: '/v1/version' }, {})).rejects.toThrow(/ENOENT|ECONNREFUSED/)
  })

  it('is not opened where its token cannot be kept', async () => {
    const agent = await fakeAgent()
    const listeners = {
      socketPath: join(agent.directory, 's2'),
      socketMode: 0o600,
      tcp: { host: '127.0.0.1', port: 0, dataDir: join(agent.directory, 'nowhere') },
    }
    await expect(startApi(agent.context, listeners)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('says which address it could not have', async () => {
    const agent = await fakeAgent({ tcp: true })
    const socketPath = join(agent.directory, 'second.sock')
    const tcp = { host: '127.0.0.1', port: agent.port, dataDir: agent.directory }
    await expect(startApi(agent.context, { socketPath, socketMode: 0o600, tcp })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${agent.port}`,
    )
  })

  it('serves the typed client', async () => {
    const agent = await fakeAgent({ tcp: true })
    const client = apiClient({ kind: 'tcp', host: '127.0.0.1', port: agent.port, token: await tokenOf(agent) }, realClock)
    expect((await client.call('version', {}, { signal: never })).answer.self.name).toBe('h1')
    const stranger = apiClient({ kind: 'tcp', host: '127.0.0.1', port: agent.port, token: null }, realClock)
    await expect(stranger.call('version', {}, { signal: never })).rejects.toMatchObject({ code: 'forbidden' })
  })
})

describe('a request', () => {
  it.each<[string, number, string, Parameters<typeof rawRequest>[1]]>([
    ['to nowhere', 404, '/v1/nowhere', {}],
    ['outside /v1', 404, '/', {}],
    ['with the wrong method', 404, '/v1/status', { method: 'POST' }],
    ['with malformed JSON', 400, '/v1/vms', { method: 'POST', body: '{"name": "web"' }],
    ['with a list for a body', 400, '/v1/vms', { method: 'POST', body: '[]' }],
    ['with an unknown field', 400, '/v1/datastores', { method: 'POST', body: '{"name":"a","path":"/a","color":"red"}' }],
    ['with an unknown word in its query', 400, '/v1/vms?colour=red', {}],
    ['with a key that is none', 400, '/v1/datastores', { method: 'POST', body: '{}', headers: { 'idempotency-key': 'a b' } }],
    ['with a body that announces too much', 413, '/v1/vms', { method: 'POST', body: 'x'.repeat(1024 ** 2 + 1) }],
    ['for an object that is not there', 404, '/v1/vms/nope', {}],
    ['for a name that cannot be decoded', 404, '/v1/vms/%E0%A4%A', {}],
  ])('%s is answered with %i, an error of ours, and changes nothing', async (_, status, path, options) => {
    const agent = await fakeAgent()
    const before = agent.mesh.inventory()
    const answer = await onSocket(agent, path, options)
    expect(answer.status).toBe(status)
    expect(answer.json).toEqual({
      code: expect.any(String),
      message: expect.any(String),
      data: expect.any(Object),
      reasons: expect.any(Array),
    })
    expect(agent.mesh.inventory()).toBe(before)
  })

  it('with a body that never ends is cut off at a mebibyte', async () => {
    const agent = await fakeAgent()
    const { request } = await import('node:http')
    const status = await new Promise<number>((resolve, reject) => {
      const sent = request({ socketPath: agent.socketPath, path: '/v1/vms', method: 'POST', agent: false }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
        sent.destroy()
      })
      sent.on('error', reject)
      const more = (): void => {
        while (!sent.destroyed && sent.write(Buffer.alloc(64 * 1024)));
      }
      sent.on('drain', more)
      more()
    })
    expect(status).toBe(413)
  })

  it('that meets a bug of ours gets no trace of it, the log does', async () => {
    const seen: unknown[] = []
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: (facts: object) => void seen.push(facts) }
    const load = (): never => {
      throw new Error('secret of the machine')
    }
    const agent = await fakeAgent({ changes: { log, load } })
    const answer = await onSocket(agent, '/v1/vms')
    expect(answer.status).toBe(500)
    expect(answer.json).toMatchObject({ code: 'failed' })
    expect(JSON.stringify(answer.json)).not.toContain('secret')
    expect(seen).toMatchObject([{ path: '/v1/vms', error: { message: 'secret of the machine' } }])
  })
})

describe('without a quorum', () => {
  it('reads are answered and marked with their age', async () => {
    const agent = await fakeAgent()
    agent.mesh.lead(null)
    const read = await onSocket(agent, '/v1/hosts')
    expect(read.status).toBe(200)
    expect(read.headers['hostmesh-stale']).toBe('1000')
    expect(read.json).toHaveLength(3)
    const status = await onSocket(agent, '/v1/status')
    expect(status.json).toMatchObject({ quorum: 'lost', leader: null, stale: { ageMs: 1000 } })
  })

  it('fresh answers carry no mark', async () => {
    const agent = await fakeAgent()
    const read = await onSocket(agent, '/v1/status')
    expect(read.headers).not.toHaveProperty('hostmesh-stale')
    expect(read.json).toMatchObject({ stale: null })
  })
})

describe('a stop', () => {
  it('ends streams, and the socket goes', async () => {
    const agent = await fakeAgent()
    const feed = agent.client.follow('changes', {}, { signal: never })
    expect((await feed.next()).done).toBe(false)
    const rest = feed.next().then(
      ({ done }) => (done === true ? 'ended' : 'message'),
      () => 'broken',
    )
    await agent.stop()
    expect(['ended', 'broken']).toContain(await rest)
    await expect(onSocket(agent, '/v1/version')).rejects.toThrow(/ENOENT|ECONNREFUSED/)
  })
})
