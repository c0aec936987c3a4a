// Commands that change something: they end when the thing is done, say what became of it, and keep their exit codes.
import { describe, expect, it } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { OperationError } from '../../src/base/errors.ts'
import { aMesh, aMeshWithRunningVm, hostId, jobId, someVm, vmId } from '../fixture/inventory.ts'
import { waitFor } from '../lab/wait-for.ts'
import { fakeAgent, type FakeAgent, type FakeAgentWishes } from '../api/fake-agent.ts'
import { bringToLife, type LivingMeshWishes } from './living-mesh.ts'
import { hostmesh, type Outcome, type RunWishes } from './cli-run.ts'

async function living(wishes: FakeAgentWishes & LivingMeshWishes = {}): Promise<FakeAgent> {
  const agent = await fakeAgent({ files: ['images/vmlinuz'], ...wishes })
  bringToLife(agent.mesh, wishes)
  return agent
}

const run = (agent: FakeAgent, line: string, wishes: RunWishes = {}): Promise<Outcome> =>
  hostmesh(line.split(' '), { socketPath: agent.socketPath, seed: agent.mesh.log.length + 1, ...wishes })

const ok = (out: string): Outcome => ({ code: 0, out: `${out}\n`, err: '' })

describe('the life of a VM', () => {
  it('goes through every verb, each of which ends when it is so', async () => {
    const agent = await living()
    const state = () =>
      [...agent.mesh.inventory().vms.values()].map(
        ({ name, observed, owner }) => `${name} ${owner === null ? 'off' : (observed?.status ?? '?')}`,
      )
    expect(await run(agent, 'vm create web --vcpus 1 --memory 256 --disk images/root:1G --kernel images/vmlinuz --append quiet')).toEqual(
      ok('VM web is created; start it with hostmesh vm start web'),
    )
    expect([...agent.mesh.inventory().disks.values()].map((disk) => disk.state.kind)).toEqual(['ready'])
    expect(await run(agent, 'vm start web')).toEqual(ok('VM web is running'))
    expect(state()).toEqual(['web running'])
    expect(await run(agent, 'vm pause web')).toEqual(ok('VM web is paused'))
    expect(state()).toEqual(['web paused'])
    expect(await run(agent, 'vm resume web')).toEqual(ok('VM web is running'))
    expect(await run(agent, 'vm shutdown web')).toEqual(ok('VM web is off'))
    expect(state()).toEqual(['web off'])
    expect(await run(agent, 'vm set web --vcpus 2 --memory 1G --append debug --ha restart')).toEqual(ok('VM web is changed'))
    expect([...agent.mesh.inventory().vms.values()][0]).toMatchObject({
      spec: { vcpus: 2, memoryMiB: 1024, boot: { kernel: 'images/vmlinuz', append: 'debug' } },
      ha: 'restart',
    })
    expect(await run(agent, 'vm start web')).toEqual(ok('VM web is running'))
    expect(await run(agent, 'vm stop web')).toEqual(ok('VM web is off'))
    expect(await run(agent, 'vm delete web')).toEqual(ok('VM web is deleted'))
    expect(agent.mesh.inventory().vms.size + agent.mesh.inventory().disks.size).toBe(0)
  })

  it('begins running with --start', async () => {
    const agent = await living()
    expect(await run(agent, 'vm create web --vcpus 1 --memory 256 --disk images/root:1G --start')).toEqual(ok('VM web is running'))
  })

  it('keeps its disks where asked to', async () => {
    const agent = await living()
    await run(agent, 'vm create web --vcpus 1 --memory 256 --disk images/root:1G')
    await run(agent, 'vm delete web --keep-disks')
    expect(agent.mesh.inventory().disks.size).toBe(1)
  })
})

describe('other changes', () => {
  it('say what is so afterwards', async () => {
    const agent = await living()
    expect(await run(agent, 'datastore add iso /srv/iso')).toEqual(ok('datastore iso is /srv/iso'))
    expect(await run(agent, 'datastore remove iso')).toEqual(ok('datastore iso is forgotten; its files are where they were'))
    expect(await run(agent, 'disk create images/data --size 1G --format raw')).toEqual(ok('disk images/data of 1 GiB is ready'))
    expect(await run(agent, 'disk resize images/data 2G')).toEqual(ok('disk images/data has 2 GiB'))
    expect(await run(agent, 'disk delete images/data')).toEqual(ok('disk images/data is deleted'))
    expect(await run(agent, 'config set vm.shutdown-timeout-s 30')).toEqual(ok('vm.shutdown-timeout-s is 30'))
    expect(await run(agent, 'config set vm.shutdown-timeout-s default')).toEqual(ok('vm.shutdown-timeout-s is its default again'))
    expect(await run(agent, 'host set h2 --name h9 --label rack=a --label row=')).toEqual(ok('host h2 is changed'))
    expect(agent.mesh.inventory().hosts.get(hostId('h2'))).toMatchObject({ name: 'h9', labels: { rack: 'a' } })
    expect(await run(agent, 'host remove h9')).toEqual(ok('host h9 is no member any more'))
    expect(await run(agent, 'token create --uses 2 --ttl 7d --role witness')).toEqual(
      ok('on each new host, with its agent running:\n  hostmesh join hm1.secret-1'),
    )
    expect(agent.mesh.log.at(-1)?.command).toMatchObject({ uses: 2, role: 'witness' })
    expect(await run(agent, 'token revoke token-h2')).toEqual(ok('token token-h2 is revoked'))
  })

  it('keep their reason in the event', async () => {
    const agent = await living()
    await hostmesh(['datastore', 'add', 'iso', '/srv/iso', '--reason', 'discs for ü'], { socketPath: agent.socketPath })
    expect(agent.mesh.inventory().events.at(-1)).toMatchObject({ type: 'datastore.added', reason: 'discs for ü' })
  })

  it('are done once though their answer got lost', async () => {
    const agent = await living()
    agent.mesh.loseNextAnswer()
    expect(await run(agent, 'vm create web --vcpus 1 --memory 256 --start')).toEqual(ok('VM web is running'))
    expect(agent.mesh.inventory().vms.size).toBe(1)
  })
})

describe('JSON of a change', () => {
  it('has the ids and the job as it ended', async () => {
    const agent = await living({ inventory: aMeshWithRunningVm().now })
    const { code, out } = await run(agent, 'vm stop web -o json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      dryRun: false,
      id: 'web',
      plan: [expect.any(String)],
      job: { kind: 'vm-stop', phase: 'done', percent: 100, endedAt: expect.any(String) },
    })
  })

  it('has the job as it begins with --no-wait', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    expect(JSON.parse((await run(agent, 'vm stop web -o json --no-wait')).out)).toMatchObject({ job: { phase: 'waiting', endedAt: null } })
  })

  it('has no job where nothing takes time', async () => {
    const agent = await fakeAgent()
    expect(JSON.parse((await run(agent, 'datastore add iso /srv/iso -o json')).out)).toMatchObject({ id: expect.any(String), job: null })
  })
})

describe('--dry-run', () => {
  it('prints the plan and changes nothing', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    const before = agent.mesh.inventory()
    expect(await run(agent, 'vm stop web --dry-run')).toEqual(
      ok('plan:\n  - end it at once, as if its power were cut\nnothing was changed (--dry-run)'),
    )
    expect(agent.mesh.inventory()).toBe(before)
  })

  it('is refused with the reasons of the real thing', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    const { code, err } = await run(agent, 'vm delete web --dry-run')
    expect(code).toBe(3)
    expect(err).toContain('vm-state: VM web is running')
  })
})

describe('waiting', () => {
  it('is left out with --no-wait, and taken up with job wait', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    const { code, out } = await run(agent, 'vm stop web --no-wait')
    const job = /job wait (\w+)/.exec(out)?.[1] ?? ''
    expect([code, out]).toEqual([0, `accepted as job ${job}; follow it with hostmesh job wait ${job}\n`])
    const waiting = run(agent, `job wait ${job}`)
    bringToLife(agent.mesh)
    const ended = await waiting
    expect(ended.code).toBe(0)
    expect(ended.out).toContain('phase:    done, 100 %')
  })

  it('ends with 6 and the job when --timeout is over; the job goes on', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    const { code, err } = await run(agent, 'vm stop web --timeout 0.2')
    expect(code).toBe(6)
    expect(err).toMatch(/job \w+ \(vm-stop of web: stopping\) is still running\n {4}mend: hostmesh job wait \w+/)
    const [job] = [...agent.mesh.inventory().jobs.values()].filter(({ kind }) => kind === 'vm-stop')
    expect(job?.endedAt).toBeNull()
    expect((await run(agent, `job wait ${job?.id} --timeout 0.2`)).code).toBe(6)
  })

  it('ends as the job did: 1 with its reasons when it failed', async () => {
    const agent = await living({ broken: ['web'] })
    const { code, err } = await run(agent, 'vm create web --vcpus 1 --memory 64 --start')
    expect(code).toBe(1)
    expect(err).toContain('QEMU: no such machine')
    const [failed] = [...agent.mesh.inventory().jobs.keys()]
    expect((await run(agent, `job wait ${failed}`)).code).toBe(1)
  })

  it('ends with 7 when somebody else wanted the opposite meanwhile', async () => {
    const log = aMesh()
    log.do(someVm('web'))
    const agent = await fakeAgent({ inventory: log.now })
    const starting = run(agent, 'vm start web')
    await waitFor('the start to be accepted', () => agent.mesh.inventory().jobs.size === 1)
    agent.mesh.commit({ kind: 'vm-stop', vm: vmId('web'), job: jobId('stop') })
    const { code, err } = await starting
    expect(code).toBe(7)
    expect(err).toContain('was cancelled: superseded by vm-stop')
  })

  it('for the disks of a VM ends with 1 when one cannot be made', async () => {
    const agent = await living({ full: ['root'] })
    const { code, err } = await run(agent, 'vm create web --vcpus 1 --memory 64 --disk images/root:1G')
    expect(code).toBe(1)
    expect(err).toContain('disk root of VM web could not be made\n  - disk-failed: no space left on device')
  })

  it('goes on over a restart of the agent', async () => {
    const start = aMeshWithRunningVm().now
    const agent = await fakeAgent({ inventory: start })
    const stopping = run(agent, 'vm stop web')
    await waitFor('the stop to be accepted', () => agent.mesh.inventory().jobs.size > start.jobs.size)
    await agent.restart()
    bringToLife(agent.mesh)
    expect((await stopping).code).toBe(0)
  })

  it('shows a progress line on a terminal, and takes it away', async () => {
    const agent = await living({ inventory: aMeshWithRunningVm().now })
    const { out, err } = await run(agent, 'vm stop web', { terminal: true })
    expect(err).toContain('\r\x1b[2Kstop VM web')
    expect(err.endsWith('\r\x1b[2K')).toBe(true)
    expect(out).toBe('VM web is off\n')
  })
})

describe('cancelling', () => {
  it('takes a job back', async () => {
    const agent = await fakeAgent({ inventory: aMeshWithRunningVm().now })
    await run(agent, 'vm shutdown web --no-wait')
    const job = [...agent.mesh.inventory().jobs.values()].find(({ kind }) => kind === 'vm-shutdown')?.id ?? ''
    expect(await run(agent, `job cancel ${job}`)).toEqual(ok(`job ${job} is cancelled`))
    expect((await run(agent, `job wait ${job}`)).code).toBe(7)
  })
})

describe('without a quorum', () => {
  it('a change ends with 5 and was surely not done', async () => {
    // A clock on which five seconds pass in fifty milliseconds.
    const clock = { ...realClock, after: (ms: number, then: () => void) => realClock.after(ms / 100, then) }
    const agent = await fakeAgent({ changes: { clock } })
    const before = agent.mesh.inventory()
    agent.mesh.lead(null)
    const { code, err } = await run(agent, 'datastore add iso /srv/iso')
    expect(code).toBe(5)
    expect(err).toContain('so nothing was changed')
    expect(agent.mesh.inventory()).toBe(before)
  })

  it('a change whose outcome stays unknown ends with 6', async () => {
    const agent = await fakeAgent()
    const cluster = { ...agent.context.cluster, propose: () => Promise.reject(new OperationError('timeout', 'the outcome is not known')) }
    const stuck = await fakeAgent({ changes: { cluster } })
    expect((await run(stuck, 'datastore add iso /srv/iso --timeout 0.3')).code).toBe(6)
  })
})
