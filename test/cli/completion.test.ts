// Shell completion: verbs, flags and live names; silent where nobody answers.
import { describe, expect, it } from 'vitest'
import { aMeshWithRunningVm } from '../fixture/inventory.ts'
import { fakeAgent } from '../api/fake-agent.ts'
import { hostmesh } from './cli-run.ts'

async function complete(
  words: readonly string[],
  wishes: { readonly shell?: string; readonly socketPath?: string } = {},
): Promise<readonly string[]> {
  const { socketPath } = wishes
  const { code, out, err } = await hostmesh(
    ['__complete', wishes.shell ?? 'bash', ...words],
    socketPath === undefined ? {} : { socketPath },
  )
  expect([code, err]).toEqual([0, ''])
  return out === '' ? [] : out.trimEnd().split('\n')
}

describe('completion', () => {
  it('offers nouns, verbs and flags', async () => {
    expect(await complete(['da'])).toEqual(['datastore'])
    expect(await complete(['vm', 'st'])).toEqual(['start', 'stop'])
    expect(await complete(['vm', 'create', 'x', '--fi'])).toEqual(['--firmware'])
    expect(await complete(['vm', 'create', 'x', '--ha', ''])).toEqual(['restart', 'off'])
    expect(await complete(['nonsense', ''])).toEqual([])
  })

  it('offers the names that there are now', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm({ datastores: ['images'] }).now })
    const { socketPath } = agent
    expect(await complete(['vm', 'stop', ''], { socketPath })).toEqual(expect.arrayContaining(['web']))
    expect(await complete(['vm', 'stop', 'x'], { socketPath })).toEqual([])
    expect(await complete(['host', 'show', 'h'], { socketPath })).toEqual(['h1', 'h2', 'h3'])
    expect(await complete(['why-not', 'vm', 'web', 'h2'], { socketPath })).toEqual(['h2'])
    expect(await complete(['config', 'get', 'vm.'], { socketPath })).toEqual(['vm.shutdown-timeout-s'])
  })

  it('asks the agent that the line names', async () => {
    const agent = await fakeAgent()
    expect(await complete(['--socket', agent.socketPath, 'host', 'show', 'h1'])).toEqual(['h1'])
    expect(await complete(['--data-dir', agent.directory, 'host', 'show', 'h1'])).toEqual(['h1'])
  })

  it('is silent where no agent answers', async () => {
    expect(await complete(['vm', 'stop', 'w'], { socketPath: '/nonexistent/s' })).toEqual([])
  })

  it('explains what it offers to shells that show it', async () => {
    expect(await complete(['vm', 'sto'], { shell: 'fish' })).toEqual(['stop\tEnd it at once, as if its power were cut'])
    expect(await complete(['vm', 'sto'], { shell: 'zsh' })).toEqual(['stop:End it at once, as if its power were cut'])
  })

  it.each(['bash', 'zsh', 'fish'])('has a script for %s that asks as that shell', async (shell) => {
    const { code, out } = await hostmesh(['completion', shell])
    expect(code).toBe(0)
    expect(out).toContain(`hostmesh __complete ${shell} `)
  })
})
