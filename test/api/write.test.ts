// Writes: checked by the rules that will decide, all reasons at once, and done once per key whatever happens on the way.
import { describe, expect, it } from 'vitest'
import { apiClient, type Input } from '../../src/api/client.ts'
import { callOnce } from '../../src/api/client-retry.ts'
import { realClock } from '../../src/base/clock.ts'
import { hasCode, OperationError } from '../../src/base/errors.ts'
import { seededRandom } from '../../src/base/random.ts'
import { NO_LOAD } from '../../src/inventory/load.ts'
import { aMesh, aMeshWithRunningVm, datastoreId, diskId, hostId, jobId, someVm, vmId } from '../fixture/inventory.ts'
import { waitFor } from '../lab/wait-for.ts'
import { fakeAgent } from './fake-agent.ts'
import { rawRequest } from './raw-http.ts'

const signal = new AbortController().signal

async function refusal(promise: Promise<unknown>): Promise<OperationError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (error instanceof OperationError) return error
  throw new Error(`not refused: ${String(error)}`)
}

describe('a write', () => {
  it('is proposed with who asked, why, and under which key', async () => {
    const agent = await fakeAgent()
    const { answer } = await agent.client.call(
      'datastoreAdd',
      { body: { name: 'iso', path: '/srv/iso' }, query: { reason: 'for discs' } },
      { signal, key: 'k1' },
    )
    expect(answer).toMatchObject({ dryRun: false, job: null })
    expect(agent.mesh.log.at(-1)).toMatchObject({
      actor: 'admin@h1',
      reason: 'for discs',
      requestKey: 'k1',
      command: { kind: 'datastore-add', id: answer.id, name: 'iso', path: '/srv/iso' },
    })
  })

  it('that begins a job is accepted with its id', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    const { answer } = await agent.client.call('vmStop', { params: { vm: 'web' }, query: {} }, { signal })
    const job = agent.mesh.inventory().jobs.get(jobId(answer.job ?? ''))
    expect(job).toMatchObject({ kind: 'vm-stop', phase: 'waiting', name: 'web' })
  })

  it('is answered with 202 while its job goes on, with 200 when it is done', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    const post = (path: string, body = '{}') => rawRequest({ socketPath: agent.socketPath, path, method: 'POST' }, { body })
    expect((await post('/v1/vms/web/stop')).status).toBe(202)
    expect((await post('/v1/datastores', '{"name":"iso","path":"/srv/iso"}')).status).toBe(200)
    expect((await post('/v1/datastores?dryRun=1', '{"name":"iso2","path":"/srv/iso2"}')).status).toBe(200)
  })

  it('that finds what it asks for done already has no job', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    expect((await agent.client.call('vmStart', { params: { vm: 'web' }, query: {} }, { signal })).answer.job).toBeNull()
  })

  it('is refused for all reasons at once, those of the rules and those that only a host can see', async () => {
    const log = aMesh({ hosts: 2, datastores: ['images'] })
    log.do(someVm('web'))
    const agent = await fakeAgent({ inventory: log.now, files: ['images/vmlinuz'] })
    const body = {
      name: 'web',
      vcpus: 5,
      memoryMiB: 100_000,
      boot: { kernel: 'images/nope', initrd: 'images/vmlinuz' },
      disks: [{ datastore: 'images', name: 'X', sizeBytes: 1 }],
    }
    const error = await refusal(agent.client.call('vmCreate', { body, query: {} }, { signal }))
    expect(error.code).toBe('refused')
    expect(error.message).toBe('cannot create VM web')
    const codes = error.reasons.map(({ code }) => code)
    expect(codes).toEqual(['name', 'disk-size', 'name-taken', 'vcpus', 'memory', 'vcpus', 'memory', 'file-missing'])
    expect(agent.mesh.inventory()).toBe(log.now)
  })

  it('mends what it refuses with commands that fit: a VM that does not exist is created otherwise, not set', async () => {
    const agent = await fakeAgent()
    const error = await refusal(agent.client.call('vmCreate', { body: { name: 'web', vcpus: 9, memoryMiB: 64 }, query: {} }, { signal }))
    expect(new Set(error.reasons.map(({ fix }) => fix))).toEqual(new Set(['hostmesh vm create web … --vcpus 4']))
  })

  it('is not asked about files that this host cannot see, nor of datastores that are none', async () => {
    const asked: string[] = []
    const checkFile = (path: string): Promise<null> => {
      asked.push(path)
      return Promise.resolve(null)
    }
    const agent = await fakeAgent({ changes: { checkFile } })
    const create = (boot: { readonly kernel: string; readonly initrd?: string }) =>
      agent.client.call('vmCreate', { body: { name: 'web', vcpus: 1, memoryMiB: 64, boot }, query: { dryRun: '1' } }, { signal })
    await create({ kernel: 'images/vmlinuz' })
    await refusal(create({ kernel: 'nowhere/vmlinuz' }))
    await refusal(create({ kernel: 'images/../../etc/shadow' }))
    expect(asked).toEqual(['images/vmlinuz'])
  })
})

describe('a dry run', () => {
  it('plans and proposes nothing', async () => {
    const agent = await fakeAgent()
    const before = agent.mesh.inventory()
    const disks = [{ datastore: 'images', name: 'root', sizeBytes: 1024 ** 3 }]
    const { answer } = await agent.client.call(
      'vmCreate',
      { body: { name: 'web', vcpus: 1, memoryMiB: 256, disks, start: true }, query: { dryRun: '1' } },
      { signal },
    )
    expect(answer).toEqual({
      dryRun: true,
      plan: [
        'define VM web with 1 vCPUs and 256 MiB, machine type pc-q35-10.0',
        'make disk root of 1 GiB',
        expect.stringMatching(/^start it on h\d/),
      ],
      id: null,
      job: null,
    })
    expect(agent.mesh.inventory()).toBe(before)
  })

  it('is refused for the same reasons as the real thing', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    const run = (query: NonNullable<Input<'vmDelete'>['query']>) =>
      refusal(agent.client.call('vmDelete', { params: { vm: 'web' }, query }, { signal }))
    const [dry, real] = [await run({ dryRun: '1' }), await run({})]
    expect(dry.reasons).toEqual(real.reasons)
    expect(dry.code).toBe(real.code)
  })
})

describe('a start', () => {
  it('that has nowhere to go is refused now, with the reason of each host', async () => {
    const log = aMesh({ hosts: 2 })
    log.do(someVm('big', { memoryMiB: 9000 }))
    const agent = await fakeAgent({ inventory: log.now })
    const error = await refusal(agent.client.call('vmStart', { params: { vm: 'big' }, query: {} }, { signal }))
    expect(error.reasons).toMatchObject([
      { code: 'memory', message: expect.stringContaining('h1') },
      { code: 'memory', message: expect.stringContaining('h2') },
    ])
  })

  it('of a VM that still has its host plans to let it run there', async () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-stop', vm: vmId('web'), job: jobId('stop') })
    const agent = await fakeAgent({ inventory: log.now })
    const { answer } = await agent.client.call('vmStart', { params: { vm: 'web' }, query: { dryRun: '1' } }, { signal })
    expect(answer.plan).toEqual(['let it run on host h1'])
  })
})

describe('a request that comes again under its key', () => {
  const create: Input<'vmCreate'> = { body: { name: 'web', vcpus: 1, memoryMiB: 256 }, query: {} }

  it('gets the same answer, though by now its name is taken', async () => {
    const agent = await fakeAgent()
    const first = await agent.client.call('vmCreate', create, { signal, key: 'k1' })
    const again = await agent.client.call('vmCreate', create, { signal, key: 'k1' })
    expect(again.json).toEqual(first.json)
    expect(agent.mesh.inventory().vms.size).toBe(1)
  })

  it('gets the same answer, though by now its object is gone', async () => {
    const log = aMesh()
    log.do(someVm('web'))
    const agent = await fakeAgent({ inventory: log.now })
    const first = await agent.client.call('vmDelete', { params: { vm: 'web' }, query: {} }, { signal, key: 'k1' })
    const again = await agent.client.call('vmDelete', { params: { vm: 'web' }, query: {} }, { signal, key: 'k1' })
    expect(again.answer).toEqual({ ...first.answer, plan: [] })
  })

  it('is refused again where it was refused', async () => {
    const agent = await fakeAgent()
    agent.mesh.commit(someVm('web'))
    const twice = async () => refusal(agent.client.call('vmCreate', create, { signal, key: 'k1' }))
    expect((await twice()).reasons).toEqual((await twice()).reasons)
  })

  it('is a conflict where it asks for something else', async () => {
    const agent = await fakeAgent()
    await agent.client.call('vmCreate', create, { signal, key: 'k1' })
    const error = await refusal(
      agent.client.call('vmCreate', { body: { name: 'db', vcpus: 1, memoryMiB: 256 }, query: {} }, { signal, key: 'k1' }),
    )
    expect(error.code).toBe('conflict')
    expect(agent.mesh.inventory().vms.size).toBe(1)
  })

  it('may be planned while dry, whatever was recorded', async () => {
    const agent = await fakeAgent()
    await agent.client.call('vmCreate', create, { signal, key: 'k1' })
    const error = await refusal(agent.client.call('vmCreate', { ...create, query: { dryRun: '1' } }, { signal, key: 'k1' }))
    expect(error.reasons).toMatchObject([{ code: 'name-taken' }])
  })
})

describe('a client that must not lose its write', () => {
  const options = { clock: realClock, random: seededRandom(3), signal }

  it('asks again when the outcome got lost, and it is done once', async () => {
    const agent = await fakeAgent()
    agent.mesh.loseNextAnswer()
    const { answer } = await callOnce(agent.client, 'vmCreate', { body: { name: 'web', vcpus: 1, memoryMiB: 256 }, query: {} }, options)
    expect([...agent.mesh.inventory().vms.keys()]).toEqual([answer.id])
    expect(agent.mesh.log.filter(({ command }) => command.kind === 'vm-create')).toHaveLength(2)
  })

  it('asks again when its connection broke, and waits for the agent to come back', async () => {
    let tries = 0
    const agent = await fakeAgent({
      changes: {
        // Holds the first try up until its agent is stopped.
        checkFile: async () => {
          tries += 1
          if (tries === 1) await new Promise(() => undefined)
          return true
        },
      },
    })
    const body = { name: 'web', vcpus: 1, memoryMiB: 256, boot: { kernel: 'images/vmlinuz' } }
    const outcome = callOnce(agent.client, 'vmCreate', { body, query: {} }, options)
    await waitFor('the request to arrive', () => tries === 1)
    await agent.stop()
    await agent.restart()
    expect((await outcome).answer.id).toBe([...agent.mesh.inventory().vms.keys()][0])
    expect(tries).toBe(2)
  })

  it('does not wait for an agent that never was there', async () => {
    const nobody = apiClient({ kind: 'socket', path: '/nonexistent/s' }, realClock)
    const error = await refusal(callOnce(nobody, 'vmStart', { params: { vm: 'web' }, query: {} }, options))
    expect(error.data).toEqual({ phase: 'connect' })
  })

  it('does not ask again after a refusal', async () => {
    const agent = await fakeAgent()
    const before = agent.mesh.log.length
    await refusal(callOnce(agent.client, 'vmStart', { params: { vm: 'nope' }, query: {} }, options))
    expect(agent.mesh.log).toHaveLength(before)
  })

  it('asks on where nothing is sure yet: no quorum after a try of unknown outcome says nothing of that one', async () => {
    const { context, mesh } = await fakeAgent()
    let tries = 0
    const propose: typeof context.cluster.propose = async (command, how) => {
      tries += 1
      if (tries === 2) throw new OperationError('no-quorum', 'nobody leads')
      const result = await context.cluster.propose(command, how)
      if (tries === 1) throw new OperationError('timeout', 'unknown')
      return result
    }
    const { client } = await fakeAgent({ changes: { cluster: { ...context.cluster, propose } } })
    const { answer } = await callOnce(client, 'vmCreate', { body: { name: 'web', vcpus: 1, memoryMiB: 256 }, query: {} }, options)
    expect(tries).toBe(3)
    expect([...mesh.inventory().vms.keys()]).toEqual([answer.id])
  })

  it('tells at once that there is no quorum where nothing was tried before', async () => {
    const { context } = await fakeAgent()
    const cluster = { ...context.cluster, propose: () => Promise.reject(new OperationError('no-quorum', 'nobody leads')) }
    const { client } = await fakeAgent({ changes: { cluster } })
    const error = await refusal(callOnce(client, 'vmCreate', { body: { name: 'web', vcpus: 1, memoryMiB: 256 }, query: {} }, options))
    expect(error.code).toBe('no-quorum')
  })

  it('gives up with its own deadline', async () => {
    const agent = await fakeAgent()
    const limit = new AbortController()
    const cluster = { ...agent.context.cluster, propose: () => Promise.reject(new OperationError('timeout', 'unknown')) }
    const stuck = await fakeAgent({ changes: { cluster } })
    const outcome = refusal(
      callOnce(
        stuck.client,
        'vmCreate',
        { body: { name: 'web', vcpus: 1, memoryMiB: 256 }, query: {} },
        { ...options, signal: limit.signal },
      ),
    )
    limit.abort(new OperationError('timeout', 'my patience is over'))
    expect((await outcome).message).toBe('my patience is over')
  })
})

describe('tokens', () => {
  it('show their secret to whoever made them, and to a repeated request the same one', async () => {
    const agent = await fakeAgent()
    const first = await agent.client.call(
      'tokenCreate',
      { body: { role: 'witness', uses: 2, ttlMs: 3_600_000 }, query: {} },
      { signal, key: 'k1' },
    )
    const again = await agent.client.call(
      'tokenCreate',
      { body: { role: 'witness', uses: 2, ttlMs: 3_600_000 }, query: {} },
      { signal, key: 'k1' },
    )
    expect(first.answer.secret).toBe('hm1.secret-1')
    expect(again.answer).toEqual(first.answer)
    expect(agent.mesh.log.at(-1)?.command).toMatchObject({
      kind: 'token-create',
      publicKey: 'public-1',
      role: 'witness',
      uses: 2,
      expiresAt: agent.context.clock.wall() + 3_600_000,
    })
    expect(JSON.stringify(agent.mesh.log)).not.toContain('secret-1')
  })

  it('whose secret was lost with the agent say so', async () => {
    const agent = await fakeAgent()
    await agent.client.call('tokenCreate', { body: {}, query: {} }, { signal, key: 'k1' })
    const restarted = await fakeAgent({ inventory: agent.mesh.inventory() })
    // Another agent draws other secrets than the first, as any two do.
    restarted.context.createToken('host', 0)
    const error = await refusal(restarted.client.call('tokenCreate', { body: {}, query: {} }, { signal, key: 'k1' }))
    expect(hasCode(error, 'conflict') && error.reasons).toMatchObject([
      { code: 'token-lost', fix: expect.stringMatching(/^hostmesh token revoke [0-9a-z]{16}, then hostmesh token create$/) },
    ])
  })

  it('are for a day and ten hosts where nothing else is said', async () => {
    const agent = await fakeAgent()
    await agent.client.call('tokenCreate', { body: {}, query: {} }, { signal })
    expect(agent.mesh.log.at(-1)?.command).toMatchObject({ role: 'host', uses: 10, expiresAt: agent.context.clock.wall() + 24 * 3_600_000 })
  })
})

describe('commands of each route', () => {
  const start = () => {
    const log = aMeshWithRunningVm({ datastores: ['images'] })
    const place = { datastore: datastoreId('images'), host: hostId('h1') }
    log.do({ kind: 'disk-create', id: diskId('d1'), name: 'data', ...place, job: jobId('make'), format: 'raw', sizeBytes: 1024 ** 2 })
    log.do({ kind: 'disk-done', host: hostId('h1'), disk: diskId('d1'), sizeBytes: 1024 ** 2 })
    log.do({ kind: 'token-create', id: 'tok' as never, publicKey: 'key', role: 'host', uses: 1, expiresAt: Date.UTC(2027, 0) })
    return log.now
  }

  it.each([
    ['tokenRevoke', { params: { token: 'tok' } }, { kind: 'token-revoke', id: 'tok' }],
    [
      'hostSet',
      { params: { host: 'h2' }, body: { name: 'h9', labels: { rack: 'a', old: null } } },
      { kind: 'host-set', host: 'h2', name: 'h9', labels: { rack: 'a', old: null } },
    ],
    ['hostRemove', { params: { host: 'h2' } }, { kind: 'host-remove', host: 'h2' }],
    ['vmSet', { params: { vm: 'web' }, body: { ha: 'restart', priority: 1 } }, { kind: 'vm-set', vm: 'web', ha: 'restart', priority: 1 }],
    ['vmShutdown', { params: { vm: 'web' } }, { kind: 'vm-shutdown', vm: 'web' }],
    ['vmStop', { params: { vm: 'web' } }, { kind: 'vm-stop', vm: 'web' }],
    ['vmPause', { params: { vm: 'web' } }, { kind: 'vm-pause', vm: 'web' }],
    ['vmReboot', { params: { vm: 'web' }, query: { force: '1' } }, { kind: 'vm-reboot', vm: 'web', force: true }],
    ['vmReboot', { params: { vm: 'web' } }, { kind: 'vm-reboot', vm: 'web', force: false }],
    [
      'diskCreate',
      { body: { datastore: 'images', name: 'new', sizeBytes: 1024 ** 2 } },
      { kind: 'disk-create', name: 'new', datastore: 'images', format: 'qcow2', host: 'h1' },
    ],
    [
      'diskResize',
      { params: { disk: 'images/data' }, body: { sizeBytes: 2 * 1024 ** 2 } },
      { kind: 'disk-resize', id: 'd1', sizeBytes: 2 * 1024 ** 2, host: 'h1' },
    ],
    ['diskDelete', { params: { disk: 'data' } }, { kind: 'disk-delete', id: 'd1', host: 'h1' }],
    [
      'configSet',
      { params: { key: 'vm.shutdown-timeout-s' }, body: { value: 5 } },
      { kind: 'config-set', key: 'vm.shutdown-timeout-s', value: 5 },
    ],
    [
      'configSet',
      { params: { key: 'vm.shutdown-timeout-s' }, body: { value: null } },
      { kind: 'config-set', key: 'vm.shutdown-timeout-s', value: null },
    ],
  ] as const)('%s with %j', async (route, input, command) => {
    const agent = await fakeAgent({ inventory: start() })
    const whole: object = { query: {}, ...input }
    await agent.client.call(route, whole as never, { signal })
    expect(agent.mesh.log.at(-1)?.command).toMatchObject(command)
  })

  it('datastoreRemove, where nothing lies on it', async () => {
    const agent = await fakeAgent()
    await agent.client.call('datastoreRemove', { params: { datastore: 'images' }, query: {} }, { signal })
    expect(agent.mesh.inventory().datastores.size).toBe(0)
  })

  it('vmResume, jobCancel', async () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-pause', vm: vmId('web'), job: jobId('pause') })
    log.observe('web', 'paused')
    const agent = await fakeAgent({ inventory: log.now })
    await agent.client.call('vmResume', { params: { vm: 'web' }, query: {} }, { signal })
    expect(agent.mesh.log.at(-1)?.command).toMatchObject({ kind: 'vm-resume', vm: 'web' })
    const waiting = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    const { answer } = await waiting.client.call('vmShutdown', { params: { vm: 'web' }, query: {} }, { signal })
    await waiting.client.call('jobCancel', { params: { job: answer.job ?? '' }, query: {} }, { signal })
    expect(waiting.mesh.inventory().jobs.get(jobId(answer.job ?? ''))?.phase).toBe('cancelled')
  })

  it('vmDelete keeps disks where it is asked to', async () => {
    const log = aMesh()
    log.do(someVm('web'))
    const agent = await fakeAgent({ inventory: log.now })
    await agent.client.call('vmDelete', { params: { vm: 'web' }, query: { keepDisks: '1' } }, { signal })
    expect(agent.mesh.log.at(-1)?.command).toMatchObject({ kind: 'vm-delete', vm: 'web', keepDisks: true })
  })

  it('vmCreate attaches disks without a size and makes those with one', async () => {
    const agent = await fakeAgent({ inventory: start() })
    const disks = [
      { datastore: 'images', name: 'data' },
      { datastore: 'images', name: 'more', sizeBytes: 1024 ** 2, format: 'raw' as const },
    ]
    await agent.client.call(
      'vmCreate',
      {
        body: { name: 'db', vcpus: 1, memoryMiB: 64, disks, ha: 'restart', priority: 3, drs: 'off', cpu: 'host-ish', firmware: 'uefi' },
        query: {},
      },
      { signal },
    )
    expect(agent.mesh.log.at(-1)?.command).toMatchObject({
      kind: 'vm-create',
      name: 'db',
      machineType: 'pc-q35-10.0',
      disks: [
        { kind: 'existing', disk: 'd1' },
        { kind: 'new', name: 'more', datastore: 'images', format: 'raw', sizeBytes: 1024 ** 2 },
      ],
      ha: 'restart',
      priority: 3,
      drs: 'off',
      cpu: 'host-ish',
      firmware: 'uefi',
      startJob: null,
    })
  })

  it('vmDelete takes the disks along where nothing else is said', async () => {
    const log = aMesh()
    log.do(someVm('web'))
    const agent = await fakeAgent({ inventory: log.now })
    await agent.client.call('vmDelete', { params: { vm: 'web' }, query: {} }, { signal })
    expect(agent.mesh.log.at(-1)?.command).toMatchObject({ kind: 'vm-delete', keepDisks: false })
  })

  it('vmDelete plans what becomes of each disk', async () => {
    const log = aMesh({ datastores: ['images'] })
    const disk = {
      kind: 'new',
      id: diskId('d1'),
      name: 'root',
      datastore: datastoreId('images'),
      format: 'raw',
      sizeBytes: 1024 ** 2,
    } as const
    log.do(someVm('web', { disks: [disk] }))
    log.do({ kind: 'disk-done', host: hostId('h1'), disk: diskId('d1'), sizeBytes: 1024 ** 2 })
    const agent = await fakeAgent({ inventory: log.now })
    const planOf = async (query: { readonly keepDisks?: '1' }) =>
      (await agent.client.call('vmDelete', { params: { vm: 'web' }, query: { ...query, dryRun: '1' } }, { signal })).answer.plan
    expect(await planOf({})).toEqual(['forget VM web', 'delete disk root'])
    expect(await planOf({ keepDisks: '1' })).toEqual(['forget VM web', 'keep disk root'])
  })

  it('vmCreate gives the making of its disks to a host that can use their datastores', async () => {
    const datastoreFaults = new Map([[datastoreId('images'), 'stale file handle']])
    const load = () => ({
      ...NO_LOAD,
      hosts: new Map([
        [hostId('h1'), { receivedAtMs: 0, cpuPercent: 0, memoryUsedMiB: 0, datastoreFaults, stores: { freeMiB: 4096, trouble: null } }],
      ]),
    })
    const agent = await fakeAgent({ changes: { load } })
    const create = async (name: string, disks: readonly { datastore: string; name: string; sizeBytes: number }[]) => {
      await agent.client.call('vmCreate', { body: { name, vcpus: 1, memoryMiB: 64, disks: [...disks] }, query: {} }, { signal })
      return agent.mesh.log.at(-1)?.command
    }
    expect(await create('a', [{ datastore: 'images', name: 'root', sizeBytes: 1024 ** 2 }])).toMatchObject({ host: 'h2' })
    expect(await create('b', [])).toMatchObject({ host: 'h1' })
  })

  it('vmSet changes what is named, and nothing else', async () => {
    const log = aMesh({ datastores: ['images'] })
    log.do(someVm('web'))
    const agent = await fakeAgent({ inventory: log.now, files: ['images/vmlinuz', 'images/debian.iso'] })
    const body = {
      name: 'www',
      vcpus: 2,
      memoryMiB: 512,
      cpu: 'qemu64',
      boot: { kernel: 'images/vmlinuz' },
      cdrom: 'images/debian.iso',
      ha: 'restart' as const,
      priority: 1 as const,
      drs: 'manual' as const,
    }
    for (const [key, value] of Object.entries(body)) {
      const { answer } = await agent.client.call(
        'vmSet',
        { params: { vm: 'web' }, body: { [key]: value }, query: { dryRun: '1' } },
        { signal },
      )
      expect(answer.plan).toEqual([expect.stringContaining(`set ${key} to `)])
    }
    await agent.client.call('vmSet', { params: { vm: 'web' }, body, query: {} }, { signal })
    const boot = { kernel: 'images/vmlinuz', initrd: null, append: '' }
    expect(agent.mesh.log.at(-1)?.command).toEqual({ kind: 'vm-set', vm: 'web', ...body, boot })
  })

  it('vmSet lets a VM that outgrew its hosts change everything but its size', async () => {
    const log = aMesh()
    log.do(someVm('big', { memoryMiB: 9000 }))
    const agent = await fakeAgent({ inventory: log.now })
    await agent.client.call('vmSet', { params: { vm: 'big' }, body: { ha: 'restart' }, query: {} }, { signal })
    expect(agent.mesh.inventory().vms.get(vmId('big'))?.ha).toBe('restart')
  })

  it('vmSet checks the files that it names', async () => {
    const log = aMesh({ datastores: ['images'] })
    log.do(someVm('web'))
    const agent = await fakeAgent({ inventory: log.now })
    const error = await refusal(
      agent.client.call('vmSet', { params: { vm: 'web' }, body: { cdrom: 'images/nope.iso' }, query: {} }, { signal }),
    )
    expect(error.reasons).toMatchObject([{ code: 'file-missing', message: expect.stringContaining('CD-ROM file images/nope.iso') }])
  })

  it('hostSet plans each of its changes', async () => {
    const agent = await fakeAgent()
    const { answer } = await agent.client.call(
      'hostSet',
      { params: { host: 'h2' }, body: { name: 'h9', labels: { rack: 'a', old: null } }, query: { dryRun: '1' } },
      { signal },
    )
    expect(answer.plan).toEqual(['rename host h2 to h9', 'set label rack to a', 'take label old away'])
    const onlyName = await agent.client.call(
      'hostSet',
      { params: { host: 'h2' }, body: { name: 'h9' }, query: { dryRun: '1' } },
      { signal },
    )
    expect(onlyName.answer.plan).toEqual(['rename host h2 to h9'])
    const onlyLabel = await agent.client.call(
      'hostSet',
      { params: { host: 'h2' }, body: { labels: { rack: 'a' } }, query: { dryRun: '1' } },
      { signal },
    )
    expect(onlyLabel.answer.plan).toEqual(['set label rack to a'])
  })

  it('vmSet refuses a VM larger than any host, before anybody starts it', async () => {
    const log = aMesh()
    log.do(someVm('web'))
    const agent = await fakeAgent({ inventory: log.now })
    const error = await refusal(agent.client.call('vmSet', { params: { vm: 'web' }, body: { memoryMiB: 8192 }, query: {} }, { signal }))
    expect(error.reasons).toMatchObject([{ code: 'memory' }])
    // To make it smaller, or to leave its size alone, is never refused for that.
    await agent.client.call('vmSet', { params: { vm: 'web' }, body: { memoryMiB: 128 }, query: {} }, { signal })
  })
})
