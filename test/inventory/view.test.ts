// What follows from a state: epochs, the words people see, and who waits for a host.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HostId } from '../../src/base/ids.ts'
import { type Epoch } from '../../src/inventory/model.ts'
import {
  compareEpoch,
  compareText,
  formatEpoch,
  hostName,
  hostState,
  type Liveness,
  nextEpoch,
  sameEpoch,
  vmsOn,
  vmState,
  waitingVms,
  wantedRun,
} from '../../src/inventory/view.ts'
import { present } from '../../src/base/assert.ts'
import { aMesh, aMeshWithRunningVm, hostId, jobId, someVm, START_AT, type TestLog, vmId } from '../fixture/inventory.ts'

const web = vmId('web')
const up: Liveness = new Map<HostId, 'up' | 'suspect'>([
  [hostId('h1'), 'up'],
  [hostId('h2'), 'suspect'],
])
const stateOf = (log: TestLog, liveness = up) => vmState(log.vm('web'), liveness)

describe('epochs', () => {
  const epoch = fc.record({ generation: fc.nat(3), counter: fc.nat(3) })

  it('are ordered by generation, then by counter', () => {
    const rank = ({ generation, counter }: Epoch) => generation * 10 + counter
    fc.assert(
      fc.property(epoch, epoch, (a, b) => {
        expect(Math.sign(compareEpoch(a, b))).toBe(Math.sign(rank(a) - rank(b)))
        expect(sameEpoch(a, b)).toBe(rank(a) === rank(b))
      }),
    )
  })

  it('go on by one in the generation of the mesh', () => {
    const { mesh } = aMesh().now
    const later = { mesh: mesh === null ? null : { ...mesh, generation: 3 } }
    expect(nextEpoch({ mesh }, { lastEpoch: { generation: 1, counter: 4 } })).toEqual({ generation: 1, counter: 5 })
    expect(nextEpoch(later, { lastEpoch: { generation: 1, counter: 4 } })).toEqual({ generation: 3, counter: 5 })
    expect(formatEpoch({ generation: 3, counter: 5 })).toBe('3.5')
  })
})

describe('the state of a VM', () => {
  it('without an owner tells what it waits for', () => {
    const log = aMesh()
    log.do(someVm('web'))
    expect(stateOf(log)).toBe('off')
    log.do({ kind: 'vm-start', vm: web, job: jobId('j') })
    expect(stateOf(log)).toBe('waiting')
    log.do({ kind: 'vm-unplaceable', leaderTerm: 1, vm: web, reasons: [] })
    expect(stateOf(log)).toBe('unplaceable')
    log.assign('web', 'h1')
    log.stop('web', 'crash')
    expect(stateOf(log)).toBe('restarting')
    log.assign('web', 'h1')
    log.stop('web', 'crash')
    log.assign('web', 'h1')
    log.stop('web', 'crash')
    expect(stateOf(log)).toBe('failed')
  })

  it('that could not start is failed until somebody takes note of it', () => {
    const log = aMesh()
    log.do(someVm('web', { startJob: jobId('j') }))
    log.assign('web', 'h1')
    log.stop('web', 'start-failed')
    expect(stateOf(log)).toBe('failed')
    log.do({ kind: 'vm-stop', vm: web, job: jobId('s') })
    expect(stateOf(log)).toBe('off')
  })

  it('with an owner is what its host sees', () => {
    const log = aMesh()
    log.do(someVm('web', { startJob: jobId('j') }))
    log.assign('web', 'h1')
    expect(stateOf(log)).toBe('starting')
    for (const [status, state] of [
      ['starting', 'starting'],
      ['running', 'running'],
      ['paused', 'paused'],
      ['io-error', 'io-error'],
      ['shutting-down', 'rebooting'],
      ['powered-off', 'stopping'],
    ] as const) {
      log.observe('web', status)
      expect(stateOf(log)).toBe(state)
    }
  })

  it('is stopping while its run is asked to end, whatever is wanted next', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-shutdown', vm: web, job: jobId('j') })
    expect(stateOf(log)).toBe('stopping')
    log.do({ kind: 'vm-start', vm: web, job: jobId('k') })
    expect(stateOf(log)).toBe('stopping')
  })

  it('is unknown where its host is not heard of', () => {
    const log = aMeshWithRunningVm()
    expect(stateOf(log, new Map([[hostId('h1'), 'suspect']]))).toBe('unknown')
    expect(stateOf(log, new Map())).toBe('unknown')
  })
})

describe('what a host has to do with its run', () => {
  it('follows the wish for the run before the wish for the VM', () => {
    const log = aMeshWithRunningVm()
    expect(wantedRun(log.vm('web'))).toEqual({ kind: 'run', paused: false })
    log.do({ kind: 'vm-pause', vm: web, job: jobId('p') })
    expect(wantedRun(log.vm('web'))).toEqual({ kind: 'run', paused: true })
    log.do({ kind: 'vm-stop', vm: web, job: jobId('s') })
    log.do({ kind: 'vm-start', vm: web, job: jobId('t') })
    expect(wantedRun(log.vm('web'))).toEqual({ kind: 'end', how: 'stop' })
    log.stop('web', 'off')
    expect(wantedRun(log.vm('web'))).toEqual({ kind: 'run', paused: false })
  })
})

describe('the VMs that wait for a host', () => {
  it('come by priority, then age, then id', () => {
    const log = aMesh()
    const at = START_AT + 100_000
    log.do(someVm('late-first', { priority: 1, startJob: jobId('j1') }), { at: at + 5 })
    log.do(someVm('b', { startJob: jobId('j2') }), { at })
    log.do(someVm('a', { startJob: jobId('j3') }), { at })
    log.do(someVm('early', { priority: 3, startJob: jobId('j4') }), { at: at - 5 })
    log.do(someVm('old', { startJob: jobId('j5') }), { at: at - 1 })
    log.do(someVm('off'))
    expect(waitingVms(log.now).map(({ name }) => name)).toEqual(['late-first', 'old', 'a', 'b', 'early'])
    log.assign('a', 'h1')
    expect(waitingVms(log.now).map(({ name }) => name)).toEqual(['late-first', 'old', 'b', 'early'])
  })
})

describe('hosts', () => {
  it('are suspect while they should be up and are not heard of', () => {
    const { hosts } = aMesh({ hosts: 3 }).now
    const [h1, h2, h3] = ['h1', 'h2', 'h3'].map((name) => present(hosts.get(hostId(name)), name))
    expect([h1, h2, h3].map((host) => host && hostState(host, up))).toEqual(['up', 'suspect', 'suspect'])
    expect(h1 && hostState({ ...h1, status: 'maintenance' }, new Map())).toBe('maintenance')
    expect(h1 && hostState({ ...h1, status: 'joining' }, up)).toBe('joining')
  })

  it('own VMs, and have names even when they are gone', () => {
    const { now } = aMeshWithRunningVm()
    expect(vmsOn(now, hostId('h1')).map(({ id }) => id)).toEqual(['web'])
    expect(vmsOn(now, hostId('h2'))).toEqual([])
    expect(hostName(now, hostId('h1'))).toBe('h1')
    expect(hostName(now, hostId('gone'))).toBe('gone')
  })
})

it('text is ordered by code unit, the same everywhere', () => {
  fc.assert(fc.property(fc.string(), fc.string(), (a, b) => Math.sign(compareText(a, b)) === (a < b ? -1 : a === b ? 0 : 1)))
  expect(['b', 'B', 'ä', 'a'].sort(compareText)).toEqual(['B', 'a', 'b', 'ä'])
})
