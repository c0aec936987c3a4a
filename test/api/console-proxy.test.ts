// Consoles over the API: bytes both ways, refused with reasons, and never a danger for the agent.
import { connect } from 'node:net'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { openConsole, type ConsoleConnection } from '../../src/api/client-console.ts'
import { type ConsoleLine } from '../../src/api/context.ts'
import { OperationError } from '../../src/base/errors.ts'
import { aMesh, aMeshWithRunningVm, someVm, vmId } from '../fixture/inventory.ts'
import { waitFor } from '../lab/wait-for.ts'
import { fakeAgent, type FakeAgent } from './fake-agent.ts'

const signal = new AbortController().signal
const web = vmId('web')

async function open(agent: FakeAgent, vm = 'web'): Promise<{ readonly connection: ConsoleConnection; readonly text: () => string }> {
  let text = ''
  const connection = await openConsole(agent.client.target, vm, (bytes) => (text += Buffer.from(bytes).toString()), signal)
  return { connection, text: () => text }
}

const running = () => aMeshWithRunningVm().now

describe('a console', () => {
  it('carries what the guest writes and what the person types', async () => {
    const agent = await fakeAgent({ inventory: running() })
    const { connection, text } = await open(agent)
    agent.consoles.say(web, 'login: ')
    await waitFor('the prompt', () => text() === 'login: ')
    connection.send(Buffer.from('root\r'))
    await waitFor('the name', () => agent.consoles.typed === 'root\r')
  })

  it('carries bytes as they are, also such that are no text', async () => {
    const got: number[] = []
    const line: ConsoleLine = {
      write: () => undefined,
      onData: (listener) => listener(Uint8Array.of(0, 255, 27, 128)),
      onClose: () => undefined,
      close: () => undefined,
    }
    const console = { log: () => Promise.resolve(new Uint8Array()), open: () => Promise.resolve(line) }
    const agent = await fakeAgent({ inventory: running(), changes: { console } })
    await openConsole(agent.client.target, 'web', (bytes) => got.push(...bytes), signal)
    await waitFor('four bytes', () => got.length === 4)
    expect(got).toEqual([0, 255, 27, 128])
  })

  it('is closed towards the guest when the person leaves', async () => {
    const agent = await fakeAgent({ inventory: running() })
    const { connection } = await open(agent)
    connection.close()
    await connection.closed
    await waitFor('the guest side to be closed', () => !agent.consoles.isOpen(web))
  })

  it('ends well for the person when the guest ends', async () => {
    const agent = await fakeAgent({ inventory: running() })
    const { connection } = await open(agent)
    agent.consoles.end(web)
    await expect(connection.closed).resolves.toBeUndefined()
  })

  it('breaks for the person when the agent stops', async () => {
    const agent = await fakeAgent({ inventory: running() })
    const { connection } = await open(agent)
    await agent.stop()
    await expect(connection.closed).rejects.toMatchObject({ code: 'unreachable' })
  })

  it('ends with the signal of whoever opened it', async () => {
    const agent = await fakeAgent({ inventory: running() })
    const over = new AbortController()
    const connection = await openConsole(agent.client.target, 'web', () => undefined, over.signal)
    over.abort(new OperationError('timeout', 'enough'))
    await expect(connection.closed).rejects.toThrow('enough')
  })

  it('lets go of a client that reads slower than its guest writes', async () => {
    const agent = await fakeAgent({ inventory: running() })
    const socket = new WebSocket('ws://localhost/v1/vms/web/console', { createConnection: () => connect(agent.socketPath) })
    await new Promise((opened) => socket.once('open', opened))
    socket.pause()
    const closed = new Promise<number>((code) => socket.once('close', code))
    const much = 'x'.repeat(256 * 1024)
    await waitFor('the agent to let go', () => {
      agent.consoles.say(web, much)
      return !agent.consoles.isOpen(web)
    })
    expect(agent.consoles.said).toBeLessThan(16 * 1024 ** 2)
    socket.resume()
    expect(await closed).toBe(1008)
  })
})

describe('a console is refused', () => {
  it('for a VM that is not there', async () => {
    const agent = await fakeAgent()
    await expect(open(agent, 'nope')).rejects.toMatchObject({ code: 'not-found' })
  })

  it('for a VM that is off, with the command that starts it', async () => {
    const log = aMesh()
    log.do(someVm('web'))
    const agent = await fakeAgent({ inventory: log.now })
    await expect(open(agent)).rejects.toMatchObject({ code: 'refused', reasons: [{ code: 'vm-state', fix: 'hostmesh vm start web' }] })
  })

  it('where the host of the VM does not answer', async () => {
    const console = {
      log: () => Promise.resolve(new Uint8Array()),
      open: () => Promise.reject(new OperationError('unreachable', 'h2 does not answer')),
    }
    const agent = await fakeAgent({ inventory: running(), changes: { console } })
    await expect(open(agent)).rejects.toMatchObject({ code: 'unreachable', message: 'h2 does not answer' })
  })

  it('at any other path', async () => {
    const agent = await fakeAgent({ inventory: running() })
    const socket = new WebSocket('ws://localhost/v1/elsewhere', { createConnection: () => connect(agent.socketPath) })
    const status = await new Promise<number>((resolve) =>
      socket.once('unexpected-response', (_, response) => resolve(response.statusCode ?? 0)),
    )
    expect(status).toBe(404)
  })

  it('without the token, and for pages of somebody else', async () => {
    const agent = await fakeAgent({ inventory: running(), tcp: true })
    const token = (await readFile(join(agent.directory, 'api-token'), 'utf8')).trim()
    const tryOpen = (value: string | null): Promise<ConsoleConnection> =>
      openConsole({ kind: 'tcp', host: '127.0.0.1', port: agent.port, token: value }, 'web', () => undefined, signal)
    await expect(tryOpen(null)).rejects.toMatchObject({ code: 'forbidden' })
    const connection = await tryOpen(token)
    connection.close()
    const page = new WebSocket(`ws://127.0.0.1:${agent.port}/v1/vms/web/console`, {
      headers: { authorization: `Bearer ${token}`, origin: 'http://evil.example' },
    })
    const status = await new Promise<number>((resolve) =>
      page.once('unexpected-response', (_, response) => resolve(response.statusCode ?? 0)),
    )
    expect(status).toBe(403)
  })

  it('and a client that goes away in the middle does no harm', async () => {
    const agent = await fakeAgent({ inventory: running() })
    const socket = connect(agent.socketPath)
    socket.on('error', () => undefined)
    socket.write('GET /v1/vms/web/console HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    socket.destroy()
    expect((await agent.client.call('version', {}, { signal })).answer.version).toBe('0.1.0')
  })
})
