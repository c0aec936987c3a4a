// Ownership: who may begin it, who alone may end it, and what the end of a run means for what is wanted.
import { describe, expect, it } from 'vitest'
import { CRASH_RESTARTS } from '../../src/inventory/apply-run.ts'
import { type Command } from '../../src/inventory/command.ts'
import { type Epoch, type VmStatus } from '../../src/inventory/model.ts'
import { waitingVms } from '../../src/inventory/view.ts'
import { aMesh, aMeshWithRunningVm, datastoreId, diskId, hostId, jobId, someVm, TestLog, vmId } from '../fixture/inventory.ts'

const web = vmId('web')
const epoch = (counter: number, generation = 1): Epoch => ({ generation, counter })
const assign = (to: string, as: Epoch, vm = 'web'): Command => ({
  kind: 'vm-assign',
  leaderTerm: 1,
  vm: vmId(vm),
  to: hostId(to),
  epoch: as,
  reasons: ['most memory'],
})
const jobOf = (log: TestLog, job: string) => log.now.jobs.get(jobId(job))

function aMeshWithWaitingVm(): TestLog {
  const log = aMesh({ hosts: 3, roles: { h3: 'witness' } })
  log.do(someVm('web'))
  log.do({ kind: 'vm-start', vm: web, job: jobId('start') })
  return log
}

describe('vm-assign', () => {
  it('gives a wanted VM that nobody owns to a host, under the next epoch', () => {
    const log = aMeshWithWaitingVm()
    log.do(assign('h2', epoch(1)))
    expect(log.vm('web')).toMatchObject({ owner: { host: 'h2', epoch: epoch(1), ending: null }, lastEpoch: epoch(1), observed: null })
    expect(log.now.events.at(-1)).toMatchObject({ type: 'vm.assigned', data: { host: 'h2', epoch: '1.1', reasons: ['most memory'] } })
  })

  it.each([
    ['is owned', (log: TestLog) => log.do(assign('h1', epoch(1))), assign('h2', epoch(2))],
    ['is not wanted on', (log: TestLog) => log.do({ kind: 'vm-stop', vm: web, job: jobId('s') }), assign('h1', epoch(1))],
    ['had this epoch before', () => {}, assign('h1', epoch(0))],
    ['has epochs in between', () => {}, assign('h1', epoch(2))],
    ['is of another generation', () => {}, assign('h1', epoch(1, 2))],
    ['would go to a stranger', () => {}, assign('h9', epoch(1))],
    ['would go to a witness', () => {}, assign('h3', epoch(1))],
    ['is gone', () => {}, assign('h1', epoch(1), 'db')],
  ])('is stale for a VM that %s', (_what, prepare, command) => {
    const log = aMeshWithWaitingVm()
    prepare(log)
    const { vms } = log.now
    expect(log.try(command).kind).toBe('stale')
    expect(log.now.vms).toBe(vms)
  })

  it('is stale while a disk of the VM is not ready', () => {
    const log = aMesh({ datastores: ['data'] })
    const disk = { kind: 'new', id: diskId('d'), name: 'd', datastore: datastoreId('data'), format: 'raw', sizeBytes: 1_048_576 } as const
    log.do(someVm('web', { disks: [disk], startJob: jobId('start') }))
    expect(log.try(assign('h1', epoch(1)))).toMatchObject({ kind: 'stale', why: 'VM web waits for disk d' })
    log.do({ kind: 'disk-done', host: hostId('h1'), disk: diskId('d'), sizeBytes: 1_048_576 })
    log.do(assign('h1', epoch(1)))
  })

  it('is stale for a host in maintenance, and for one that has not reported yet', () => {
    for (const status of ['maintenance', 'joining'] as const) {
      const { now } = aMeshWithWaitingVm()
      const h1 = now.hosts.get(hostId('h1'))
      const hosts = new Map(now.hosts)
      if (h1 !== undefined) hosts.set(h1.id, { ...h1, status })
      expect(new TestLog({ ...now, hosts }).try(assign('h1', epoch(1))).kind).toBe('stale')
    }
  })

  it('goes on in the generation of the mesh, which is newer than every epoch before', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-stop', vm: web, job: jobId('stop') })
    log.stop('web', 'off')
    const { mesh } = log.now
    const later = new TestLog({ ...log.now, mesh: mesh === null ? null : { ...mesh, generation: 2 } })
    later.do({ kind: 'vm-start', vm: web, job: jobId('j') })
    expect(later.try(assign('h1', epoch(2, 1))).kind).toBe('stale')
    later.do(assign('h1', epoch(2, 2)))
  })
})

describe('vm-unplaceable', () => {
  const reasons = [{ code: 'memory', message: 'h1 has 10 MiB left' }]
  const unplaceable = { kind: 'vm-unplaceable', leaderTerm: 1, vm: web, reasons } as const

  it('is told once for the same reasons, and again for others', () => {
    const log = aMeshWithWaitingVm()
    log.do(unplaceable)
    expect(log.vm('web').fault).toMatchObject({ kind: 'unplaceable', reasons })
    expect(jobOf(log, 'start')).toMatchObject({ phase: 'waiting', step: 'no host has a place: h1 has 10 MiB left' })
    expect(log.lastEvents()).toEqual(['vm.unplaceable'])
    log.do(unplaceable)
    expect(log.steps.at(-1)?.changes).toEqual([])
    log.do({ ...unplaceable, reasons: [{ code: 'memory', message: 'h1 has 9 MiB left' }] })
    expect(log.lastEvents()).toEqual(['vm.unplaceable'])
  })

  it('leaves the VM waiting, and is forgotten when a host is found', () => {
    const log = aMeshWithWaitingVm()
    log.do(unplaceable)
    expect(waitingVms(log.now).map(({ id }) => id)).toEqual(['web'])
    log.do(assign('h1', epoch(1)))
    expect(log.vm('web').fault).toBeNull()
  })

  it('is stale for a VM that needs no host', () => {
    expect(aMeshWithRunningVm().try(unplaceable).kind).toBe('stale')
  })
})

describe('vm-observed', () => {
  const observed = (host: string, as: Epoch, status: VmStatus): Command => ({
    kind: 'vm-observed',
    host: hostId(host),
    vm: web,
    epoch: as,
    status,
  })

  it('counts from the owner, for its epoch', () => {
    const log = aMeshWithRunningVm()
    log.do(observed('h1', epoch(1), 'paused'))
    expect(log.vm('web').observed).toMatchObject({ epoch: epoch(1), status: 'paused', since: log.now.events.at(-1)?.at })
    for (const command of [observed('h2', epoch(1), 'running'), observed('h1', epoch(2), 'running'), observed('h1', epoch(0), 'running')]) {
      expect(log.try(command).kind).toBe('stale')
    }
    expect(log.vm('web').observed?.status).toBe('paused')
  })

  it('repeated changes nothing, not even the time since when', () => {
    const log = aMeshWithRunningVm()
    log.do(observed('h1', epoch(1), 'running'))
    expect(log.steps.at(-1)?.changes).toEqual([])
  })

  it.each([
    ['paused', ['paused']],
    ['running', ['running']],
    ['running', ['starting', 'shutting-down', 'running']],
  ] as const)('a start is done when its run is first seen %s: %j', (status, seen) => {
    const log = aMeshWithWaitingVm()
    log.assign('web', 'h1')
    for (const one of seen) log.observe('web', one)
    expect(jobOf(log, 'start')).toMatchObject({ phase: 'done', step: `${status} on h1` })
  })

  it('a start is not done by what is neither running nor paused', () => {
    const log = aMeshWithWaitingVm()
    log.assign('web', 'h1')
    for (const status of ['starting', 'shutting-down', 'powered-off'] as const) {
      log.observe('web', status)
      expect(jobOf(log, 'start')?.endedAt).toBeNull()
    }
  })

  it('a start that meets a disk error at once fails, and says what to do', () => {
    const log = aMeshWithWaitingVm()
    log.assign('web', 'h1')
    log.observe('web', 'io-error')
    expect(jobOf(log, 'start')).toMatchObject({
      phase: 'failed',
      error: { reasons: [{ code: 'io-error', fix: 'mend the datastore, then: hostmesh vm resume web' }] },
    })
  })

  it('a pause that meets a disk error fails too, and so does a reboot', () => {
    for (const command of [
      { kind: 'vm-pause', vm: web, job: jobId('j') },
      { kind: 'vm-reboot', vm: web, force: false, job: jobId('j') },
    ] as const) {
      const log = aMeshWithRunningVm()
      log.do(command)
      log.observe('web', 'io-error')
      expect(jobOf(log, 'j')?.phase).toBe('failed')
    }
  })

  it.each([
    ['starting', 'running', ['vm.started']],
    ['paused', 'running', ['vm.resumed']],
    ['io-error', 'running', ['vm.resumed']],
    ['starting', 'paused', ['vm.started']],
    ['starting', 'io-error', ['vm.io-error', 'job.failed']],
    ['shutting-down', 'running', []],
    ['powered-off', 'running', []],
    ['running', 'paused', ['vm.paused']],
    ['running', 'io-error', ['vm.io-error']],
    ['running', 'shutting-down', []],
    ['shutting-down', 'powered-off', []],
  ] as const)('from %s to %s gives the events %j', (before, status, events) => {
    const log = aMeshWithWaitingVm()
    log.assign('web', 'h1')
    log.observe('web', before)
    log.observe('web', status)
    expect(log.lastEvents()).toEqual(events)
  })
})

describe('vm-stopped', () => {
  const stopped = (host: string, as: Epoch): Command => ({
    kind: 'vm-stopped',
    host: hostId(host),
    vm: web,
    epoch: as,
    intent: 'off',
    reasons: [],
  })

  it('ends the ownership of exactly this host and epoch, and is stale for all others and when it comes again', () => {
    const log = aMeshWithRunningVm()
    for (const command of [stopped('h2', epoch(1)), stopped('h1', epoch(0)), stopped('h1', epoch(2)), stopped('h1', epoch(1, 2))]) {
      expect(log.try(command).kind).toBe('stale')
      expect(log.vm('web').owner).not.toBeNull()
    }
    log.do(stopped('h1', epoch(1)))
    expect(log.vm('web')).toMatchObject({ owner: null, observed: null, lastHost: 'h1', lastEpoch: epoch(1) })
    expect(log.try(stopped('h1', epoch(1))).kind).toBe('stale')
  })

  it('that comes late does not stop the copy that runs elsewhere by now', () => {
    const log = aMeshWithRunningVm()
    log.stop('web', 'host-down')
    log.assign('web', 'h2')
    expect(log.try(stopped('h1', epoch(1))).kind).toBe('stale')
    expect(log.vm('web').owner).toMatchObject({ host: 'h2', epoch: epoch(2) })
  })

  it('off, unasked: the guest powered itself off, and is wanted off', () => {
    const log = aMeshWithRunningVm()
    log.stop('web', 'off')
    expect(log.vm('web').desired).toEqual({ power: 'off', how: 'shutdown' })
    expect(log.lastEvents()).toEqual(['vm.powered-off'])
  })

  it('host-down: it is still wanted on, and waits for a host', () => {
    const log = aMeshWithRunningVm()
    log.stop('web', 'host-down')
    expect(log.vm('web')).toMatchObject({ desired: { power: 'on' }, crashes: 0, fault: null })
    expect(waitingVms(log.now).map(({ id }) => id)).toEqual(['web'])
    expect(log.lastEvents()).toEqual(['vm.interrupted'])
  })

  it('start-failed: off again, with the reasons, and its job failed; nothing tries again', () => {
    const log = aMeshWithWaitingVm()
    log.assign('web', 'h1')
    log.stop('web', 'start-failed')
    expect(log.vm('web')).toMatchObject({ desired: { power: 'off' }, fault: { kind: 'start-failed', reasons: [{ code: 'start-failed' }] } })
    expect(jobOf(log, 'start')).toMatchObject({ phase: 'failed', error: { message: 'vm-start of web failed: web ended: start-failed' } })
    expect(waitingVms(log.now)).toEqual([])
    expect(log.lastEvents()).toEqual(['vm.start-failed', 'job.failed'])
  })

  it('off before the start was seen running: short, but it ran', () => {
    const log = aMeshWithWaitingVm()
    log.assign('web', 'h1')
    log.stop('web', 'off')
    expect(jobOf(log, 'start')).toMatchObject({ phase: 'done', step: 'the guest powered itself off' })
  })

  it('fails a job that needed the run', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-pause', vm: web, job: jobId('pause') })
    log.stop('web', 'crash')
    expect(jobOf(log, 'pause')).toMatchObject({
      phase: 'failed',
      error: { reasons: [{ code: 'run-ended', fix: 'hostmesh vm start web' }] },
    })
  })
})

describe('a VM that crashes', () => {
  function crash(log: TestLog): void {
    log.assign('web', 'h1')
    log.observe('web', 'running')
    log.stop('web', 'crash')
  }

  it(`is started again ${CRASH_RESTARTS} times, then stays down with its reasons until a person starts it`, () => {
    const log = aMeshWithRunningVm()
    log.stop('web', 'crash')
    expect(log.lastEvents()).toEqual(['vm.crashed'])
    crash(log)
    expect(log.vm('web')).toMatchObject({ crashes: 2, fault: null, desired: { power: 'on' } })
    expect(waitingVms(log.now)).toHaveLength(1)
    crash(log)
    expect(log.lastEvents()).toEqual(['vm.crashed', 'vm.failed'])
    expect(log.vm('web')).toMatchObject({ crashes: 3, desired: { power: 'on' }, fault: { kind: 'crash', reasons: [{ code: 'crash' }] } })
    expect(waitingVms(log.now)).toEqual([])
    expect(log.try(assign('h1', epoch(4))).kind).toBe('stale')
    expect(log.try({ kind: 'vm-unplaceable', leaderTerm: 1, vm: web, reasons: [] }).kind).toBe('stale')

    log.do({ kind: 'vm-start', vm: web, job: jobId('again') })
    expect(log.vm('web')).toMatchObject({ crashes: 0, fault: null })
    crash(log)
    expect(log.vm('web')).toMatchObject({ crashes: 1, fault: null })
  })

  it('keeps the start that a person waits for going through its restarts, and fails it when they are used up', () => {
    const log = aMeshWithWaitingVm()
    for (let crashes = 1; crashes <= CRASH_RESTARTS; crashes += 1) {
      log.assign('web', 'h1')
      log.stop('web', 'crash')
      expect(jobOf(log, 'start')).toMatchObject({ phase: 'waiting', step: 'placing' })
    }
    log.assign('web', 'h1')
    log.stop('web', 'crash')
    expect(jobOf(log, 'start')).toMatchObject({ phase: 'failed', error: { reasons: [{ code: 'crash' }] } })
  })

  it('while it was asked to end is simply off', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-shutdown', vm: web, job: jobId('s') })
    log.stop('web', 'crash')
    expect(log.vm('web')).toMatchObject({ desired: { power: 'off' }, crashes: 0, fault: null })
    expect(jobOf(log, 's')?.phase).toBe('done')
  })
})
