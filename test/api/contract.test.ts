// The contract holds together: every route has its handler, and every answer of the real server has the promised form.
import { describe, expect, it } from 'vitest'
import { CONTRACT } from '../../src/api/contract.ts'
import { HANDLERS } from '../../src/api/routes.ts'
import { NO_LOAD } from '../../src/inventory/load.ts'
import { fakeLifecycle } from '../fixture/fake-lifecycle.ts'
import { aMeshWithRunningVm, datastoreId, diskId, hostId, jobId } from '../fixture/inventory.ts'
import { fakeAgent } from './fake-agent.ts'

const signal = new AbortController().signal

describe('the table of routes', () => {
  const entries = Object.entries(CONTRACT)

  it('has no two routes for the same request', () => {
    const requests = entries.map(([, { method, path }]) => `${method} ${path.replace(/:[a-z]+/g, ':')}`)
    expect(new Set(requests).size).toBe(requests.length)
  })

  it('lets only reads be asked for with GET, and never asks the right to write for them', () => {
    for (const [name, { method, permission }] of entries) expect([name, permission]).toEqual([name, method === 'GET' ? 'read' : 'write'])
  })

  it('has a handler for each', () => {
    const handled = Object.values(HANDLERS).flatMap((group: object) => Object.keys(group))
    expect(handled.toSorted()).toEqual(entries.map(([name]) => name).toSorted())
  })
})

describe('reads', () => {
  function start() {
    const log = aMeshWithRunningVm({ datastores: ['images'] })
    const place = { datastore: datastoreId('images'), host: hostId('h1'), job: jobId('make') }
    log.do({ kind: 'disk-create', id: diskId('d1'), name: 'data', ...place, format: 'raw', sizeBytes: 1024 ** 2 })
    return log.now
  }

  it.each([
    ['version', {}, { version: '0.1.0', self: { id: 'h1', name: 'h1' }, initialised: true }],
    ['status', {}, { mesh: { name: 'lab' } }],
    ['meshStatus', {}, { firstIndex: 1, members: [{ name: 'h1', role: 'leader' }, { name: 'h2' }, { name: 'h3' }] }],
    ['tokenList', {}, [{ id: 'token-h2' }, { id: 'token-h3' }]],
    ['hostList', {}, [{ name: 'h1' }, { name: 'h2' }, { name: 'h3' }]],
    ['hostShow', { params: { host: 'h2' } }, { name: 'h2' }],
    ['vmList', {}, [{ name: 'web', owner: { host: 'h1' } }]],
    ['vmShow', { params: { vm: 'web' } }, { name: 'web' }],
    ['vmWhyNot', { params: { vm: 'web' }, query: { host: 'h2' } }, { vm: 'web', host: 'h2', reasons: [] }],
    ['consoleLog', { params: { vm: 'web' }, query: { bytes: '7' } }, { vm: 'web', base64: Buffer.from('login: ').toString('base64') }],
    ['datastoreList', {}, [{ name: 'images', disks: 1 }]],
    ['datastoreShow', { params: { datastore: 'images' } }, { path: '/srv/images' }],
    ['diskList', {}, [{ name: 'data' }]],
    ['diskList', { query: { datastore: 'images' } }, [{ name: 'data' }]],
    ['diskShow', { params: { disk: 'images/data' } }, { id: 'd1' }],
    ['jobList', {}, [{ id: 'start' }, { id: 'make' }]],
    ['jobList', { query: { open: '1' } }, [{ id: 'make' }]],
    ['jobShow', { params: { job: 'ma' } }, { id: 'make', kind: 'disk-create' }],
    ['configList', {}, [{ key: 'vm.shutdown-timeout-s' }, {}, {}, {}]],
    ['configShow', { params: { key: 'vm.shutdown-timeout-s' } }, { value: 90 }],
    ['names', { query: { kind: 'host' } }, { names: ['h1', 'h2', 'h3'] }],
    ['names', { query: { kind: 'vm' } }, { names: ['web'] }],
    ['names', { query: { kind: 'datastore' } }, { names: ['images'] }],
    ['names', { query: { kind: 'disk' } }, { names: ['images/data'] }],
    ['names', { query: { kind: 'job' } }, { names: ['make'] }],
    ['names', { query: { kind: 'token' } }, { names: ['token-h2', 'token-h3'] }],
    [
      'names',
      { query: { kind: 'setting' } },
      { names: ['vm.shutdown-timeout-s', 'placement.memory-overcommit', 'placement.memory-reserve-mib', 'mesh.voter-replace-after-s'] },
    ],
  ] as const)('%s with %j', async (route, input, answer) => {
    const agent = await fakeAgent({ inventory: start(), changes: { load: () => NO_LOAD } })
    const reply = await agent.client.call(route, input as never, { signal })
    expect(reply.json).toMatchObject(answer)
    expect(reply.answer).toEqual(reply.json)
  })

  it.each([
    ['configShow', { params: { key: 'nope' } }],
    ['vmWhyNot', { params: { vm: 'web' }, query: { host: 'nope' } }],
    ['diskList', { query: { datastore: 'nope' } }],
    ['jobShow', { params: { job: 'nope' } }],
  ] as const)('%s with %j is not found', async (route, input) => {
    const agent = await fakeAgent({ inventory: start() })
    await expect(agent.client.call(route, input as never, { signal })).rejects.toMatchObject({ code: 'not-found' })
  })

  it('of why not tell every reason', async () => {
    const agent = await fakeAgent({ inventory: start(), changes: { liveness: () => new Map() } })
    const { answer } = await agent.client.call('vmWhyNot', { params: { vm: 'web' }, query: { host: 'h2' } }, { signal })
    expect(answer.reasons).toMatchObject([{ code: 'liveness' }])
  })

  it('of a console are bounded', async () => {
    const asked: number[] = []
    const console = {
      log: (_: unknown, maxBytes: number) => (asked.push(maxBytes), Promise.resolve(new Uint8Array())),
      open: () => Promise.reject(new Error('not opened')),
    }
    const agent = await fakeAgent({ inventory: start(), changes: { console } })
    for (const bytes of [undefined, '100', '999999999']) {
      await agent.client.call('consoleLog', { params: { vm: 'web' }, query: bytes === undefined ? {} : { bytes } }, { signal })
    }
    expect(asked).toEqual([64 * 1024, 100, 1024 ** 2])
  })
})

describe('events', () => {
  const events = async (query: object) => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    const { answer } = await agent.client.call('eventList', { query }, { signal })
    return answer.map(({ index, type }) => `${index} ${type}`)
  }

  it('are those after an index, the newest of them where there are more than asked for', async () => {
    expect(await events({ since: '8' })).toEqual(['9 vm.start-requested', '10 vm.assigned', '11 vm.started'])
    expect(await events({ since: '8', limit: '2' })).toEqual(['10 vm.assigned', '11 vm.started'])
  })

  it('are those of an object, by its name or with its noun, and of a type', async () => {
    const ofWeb = ['8 vm.created', '9 vm.start-requested', '10 vm.assigned', '11 vm.started']
    expect(await events({ object: 'web' })).toEqual(ofWeb)
    expect(await events({ object: 'vm web' })).toEqual(ofWeb)
    expect(await events({ object: 'eb' })).toEqual([])
    expect(await events({ object: 'web', type: 'vm.started' })).toEqual(['11 vm.started'])
  })
})

describe('a host before its mesh', () => {
  const lifecycle = (changes: Parameters<typeof fakeLifecycle>[0]) => fakeLifecycle({ initialised: () => false, ...changes })

  it('answers what is its own, and refuses the rest with what to do', async () => {
    const agent = await fakeAgent({ changes: { lifecycle: lifecycle({}) } })
    expect((await agent.client.call('version', {}, { signal })).answer.initialised).toBe(false)
    for (const call of [
      agent.client.call('status', {}, { signal }),
      agent.client.call('names', { query: { kind: 'vm' } }, { signal }),
      agent.client.call('vmCreate', { body: { name: 'a', vcpus: 1, memoryMiB: 64 }, query: {} }, { signal }),
      agent.client.follow('changes', {}, { signal }).next(),
    ]) {
      await expect(call).rejects.toMatchObject({
        code: 'refused',
        reasons: [{ code: 'no-mesh', fix: expect.stringContaining('hostmesh init') }],
      })
    }
  })

  it('begins a mesh', async () => {
    const names: string[] = []
    const agent = await fakeAgent({ changes: { lifecycle: lifecycle({ init: (name: string) => Promise.resolve(void names.push(name)) }) } })
    expect((await agent.client.call('init', { body: { name: 'lab' } }, { signal })).answer).toEqual({
      mesh: { id: 'mesh1', name: 'lab' },
      host: { id: 'h1', name: 'h1' },
    })
    expect(names).toEqual(['lab'])
  })

  it('tells each step of a join, then how it ended', async () => {
    const asked: unknown[] = []
    const join = ({ token, role, progress }: { token: string; role: string | null; progress: (step: string) => void }): Promise<void> => {
      asked.push([token, role])
      progress('asking an inviter')
      progress('catching up')
      return token === 'good' ? Promise.resolve() : Promise.reject(new Error('forged'))
    }
    const agent = await fakeAgent({ changes: { lifecycle: lifecycle({ join }) } })
    const messages = async (body: { token: string; role?: 'witness' }) => collect(agent.client.follow('join', { body }, { signal }))
    const steps = [
      { kind: 'step', step: 'asking an inviter' },
      { kind: 'step', step: 'catching up' },
    ]
    expect(await messages({ token: 'good' })).toEqual([
      ...steps,
      { kind: 'done', mesh: { id: 'mesh1', name: 'lab' }, host: { id: 'h1', name: 'h1' } },
    ])
    expect(await messages({ token: 'bad', role: 'witness' })).toEqual([
      ...steps,
      { kind: 'failed', error: { code: 'failed', message: 'forged', data: {}, reasons: [] } },
    ])
    expect(asked).toEqual([
      ['good', null],
      ['bad', 'witness'],
    ])
  })

  it('tells how a join ended even where nobody read its steps', async () => {
    const join = ({ progress }: { progress: (step: string) => void }): Promise<void> => {
      for (let step = 0; step < 1_000; step += 1) progress(`step ${step}`)
      return Promise.resolve()
    }
    const agent = await fakeAgent({ changes: { lifecycle: lifecycle({ join }) } })
    const all = await collect(agent.client.follow('join', { body: { token: 'x' } }, { signal }))
    expect(all.at(-1)).toMatchObject({ kind: 'done' })
    expect(all.length).toBeLessThanOrEqual(102)
  })
})

async function collect<T>(messages: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = []
  for await (const message of messages) all.push(message)
  return all
}
