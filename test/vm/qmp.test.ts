// The QMP client against a server that behaves, misbehaves, and goes away.
import { describe, expect, it, onTestFinished } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { connectQmp, type Qmp } from '../../src/vm/qmp.ts'
import { errorOf } from '../fixture/error-of.ts'
import { manualClock } from '../fixture/manual-clock.ts'
import { lineServer, type LineServer } from '../fixture/line-server.ts'
import { waitFor } from '../lab/wait-for.ts'

const GREETING = '{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""}, "capabilities": ["oob"]}}\r\n'

/** Answers every command with its own name, but those that a test wants to hear about itself. */
function polite(silentOn: readonly string[] = []): (line: string) => string | undefined {
  return (line) => {
    const { execute, id } = JSON.parse(line)
    return silentOn.includes(execute) ? undefined : `${JSON.stringify({ return: { ran: execute }, id })}\r\n`
  }
}

async function connected(server: LineServer): Promise<Qmp> {
  const qmp = await connectQmp({ path: server.path, clock: realClock, timeoutMs: 5_000 })
  onTestFinished(() => qmp.close())
  return qmp
}

describe('a QMP client', () => {
  it('negotiates, with out-of-band commands where they are offered', async () => {
    const server = await lineServer({ greeting: GREETING, answer: polite() })
    await connected(server)
    expect(server.received.map((line) => JSON.parse(line))).toEqual([
      { execute: 'qmp_capabilities', arguments: { enable: ['oob'] }, id: 1 },
    ])
    const older = await lineServer({ greeting: '{"QMP": {"capabilities": []}}\r\n', answer: polite() })
    await connected(older)
    expect(JSON.parse(older.received[0] ?? '')).toMatchObject({ arguments: { enable: [] } })
  })

  it('sends arguments, and gives back what QEMU returns', async () => {
    const server = await lineServer({ greeting: GREETING, answer: polite() })
    const qmp = await connected(server)
    expect(await qmp.execute('device_del', { id: 'nic0' })).toEqual({ ran: 'device_del' })
    expect(JSON.parse(server.received[1] ?? '')).toEqual({ execute: 'device_del', arguments: { id: 'nic0' }, id: 2 })
    void qmp.execute('yank', {}, { outOfBand: true }).catch(() => {})
    await waitFor('the command arrives', () => server.received.length === 3)
    expect(JSON.parse(server.received[2] ?? '')).toMatchObject({ 'exec-oob': 'yank' })
  })

  it('gives each caller its own answer, in whatever order they come', async () => {
    const server = await lineServer({ greeting: GREETING, answer: polite(['slow', 'fast']) })
    const qmp = await connected(server)
    const slow = qmp.execute('slow')
    const fast = qmp.execute('fast')
    await waitFor('both arrive', () => server.received.length === 3)
    server.send('{"return": "second", "id": 3}\r\n{"return": "first", "id": 2}\r\n')
    expect(await Promise.all([slow, fast])).toEqual(['first', 'second'])
  })

  it("rejects with QEMU's own words and class when QEMU refuses", async () => {
    const answer = (line: string): string => {
      const { execute, id } = JSON.parse(line)
      if (execute === 'qmp_capabilities') return `${JSON.stringify({ return: {}, id })}\n`
      return `${JSON.stringify({ id, error: { class: 'GenericError', desc: 'Resetting the Virtual Machine is required' } })}\n`
    }
    const qmp = await connected(await lineServer({ greeting: GREETING, answer }))
    await expect(qmp.execute('cont')).rejects.toMatchObject({
      code: 'failed',
      message: 'QEMU refused cont: Resetting the Virtual Machine is required',
      data: { command: 'cont', class: 'GenericError' },
    })
  })

  it('hands on events in their order, also between an answer and the next, until nobody listens', async () => {
    const server = await lineServer({ greeting: GREETING, answer: polite() })
    const qmp = await connected(server)
    const heard: string[] = []
    const off = qmp.onEvent(({ name, data }) => heard.push(`${name} ${JSON.stringify(data)}`))
    server.send('{"event": "STOP", "timestamp": {}}\r\n{"event": "BLOCK_IO_ERROR", "data": {"device": "d"}}\r\n')
    await waitFor('both events', () => heard.length === 2)
    expect(heard).toEqual(['STOP {}', 'BLOCK_IO_ERROR {"device":"d"}'])
    off()
    server.send('{"event": "RESUME"}\r\n')
    await qmp.execute('query-status')
    expect(heard).toHaveLength(2)
  })

  it('gives up a command after its time, and takes no harm from an answer that comes later', async () => {
    const clock = manualClock()
    const server = await lineServer({ greeting: GREETING, answer: polite(['slow']) })
    const qmp = await connectQmp({ path: server.path, clock, timeoutMs: 5_000 })
    onTestFinished(() => qmp.close())
    const slow = qmp.execute('slow', {}, { timeoutMs: 100 })
    const error = errorOf(slow)
    await clock.run(100)
    expect(await error).toMatchObject({ code: 'timeout', message: expect.stringContaining('slow') })
    server.send('{"return": "late", "id": 2}\r\n')
    expect(await qmp.execute('next')).toEqual({ ran: 'next' })
  })

  it('gives up a command when its caller does', async () => {
    const server = await lineServer({ greeting: GREETING, answer: polite(['slow']) })
    const qmp = await connected(server)
    const caller = new AbortController()
    const slow = qmp.execute('slow', {}, { signal: caller.signal })
    caller.abort(new Error('the user left'))
    await expect(slow).rejects.toThrow('the user left')
    await expect(qmp.execute('never sent', {}, { signal: caller.signal })).rejects.toThrow('the user left')
  })

  it('takes no more than 64 commands that wait', async () => {
    const server = await lineServer({ greeting: GREETING, answer: polite(['slow']) })
    const qmp = await connected(server)
    const waiting = Array.from({ length: 64 }, () => qmp.execute('slow'))
    await expect(qmp.execute('slow')).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining('64') })
    qmp.close()
    expect((await Promise.allSettled(waiting)).every(({ status }) => status === 'rejected')).toBe(true)
  })
})

describe('a broken connection', () => {
  it('rejects what waits and what comes later, and is told once', async () => {
    const server = await lineServer({ greeting: GREETING, answer: polite(['slow']) })
    const qmp = await connected(server)
    let closed = 0
    qmp.onClose(() => {
      closed += 1
    })
    const slow = qmp.execute('slow')
    await waitFor('the command arrives', () => server.received.length === 2)
    server.hangUp()
    await expect(slow).rejects.toMatchObject({ code: 'unreachable' })
    await expect(qmp.execute('next')).rejects.toMatchObject({ code: 'unreachable' })
    qmp.close()
    expect(closed).toBe(1)
    qmp.onClose(() => {
      closed += 1
    })
    expect(closed).toBe(2)
  })

  it.each([
    ['text that is no JSON', 'hello\r\n'],
    ['JSON that is no object', '[1]\r\n'],
    ['an event without a name', '{"event": 7}\r\n'],
    ['a line without end', 'x'.repeat(9 * 1024 * 1024)],
  ])('is what %s makes of it', async (_, text) => {
    const server = await lineServer({ greeting: GREETING, answer: polite(['slow']) })
    const qmp = await connected(server)
    const slow = qmp.execute('slow')
    server.send(text)
    await expect(slow).rejects.toMatchObject({ code: 'unreachable', message: expect.stringContaining('does not speak QMP') })
  })

  it('is refused where nobody listens, and where nobody greets', async () => {
    const nowhere = { path: '/nowhere/qmp', clock: realClock, timeoutMs: 5_000 }
    await expect(connectQmp(nowhere)).rejects.toMatchObject({ code: 'unreachable' })
    const clock = manualClock()
    const mute = await lineServer()
    const attempt = connectQmp({ path: mute.path, clock, timeoutMs: 1_000 })
    const error = errorOf(attempt)
    await waitFor('the client is there', () => mute.connections === 1)
    await clock.run(1_000)
    expect(await error).toMatchObject({ code: 'timeout' })
  })
})
