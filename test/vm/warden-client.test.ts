// The agent's line to a warden that is there already: whom it works with, and what it does when the line breaks.
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { type VmId } from '../../src/base/ids.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { WardenClient } from '../../src/vm/warden-client.ts'
import { WARDEN_PROTOCOL, WARDEN_SOCKET } from '../../src/vm/warden-protocol.ts'
import { lineServer, type LineServer } from '../fixture/line-server.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { waitFor } from '../lab/wait-for.ts'

interface FakeWarden {
  readonly protocol?: number
  readonly version?: string
  /** Requests that get no answer. */
  readonly silentOn?: readonly string[]
  /** How many greetings break the line, or are refused, as by one that is about to end. */
  readonly endingFor?: number
}

async function meet(warden: FakeWarden): Promise<{ client: WardenClient; server: LineServer; readonly kinds: () => string[] }> {
  const directory = await temporaryDirectory()
  const { protocol = WARDEN_PROTOCOL, version = '1.0.0', silentOn = [], endingFor = 0 } = warden
  let ending = endingFor
  const answers: Readonly<Record<string, object>> = {
    hello: { kind: 'hello', protocol, pid: 4711, version, bootId: 'b' },
    list: { kind: 'runs', runs: [] },
    // Guests run under it.
    exit: { kind: 'error', code: 'conflict', message: '1 guests run' },
    forget: { kind: 'error', code: 'conflict', message: 'it is live' },
  }
  const answer = (line: string): string | undefined => {
    const { id, kind } = JSON.parse(line)
    if (kind === 'hello' && ending > 0) {
      ending -= 1
      if (ending === 0) return `${JSON.stringify({ id, kind: 'error', code: 'conflict', message: 'on its way out' })}\n`
      server.hangUp()
      return undefined
    }
    return silentOn.includes(kind) ? undefined : `${JSON.stringify({ id, ...answers[kind] })}\n`
  }
  const server = await lineServer({ path: join(directory, WARDEN_SOCKET), answer })
  const client = new WardenClient({ directory, version: '1.0.0', clock: realClock, random: seededRandom(1), log: silentLog })
  onTestFinished(() => client.close())
  return { client, server, kinds: () => server.received.map((line) => JSON.parse(line).kind) }
}

const RUN = { vm: 'web' as VmId, epoch: { generation: 1, counter: 1 } }

describe('a warden client', () => {
  it('greets, then asks; many calls share one line', async () => {
    const { client, server, kinds } = await meet({})
    const answers = await Promise.all([client.call({ kind: 'list' }), client.call({ kind: 'list' })])
    expect(answers).toEqual([
      { kind: 'runs', runs: [] },
      { kind: 'runs', runs: [] },
    ])
    expect(kinds()).toEqual(['hello', 'list', 'list'])
    expect(server.connections).toBe(1)
  })

  it("hands on the warden's refusal with its code", async () => {
    const { client } = await meet({})
    await expect(client.call({ kind: 'forget', ...RUN })).rejects.toMatchObject({ code: 'conflict', message: 'it is live' })
  })

  it('works with a warden of another version, because guests run under it', async () => {
    const { client, kinds } = await meet({ version: '0.9.0' })
    expect(await client.call({ kind: 'list' })).toEqual({ kind: 'runs', runs: [] })
    expect(kinds()).toEqual(['hello', 'exit', 'list'])
  })

  it('refuses to work with a warden of another protocol, and says what mends it', async () => {
    const { client, kinds } = await meet({ protocol: WARDEN_PROTOCOL + 1, version: '2.0.0' })
    const refused = {
      code: 'failed',
      message: expect.stringMatching(/process 4711, version 2\.0\.0.*protocol 2, this agent 1.*shut them down/),
    }
    await expect(client.call({ kind: 'list' })).rejects.toMatchObject(refused)
    expect(kinds()).toEqual(['hello', 'exit'])
    await expect(client.call({ kind: 'list' })).rejects.toMatchObject(refused)
  })

  it('rejects what waits when the line breaks, says that something changed, and connects again for the next call', async () => {
    const { client, server } = await meet({ silentOn: ['end'] })
    let changes = 0
    client.onChange(() => {
      changes += 1
    })
    await client.call({ kind: 'list' })
    const waiting = client.call({ kind: 'end', ...RUN, intent: 'off', words: '' })
    await waitFor('the call arrives', () => server.received.length === 3)
    server.hangUp()
    await expect(waiting).rejects.toMatchObject({ code: 'unreachable' })
    expect(changes).toBe(1)
    expect(await client.call({ kind: 'list' })).toEqual({ kind: 'runs', runs: [] })
    expect(server.connections).toBe(2)
  })

  it('tries again where the warden it meets is about to end', async () => {
    const { client, server, kinds } = await meet({ endingFor: 2 })
    expect(await client.call({ kind: 'list' })).toEqual({ kind: 'runs', runs: [] })
    expect(kinds()).toEqual(['hello', 'hello', 'hello', 'list'])
    expect(server.connections).toBe(3)
  })

  it('hears notices', async () => {
    const { client, server } = await meet({})
    let changes = 0
    const off = client.onChange(() => {
      changes += 1
    })
    await client.call({ kind: 'list' })
    server.send('{"kind":"changed"}\n{"kind":"changed"}\n')
    await waitFor('two notices', () => changes === 2)
    off()
    server.send('{"kind":"changed"}\n')
    await client.call({ kind: 'list' })
    expect(changes).toBe(2)
  })

  it('breaks with a warden that talks nonsense', async () => {
    const { client, server } = await meet({ silentOn: ['list'] })
    const waiting = client.call({ kind: 'list' })
    await waitFor('the call arrives', () => server.received.length === 2)
    server.send('{"id":2,"kind":"runs","runs":[7]}\n')
    await expect(waiting).rejects.toMatchObject({ code: 'unreachable', message: expect.stringContaining('a run must be an object') })
  })

  it('gives up a call when its caller does', async () => {
    const { client } = await meet({ silentOn: ['list'] })
    const caller = new AbortController()
    const waiting = client.call({ kind: 'list' }, caller.signal)
    caller.abort(new Error('the agent stops'))
    await expect(waiting).rejects.toThrow('the agent stops')
  })

  it('that was closed asks nobody', async () => {
    const { client, server } = await meet({})
    client.close()
    await expect(client.call({ kind: 'list' })).rejects.toMatchObject({ code: 'failed' })
    expect(server.connections).toBe(0)
  })
})
