// The warden's socket: for its own user, for few clients, and robust against what any of them sends.
import { stat, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { type WardenCall } from '../../src/vm/warden-protocol.ts'
import { listenForAgents, type AnswerCall, type WardenServer } from '../../src/vm/warden-server.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { waitFor } from '../lab/wait-for.ts'

interface Client {
  readonly socket: Socket
  readonly heard: () => unknown[]
  readonly isClosed: () => boolean
}

async function serve(answer: AnswerCall = async () => ({ kind: 'ok' })): Promise<{ path: string; server: WardenServer }> {
  const path = join(await temporaryDirectory(), 'warden.sock')
  const server = await listenForAgents(path, answer)
  onTestFinished(() => server.close())
  return { path, server }
}

function agent(path: string): Client {
  const socket = connect(path)
  onTestFinished(() => void socket.destroy())
  let text = ''
  let closed = false
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  const heard = (): unknown[] =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  return { socket, heard, isClosed: () => closed }
}

describe('the warden at its socket', () => {
  it('is there for its own user only, also where a dead one left its socket', async () => {
    const path = join(await temporaryDirectory(), 'warden.sock')
    await writeFile(path, '', { mode: 0o666 })
    const server = await listenForAgents(path, async () => ({ kind: 'ok' }))
    onTestFinished(() => server.close())
    const facts = await stat(path)
    expect(facts.isSocket()).toBe(true)
    expect(facts.mode & 0o777).toBe(0o600)
  })

  it('answers each request by its id, in the order in which they are done', async () => {
    const slow = Promise.withResolvers<void>()
    const { path } = await serve(async (call: WardenCall) => {
      if (call.kind === 'list') await slow.promise
      return call.kind === 'list' ? { kind: 'runs', runs: [] } : { kind: 'ok' }
    })
    const { socket, heard } = agent(path)
    socket.write('{"id":1,"kind":"list"}\n{"id":2,"kind":"exit"}\n')
    await waitFor('the second', () => heard().length === 1)
    slow.resolve()
    await waitFor('the first', () => heard().length === 2)
    expect(heard()).toEqual([
      { id: 2, kind: 'ok' },
      { id: 1, kind: 'runs', runs: [] },
    ])
  })

  it.each([
    ['conflict', 'conflict'],
    ['not-found', 'not-found'],
    ['usage', 'usage'],
    ['timeout', 'timeout'],
    ['unreachable', 'failed'],
    ['failed', 'failed'],
  ] as const)('answers a %s with its words', async (code, expected) => {
    const { path } = await serve(async () => {
      throw new OperationError(code, 'so it is')
    })
    const { socket, heard } = agent(path)
    socket.write('{"id":5,"kind":"list"}\n')
    await waitFor('an answer', () => heard().length === 1)
    expect(heard()).toEqual([{ id: 5, kind: 'error', code: expected, message: 'so it is', reason: null }])
  })

  it.each([
    ['no JSON', 'hello\n', /no JSON/],
    ['no request', '{"id":1,"kind":"shell"}\n', /kind must be one of/],
    ['a line without end', 'x'.repeat(4 * 1024 * 1024 + 1), /longer than/],
  ])('says why it parts with a client that sends %s, and serves the others on', async (_, text, message) => {
    const { path } = await serve()
    const bad = agent(path)
    const good = agent(path)
    bad.socket.write(text)
    await waitFor('the end', bad.isClosed)
    expect(bad.heard()).toEqual([{ id: 0, kind: 'error', code: 'usage', message: expect.stringMatching(message), reason: null }])
    good.socket.write('{"id":1,"kind":"list"}\n')
    await waitFor('an answer', () => good.heard().length === 1)
  })

  it('tells every client of a change, and forgets those that left', async () => {
    const { path, server } = await serve()
    const clients = [agent(path), agent(path)]
    await waitFor('both are there', () => server.clients === 2)
    server.notify()
    for (const { heard } of clients) await waitFor('a notice', () => heard().length === 1)
    expect(clients[0]?.heard()).toEqual([{ kind: 'changed' }])
    clients[0]?.socket.destroy()
    await waitFor('one is left', () => server.clients === 1)
    server.notify()
    await waitFor('a second notice', () => clients[1]?.heard().length === 2)
  })

  it('takes no more than sixteen clients', async () => {
    const { path, server } = await serve()
    const clients = Array.from({ length: 16 }, () => agent(path))
    await waitFor('all are there', () => server.clients === 16)
    const late = agent(path)
    await waitFor('it is turned away', late.isClosed)
    expect(clients.some(({ isClosed }) => isClosed())).toBe(false)
  })

  it('cuts off a client that reads nothing, instead of remembering everything for it', async () => {
    const words = 'x'.repeat(1024 * 1024)
    const { path, server } = await serve(async () => ({ kind: 'error', code: 'failed', message: words, reason: null }))
    const { socket } = agent(path)
    socket.pause()
    socket.write('{"id":1,"kind":"list"}\n'.repeat(40))
    await waitFor('it is cut off', () => server.clients === 0, { limitMs: 5_000 })
  })

  it('sends what it has said before it goes', async () => {
    const { path, server } = await serve()
    const { socket, heard, isClosed } = agent(path)
    socket.write('{"id":1,"kind":"exit"}\n')
    await waitFor('the answer', () => heard().length === 1)
    server.notify()
    server.close()
    await waitFor('the end', isClosed)
    expect(heard()).toEqual([{ id: 1, kind: 'ok' }, { kind: 'changed' }])
  })
})
