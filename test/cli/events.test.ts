// Watching events: as they happen, each once, also over a restart of the agent.
import { describe, expect, it } from 'vitest'
import { aMesh, datastoreId } from '../fixture/inventory.ts'
import { waitFor } from '../lab/wait-for.ts'
import { fakeAgent } from '../api/fake-agent.ts'
import { hostmesh } from './cli-run.ts'

const add = (name: string) => ({ kind: 'datastore-add', id: datastoreId(name), name, path: `/srv/${name}` }) as const

function watching(socketPath: string, ...words: readonly string[]) {
  let out = ''
  const stdout = { isTTY: false, columns: 80, write: (text: string | Uint8Array) => (out += String(text)) }
  const run = hostmesh(['event', 'watch', '-o', 'json', ...words], { socketPath, io: { stdout } })
  const objects = () => out.split('\n').flatMap((line) => (line === '' ? [] : [(JSON.parse(line) as { object: string }).object]))
  return { run, objects }
}

describe('event watch', () => {
  it('begins where it is told, and ends after as many as were asked for', async () => {
    const agent = await fakeAgent()
    const { run, objects } = watching(agent.socketPath, '--since', '7', '--count', '3')
    await waitFor('the kept event', () => objects().length === 1)
    agent.mesh.commit(add('one'))
    agent.mesh.commit(add('two'))
    agent.mesh.commit(add('three'))
    expect((await run).code).toBe(0)
    expect(objects()).toEqual(['datastore images', 'datastore one', 'datastore two'])
  })

  it('shows only what it is asked for', async () => {
    const agent = await fakeAgent()
    const { run, objects } = watching(agent.socketPath, '--since', '1', '--type', 'host.joined', '--object', 'h3', '--count', '1')
    expect((await run).code).toBe(0)
    expect(objects()).toEqual(['host h3'])
  })

  it('misses nothing over a restart of the agent, and repeats nothing', async () => {
    const agent = await fakeAgent({ inventory: aMesh().now })
    const { run, objects } = watching(agent.socketPath, '--since', '1', '--count', '3')
    agent.mesh.commit(add('before'))
    await waitFor('the first event', () => objects().length === 1)
    await agent.stop()
    agent.mesh.commit(add('while-away'))
    await agent.restart()
    agent.mesh.commit(add('after'))
    expect((await run).code).toBe(0)
    expect(objects()).toEqual(['datastore before', 'datastore while-away', 'datastore after'])
  })

  it('ends without failure when its --timeout is over', async () => {
    const agent = await fakeAgent()
    expect(await watching(agent.socketPath, '--timeout', '0.2').run).toMatchObject({ code: 0, err: '' })
  })

  it('fails at once where no agent runs', async () => {
    expect((await watching('/nonexistent/s').run).code).toBe(1)
    expect((await watching('/nonexistent/s', '--since', '5').run).code).toBe(1)
  })
})
