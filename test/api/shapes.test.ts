// Answers have exactly the promised keys, and say what the inventory and the measurements say.
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import * as answers from '../../src/api/types.ts'
import {
  byName,
  datastoreAnswer,
  diskAnswer,
  eventAnswer,
  hostAnswer,
  jobAnswer,
  settingAnswer,
  type Sight,
  tokenAnswer,
  vmAnswer,
} from '../../src/api/shapes.ts'
import { statusAnswer } from '../../src/api/status.ts'
import { present } from '../../src/base/assert.ts'
import { NO_LOAD } from '../../src/inventory/load.ts'
import {
  aMesh,
  aMeshWithRunningVm,
  datastoreId,
  diskId,
  hostId,
  HOUR_MS,
  jobId,
  someVm,
  START_AT,
  type TestLog,
  tokenId,
  vmId,
} from '../fixture/inventory.ts'
import { aMember } from '../fixture/members.ts'

function sightOf(log: TestLog, load: Sight['load'] = NO_LOAD): Sight {
  const hosts = [...log.now.hosts.keys()]
  return {
    inventory: log.now,
    load,
    liveness: new Map(hosts.map((id) => [id, 'up'])),
    roles: new Map(hosts.map((id) => [id, id === 'h1' ? 'leader' : 'voter'])),
  }
}

/** The answer, checked against its schema without letting anything extra through. */
function exact<T>(schema: v.GenericSchema<unknown, T>, value: T): T {
  expect(v.parse(schema, value)).toEqual(value)
  return value
}

describe('a host', () => {
  const log = aMeshWithRunningVm()
  const h1 = present(log.now.hosts.get(hostId('h1')), 'h1')

  it('shows facts, part in Raft, and how many VMs it owns', () => {
    expect(exact(answers.HostAnswer, hostAnswer(sightOf(log), h1))).toEqual({
      id: 'h1',
      name: 'h1',
      state: 'up',
      role: 'host',
      raft: 'leader',
      addresses: ['198.18.0.1:7946'],
      cpu: { cores: 4, mhz: 3000, model: 'Test CPU', level: 'x86-64-v1' },
      memoryMiB: 8192,
      usage: { cpu: null, memory: null },
      vms: 1,
      version: '0.1.0',
      qemuVersion: '10.0.2',
      accelerator: 'tcg',
      machineTypes: ['pc-q35-10.0', 'pc-q35-9.2'],
      labels: {},
      joinedAt: '2026-11-25T00:00:01.000Z',
    })
  })

  it('shows its load as shares, once it was measured', () => {
    const load = {
      receivedAtMs: 0,
      cpuPercent: 25,
      memoryUsedMiB: 2048,
      datastoreFaults: new Map(),
      stores: { freeMiB: 4096, trouble: null },
    }
    const sight = sightOf(log, { ...NO_LOAD, hosts: new Map([[h1.id, load]]) })
    expect(hostAnswer(sight, h1).usage).toEqual({ cpu: 0.25, memory: 0.25 })
  })

  it('is suspect where it is not heard of, and has no part in Raft where the members do not name it', () => {
    const answer = hostAnswer({ ...sightOf(log), liveness: new Map(), roles: new Map() }, h1)
    expect(answer).toMatchObject({ state: 'suspect', raft: null })
  })
})

describe('a VM', () => {
  it('that runs shows owner, epoch and what it uses', () => {
    const log = aMeshWithRunningVm()
    const load = { ...NO_LOAD, vms: new Map([[vmId('web'), { cpuMHz: 340, residentMiB: 200, uptimeS: 65 }]]) }
    expect(exact(answers.VmAnswer, vmAnswer(sightOf(log, load), log.vm('web')))).toEqual({
      id: 'web',
      name: 'web',
      state: 'running',
      desired: 'on',
      owner: { host: 'h1', hostId: 'h1', epoch: '1.1' },
      vcpus: 1,
      memoryMiB: 256,
      cpu: 'mesh-baseline',
      firmware: 'bios',
      machineType: 'pc-q35-10.0',
      ha: 'off',
      priority: 2,
      drs: 'auto',
      disks: [],
      nics: [],
      cdrom: null,
      boot: null,
      usage: { cpuMHz: 340, memoryMiB: 200 },
      uptimeS: 65,
      fault: null,
      createdAt: '2026-11-25T00:00:08.000Z',
    })
  })

  it('that is off uses nothing, whatever was measured of it last', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-stop', vm: vmId('web'), job: jobId('stop') })
    log.stop('web', 'off')
    const load = { ...NO_LOAD, vms: new Map([[vmId('web'), { cpuMHz: 340, residentMiB: 200, uptimeS: 65 }]]) }
    expect(vmAnswer(sightOf(log, load), log.vm('web'))).toMatchObject({
      state: 'off',
      desired: 'off',
      owner: null,
      usage: { cpuMHz: null, memoryMiB: null },
      uptimeS: null,
    })
  })

  it('that is wanted paused says so', () => {
    const log = aMeshWithRunningVm()
    log.do({ kind: 'vm-pause', vm: vmId('web'), job: jobId('pause') })
    expect(vmAnswer(sightOf(log), log.vm('web')).desired).toBe('paused')
  })

  it('shows its disks, its direct boot, and why it could not start', () => {
    const log = aMesh({ datastores: ['images'] })
    const boot = { kernel: 'images/vmlinuz', initrd: null, append: 'quiet' }
    const disk = {
      kind: 'new',
      id: diskId('d1'),
      name: 'root',
      datastore: datastoreId('images'),
      format: 'raw',
      sizeBytes: 1024 ** 2,
    } as const
    log.do(someVm('web', { disks: [disk], boot, startJob: jobId('start') }))
    log.do({ kind: 'disk-failed', host: hostId('h1'), disk: diskId('d1'), reason: 'no space' })
    const answer = exact(answers.VmAnswer, vmAnswer(sightOf(log), log.vm('web')))
    expect(answer.disks).toEqual([
      { id: 'd1', name: 'root', datastore: 'images', format: 'raw', sizeBytes: 1024 ** 2, state: 'failed', error: 'no space', vm: 'web' },
    ])
    expect(answer.boot).toEqual(boot)
    expect(answer).toMatchObject({ state: 'failed', fault: { kind: 'start-failed', reasons: [{ code: 'disk-failed' }] } })
  })
})

describe('what else is shown', () => {
  const log = aMesh({ hosts: 2, datastores: ['images', 'backup'] })
  const place = { datastore: datastoreId('images'), host: hostId('h1'), job: jobId('make') }
  log.do({ kind: 'disk-create', id: diskId('d1'), name: 'data', ...place, format: 'qcow2', sizeBytes: 1024 ** 3 })

  it('a datastore counts its disks', () => {
    const row = present(log.now.datastores.get(datastoreId('images')), 'images')
    expect(exact(answers.DatastoreAnswer, datastoreAnswer(log.now, row))).toMatchObject({ name: 'images', path: '/srv/images', disks: 1 })
    const other = present(log.now.datastores.get(datastoreId('backup')), 'backup')
    expect(datastoreAnswer(log.now, other).disks).toBe(0)
  })

  it('a disk that no VM has says so', () => {
    const row = present(log.now.disks.get(diskId('d1')), 'd1')
    expect(exact(answers.DiskAnswer, diskAnswer(log.now, row))).toMatchObject({
      datastore: 'images',
      vm: null,
      state: 'creating',
      error: null,
    })
  })

  it('a job keeps the name of its object, and ends with its error', () => {
    log.do({ kind: 'disk-failed', host: hostId('h1'), disk: diskId('d1'), reason: 'no space' })
    const row = present(log.now.jobs.get(jobId('make')), 'make')
    expect(exact(answers.JobAnswer, jobAnswer(row))).toMatchObject({
      kind: 'disk-create',
      object: { kind: 'disk', id: 'd1', name: 'data' },
      phase: 'failed',
      endedAt: expect.any(String),
      error: { code: 'failed', reasons: [{ code: 'disk-failed' }] },
    })
  })

  it('an event has its index and its time in UTC', () => {
    const first = present(log.now.events[0], 'first event')
    expect(exact(answers.EventAnswer, eventAnswer(first))).toMatchObject({
      index: 1,
      time: '2026-11-25T00:00:01.000Z',
      type: 'mesh.created',
    })
  })

  it.each([
    ['usable', START_AT + HOUR_MS, 2],
    ['expired', START_AT + 25 * HOUR_MS, 2],
    ['used-up', START_AT + HOUR_MS, 1],
  ] as const)('a token is %s by what it was made for', (state, now, uses) => {
    const token = { ...present(log.now.tokens.get(tokenId('token-h2')), 'token'), uses }
    expect(exact(answers.TokenAnswer, tokenAnswer(log.now, token, now))).toMatchObject({ state, used: 1, usedBy: ['h2'] })
    expect(tokenAnswer(log.now, { ...token, revoked: true }, now).state).toBe('revoked')
    expect(tokenAnswer(log.now, { ...token, usedBy: [hostId('gone')] }, now).usedBy).toEqual(['gone'])
  })

  it('a setting shows what holds beside its default', () => {
    expect(exact(answers.SettingAnswer, settingAnswer(log.now, 'vm.shutdown-timeout-s'))).toMatchObject({ value: 90, default: 90 })
    log.do({ kind: 'config-set', key: 'vm.shutdown-timeout-s', value: 5 })
    expect(settingAnswer(log.now, 'vm.shutdown-timeout-s')).toMatchObject({ value: 5, default: 90 })
  })

  it('lists are in the order of names, the same on every host', () => {
    const rows = [
      { id: '2', name: 'b' },
      { id: '3', name: 'B' },
      { id: '1', name: 'b' },
    ]
    expect(byName(rows).map(({ id }) => id)).toEqual(['3', '1', '2'])
  })
})

describe('the status', () => {
  const cluster = {
    term: 4,
    leader: hostId('h1'),
    leading: true,
    commitIndex: 12,
    appliedIndex: 11,
    quorum: 'ok',
    staleMs: null,
    members: ['h1', 'h2', 'h3'].map((name) => aMember(name)),
    strangers: [],
    changing: false,
    superseded: null,
  } as const
  const parts = { self: { id: 'h2', name: 'h2' }, mesh: { id: 'mesh1', name: 'lab' }, stale: null }

  it('has the keys that scripts rely on', () => {
    const log = aMeshWithRunningVm()
    expect(exact(answers.StatusAnswer, statusAnswer(sightOf(log), { cluster, ...parts }))).toEqual({
      mesh: { id: 'mesh1', name: 'lab' },
      self: { id: 'h2', name: 'h2' },
      leader: { id: 'h1', name: 'h1' },
      term: 4,
      commitIndex: 12,
      appliedIndex: 11,
      quorum: 'ok',
      stale: null,
      hosts: { up: 3, total: 3 },
      vms: { running: 1, total: 1 },
      survives: { hosts: 1, unseated: [] },
      alarms: [],
    })
  })

  it('counts as up and running only what is heard of', () => {
    const sight = { ...sightOf(aMeshWithRunningVm()), liveness: new Map([[hostId('h2'), 'up' as const]]) }
    const answer = statusAnswer(sight, { cluster: { ...cluster, leader: null, quorum: 'lost' }, ...parts, stale: { ageMs: 1500 } })
    expect(answer).toMatchObject({
      leader: null,
      quorum: 'lost',
      stale: { ageMs: 1500 },
      hosts: { up: 1, total: 3 },
      vms: { running: 0, total: 1 },
      survives: { hosts: 0 },
    })
    expect(answer.alarms.map(({ code }) => code)).toEqual(['no-quorum', 'host-suspect', 'host-suspect'])
  })
})
