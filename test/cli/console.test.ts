// At the console of a VM: a person with a keyboard, and a script with a pipe.
import { describe, expect, it } from 'vitest'
import { type Io } from '../../src/cli/io.ts'
import { aMesh, aMeshWithRunningVm, someVm, vmId } from '../fixture/inventory.ts'
import { waitFor } from '../lab/wait-for.ts'
import { fakeAgent, type FakeAgent } from '../api/fake-agent.ts'
import { hostmesh, type RunWishes } from './cli-run.ts'

const web = vmId('web')

interface Keyboard {
  readonly stdin: Io['stdin']
  press(text: string): void
  /** Every change between raw and cooked. */
  readonly raw: boolean[]
}

function keyboard(isTTY: boolean): Keyboard {
  const pressed: Uint8Array[] = []
  const raw: boolean[] = []
  let wake = (): void => undefined
  return {
    raw,
    press(text) {
      pressed.push(Buffer.from(text))
      wake()
    },
    stdin: {
      isTTY,
      setRaw: (on) => raw.push(on),
      async *bytes(signal) {
        while (!signal.aborted) {
          const next = pressed.shift()
          if (next !== undefined) yield next
          else
            await new Promise<void>((resolve) => {
              wake = resolve
              signal.addEventListener('abort', () => resolve(), { once: true })
            })
        }
      },
    },
  }
}

async function atConsole(words: readonly string[], wishes: RunWishes = {}) {
  const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
  let out = ''
  const stdout = { isTTY: false, columns: 80, write: (text: string | Uint8Array) => (out += Buffer.from(text).toString()) }
  const run = hostmesh(['vm', 'console', 'web', ...words], { socketPath: agent.socketPath, ...wishes, io: { stdout, ...wishes.io } })
  await waitFor('the console to be open', () => agent.consoles.isOpen(web))
  return { agent, run, out: () => out }
}

const said = (agent: FakeAgent, text: string, out: () => string) =>
  waitFor('the guest to be heard', () => {
    if (out().includes(text)) return true
    agent.consoles.say(web, text)
    return false
  })

describe('a person at a console', () => {
  it('types to the guest and reads it, until Ctrl-]', async () => {
    const keys = keyboard(true)
    const { agent, run, out } = await atConsole([], { io: { stdin: keys.stdin } })
    await said(agent, 'login: ', out)
    keys.press('root\r')
    await waitFor('the guest to be typed to', () => agent.consoles.typed === 'root\r')
    keys.press('x\x1dy')
    expect(await run).toMatchObject({ code: 0, err: 'console of VM web; Ctrl-] leaves it\r\n\r\n' })
    expect(agent.consoles.typed).toBe('root\rx')
    expect(keys.raw).toEqual([true, false])
  })

  it('has the terminal back when the guest ends', async () => {
    const keys = keyboard(true)
    const { agent, run } = await atConsole([], { io: { stdin: keys.stdin } })
    agent.consoles.end(web)
    expect((await run).code).toBe(0)
    expect(keys.raw).toEqual([true, false])
  })

  it('has the terminal back when the agent goes, and is told', async () => {
    const keys = keyboard(true)
    const { agent, run } = await atConsole([], { io: { stdin: keys.stdin } })
    await agent.stop()
    const { code, err } = await run
    expect(code).toBe(1)
    expect(err).toContain('the console was cut off')
    expect(keys.raw).toEqual([true, false])
  })
})

describe('a script at a console', () => {
  it('sends its input, Ctrl-] too, and follows the output until the console closes', async () => {
    const { agent, run, out } = await atConsole([], { input: [Buffer.from('echo a\x1d\r')] })
    await waitFor('the guest to be typed to', () => agent.consoles.typed === 'echo a\x1d\r')
    await said(agent, 'a\r\n', out)
    agent.consoles.end(web)
    expect(await run).toMatchObject({ code: 0, err: '' })
  })

  it('follows for as long as --timeout says, which is no failure', async () => {
    const { run } = await atConsole(['--timeout', '0.2'])
    expect((await run).code).toBe(0)
  })
})

describe('a console that cannot be had', () => {
  it('says why: off, unknown, no agent', async () => {
    const log = aMesh()
    log.do(someVm('web'))
    const agent = await fakeAgent({ inventory: log.now })
    const off = await hostmesh(['vm', 'console', 'web'], { socketPath: agent.socketPath })
    expect([off.code, off.err]).toEqual([3, expect.stringContaining('mend: hostmesh vm start web')])
    expect((await hostmesh(['vm', 'console', 'nope'], { socketPath: agent.socketPath })).code).toBe(4)
    expect((await hostmesh(['vm', 'console', 'web'], { socketPath: '/nonexistent/s' })).code).toBe(1)
  })
})
