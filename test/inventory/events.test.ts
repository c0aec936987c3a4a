// The event log of a mesh as a person reads it: one story, and every line that it leaves behind.
import { expect, it } from 'vitest'
import {
  aJoiner,
  aMesh,
  datastoreId,
  diskId,
  hostId,
  HOUR_MS,
  jobId,
  memberId,
  someVm,
  START_AT,
  type TestLog,
  tokenId,
  vmId,
} from '../fixture/inventory.ts'

const MIB = 1_048_576
const h1 = hostId('h1')
const web = vmId('web')
const root = diskId('root')

/** Type, object and data of all events since `from`. */
function told(log: TestLog, from: number): readonly string[] {
  return log.now.events.filter(({ index }) => index > from).map(({ type, object, data }) => `${type} | ${object} | ${JSON.stringify(data)}`)
}

it('hosts', () => {
  const log = aMesh()
  const token = tokenId('t')
  log.do({ kind: 'token-create', id: token, publicKey: 'key', role: 'host', uses: 1, expiresAt: START_AT + HOUR_MS })
  log.do({ kind: 'host-join', token, host: aJoiner('h2') })
  log.try({ kind: 'host-join', token, host: aJoiner('h3') })
  log.do({ kind: 'host-set', host: h1, name: 'first', labels: { rack: 'a' } })
  log.do({ kind: 'host-set', host: h1, labels: { rack: null } })
  log.do({ kind: 'host-addresses', host: h1, addresses: ['198.18.0.9:7946'] })
  log.do({ kind: 'host-join', token, host: aJoiner('h2', { member: memberId(22) }) })
  log.do({ kind: 'host-remove', host: hostId('h2') })
  expect(told(log, 0)).toEqual([
    'mesh.created | mesh lab | {"id":"mesh1","host":"h1"}',
    `token.created | token t | {"role":"host","uses":1,"expiresAt":${START_AT + HOUR_MS}}`,
    'host.joined | host h2 | {"id":"h2","member":2,"role":"host","token":"t"}',
    expect.stringMatching(/^token\.refused \| token t \| \{"host":"h3","name":"h3","reasons":\[\{"code":"token-used-up"/),
    'host.changed | host h1 | {"id":"h1","name":"first","labels":{"rack":"a"}}',
    'host.changed | host first | {"id":"h1","labels":{"rack":null}}',
    'host.moved | host first | {"id":"h1","before":["198.18.0.1:7946"],"after":["198.18.0.9:7946"]}',
    'host.replaced | host h2 | {"id":"h2","member":22,"before":2}',
    'host.removed | host h2 | {"id":"h2","member":22}',
  ])
})

it('datastores and disks', () => {
  const log = aMesh({ hosts: 2 })
  const from = log.now.index
  const data = datastoreId('data')
  log.do({ kind: 'datastore-add', id: data, name: 'data', path: '/srv/data' })
  log.do({ kind: 'disk-create', id: root, name: 'root', datastore: data, format: 'raw', sizeBytes: MIB, host: h1, job: jobId('j1') })
  log.do({ kind: 'disk-reassign', leaderTerm: 1, disk: root, to: hostId('h2') })
  log.do({ kind: 'disk-reassign', leaderTerm: 1, disk: root, to: h1 })
  log.do({ kind: 'disk-done', host: h1, disk: root, sizeBytes: MIB })
  log.do({ kind: 'disk-resize', id: root, sizeBytes: 2 * MIB, host: h1, job: jobId('j2') })
  log.do({ kind: 'disk-done', host: h1, disk: root, sizeBytes: 2 * MIB })
  log.do({ kind: 'disk-delete', id: root, host: h1, job: jobId('j3') })
  log.do({ kind: 'disk-failed', host: h1, disk: root, reason: 'busy' })
  log.do({ kind: 'disk-delete', id: root, host: h1, job: jobId('j4') })
  log.do({ kind: 'disk-done', host: h1, disk: root, sizeBytes: 0 })
  log.do({ kind: 'datastore-remove', id: data })
  const message = 'deleting disk root failed on h1: busy'
  const reasons = JSON.stringify([{ code: 'disk-failed', message, fix: 'mend the datastore, then ask again' }])
  expect(told(log, from)).toEqual([
    'datastore.added | datastore data | {"id":"data","path":"/srv/data"}',
    'disk.created | disk root | {"id":"root","datastore":"data","sizeBytes":1048576}',
    'disk.reassigned | disk root | {"id":"root","from":"h1","to":"h2"}',
    'disk.reassigned | disk root | {"id":"root","from":"h2","to":"h1"}',
    'disk.ready | disk root | {"id":"root","sizeBytes":1048576}',
    'disk.resized | disk root | {"id":"root","sizeBytes":2097152}',
    `disk.failed | disk root | {"id":"root","host":"h1","message":"${message}"}`,
    `job.failed | disk root | {"job":"j3","kind":"disk-delete","reasons":${reasons}}`,
    'disk.deleted | disk root | {"id":"root","datastore":"data"}',
    'datastore.removed | datastore data | {"id":"data"}',
  ])
})

it('a VM from its creation to its end', () => {
  const log = aMesh()
  const from = log.now.index
  log.do(someVm('web'))
  log.do({ kind: 'vm-set', vm: web, priority: 1 })
  log.do({ kind: 'vm-start', vm: web, job: jobId('j1') })
  log.do({ kind: 'vm-unplaceable', leaderTerm: 1, vm: web, reasons: [{ code: 'memory', message: 'no room' }] })
  log.assign('web', 'h1')
  log.observe('web', 'running')
  log.do({ kind: 'vm-pause', vm: web, job: jobId('j2') })
  log.observe('web', 'paused')
  log.do({ kind: 'vm-resume', vm: web, job: jobId('j3') })
  log.observe('web', 'running')
  log.do({ kind: 'vm-reboot', vm: web, force: true, job: jobId('j4') })
  log.do({ kind: 'job-done', host: h1, job: jobId('j4') })
  log.do({ kind: 'vm-shutdown', vm: web, job: jobId('j5') })
  log.do({ kind: 'vm-stop', vm: web, job: jobId('j6') })
  log.stop('web', 'off')
  log.do({ kind: 'vm-delete', vm: web, keepDisks: true, host: h1, job: jobId('j7') })
  expect(told(log, from)).toEqual([
    'vm.created | vm web | {"id":"web","vcpus":1,"memoryMiB":256}',
    'vm.changed | vm web | {"id":"web","changes":{"priority":1}}',
    'vm.start-requested | vm web | {"id":"web","job":"j1"}',
    'vm.unplaceable | vm web | {"id":"web","reasons":[{"code":"memory","message":"no room"}]}',
    'vm.assigned | vm web | {"id":"web","host":"h1","epoch":"1.1","reasons":[]}',
    'vm.started | vm web | {"id":"web","host":"h1","epoch":"1.1"}',
    'vm.pause-requested | vm web | {"id":"web","job":"j2"}',
    'vm.paused | vm web | {"id":"web","host":"h1","epoch":"1.1"}',
    'vm.resume-requested | vm web | {"id":"web","job":"j3"}',
    'vm.resumed | vm web | {"id":"web","host":"h1","epoch":"1.1"}',
    'vm.reboot-requested | vm web | {"id":"web","job":"j4"}',
    'vm.rebooted | vm web | {"id":"web","job":"j4"}',
    'vm.shutdown-requested | vm web | {"id":"web","job":"j5"}',
    'job.cancelled | vm web | {"job":"j5","kind":"vm-shutdown","why":"superseded by vm-stop"}',
    'vm.stop-requested | vm web | {"id":"web","job":"j6"}',
    'vm.stopped | vm web | {"id":"web","host":"h1","epoch":"1.1","reasons":[]}',
    'vm.deleted | vm web | {"id":"web","keptDisks":[]}',
  ])
})
