// The invariants can fail: each is shown a state that breaks it, and names what is broken.
import { describe, expect, it } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { check } from '../../src/inventory/check.ts'
import { EMPTY, EVENTS_KEPT, type Inventory } from '../../src/inventory/inventory.ts'
import { ENDED_JOBS_KEPT } from '../../src/inventory/jobs.ts'
import { type Disk, type Event, type Host, type Job, type RequestRecord, type Vm } from '../../src/inventory/model.ts'
import { REQUESTS_KEPT } from '../../src/inventory/requests.ts'
import {
  aMeshWithRunningVm,
  datastoreId,
  diskId,
  hostId,
  jobId,
  memberId,
  requestKey,
  someVm,
  tokenId,
  vmId,
} from '../fixture/inventory.ts'

/** Two VMs, web runs on h1 and has disk root; a disk of nobody, a token, an open job. */
function sound(): Inventory {
  const log = aMeshWithRunningVm({ hosts: 2, datastores: ['data'] })
  const disk = {
    kind: 'new',
    id: diskId('root'),
    name: 'root',
    datastore: datastoreId('data'),
    format: 'raw',
    sizeBytes: 1_048_576,
  } as const
  log.do(someVm('db', { disks: [disk] }))
  log.do({ ...disk, kind: 'disk-create', id: diskId('spare'), name: 'spare', host: hostId('h1'), job: jobId('make') })
  log.do({ kind: 'vm-pause', vm: vmId('web'), job: jobId('pause') })
  return log.now
}

const base = sound()
const web = present(base.vms.get(vmId('web')), 'web')
const db = present(base.vms.get(vmId('db')), 'db')
const h1 = present(base.hosts.get(hostId('h1')), 'h1')
const h2 = present(base.hosts.get(hostId('h2')), 'h2')
const root = present(base.disks.get(diskId('root')), 'root')
const spare = present(base.disks.get(diskId('spare')), 'spare')
const pause = present(base.jobs.get(jobId('pause')), 'pause')
const start = present(base.jobs.get(jobId('start')), 'start')
const token = present(base.tokens.get(tokenId('token-h2')), 'token')
const event = present(base.events.at(-1), 'event')

const vm = (row: Vm, changes: Partial<Vm>): Partial<Inventory> => ({ vms: new Map(base.vms).set(row.id, { ...row, ...changes }) })
const host = (row: Host, changes: Partial<Host>): Partial<Inventory> => ({ hosts: new Map(base.hosts).set(row.id, { ...row, ...changes }) })
const disk = (row: Disk, changes: Partial<Disk>): Partial<Inventory> => ({ disks: new Map(base.disks).set(row.id, { ...row, ...changes }) })
const job = (row: Job, changes: Partial<Job>): Partial<Inventory> => ({ jobs: new Map(base.jobs).set(row.id, { ...row, ...changes }) })
const owner = present(web.owner, 'owner of web')
const without = <K, V>(table: ReadonlyMap<K, V>, key: K) => new Map([...table].filter(([other]) => other !== key))
const request = (index: number): RequestRecord => ({
  key: requestKey(`k${index}`),
  at: 1,
  index,
  fingerprint: '',
  result: { kind: 'done', value: {} },
})

it('a sound state has no faults, nor has an empty one', () => {
  expect(check(base)).toEqual([])
  expect(check(EMPTY)).toEqual([])
})

const open = (kind: Job['kind'], changes: Partial<Vm>): Partial<Inventory> => ({ ...vm(web, changes), ...job(pause, { kind }) })

const BROKEN: readonly (readonly [string, Partial<Inventory>, RegExp])[] = [
  [
    'a row under another key',
    { vms: new Map([...base.vms, [vmId('zz'), { ...db, id: vmId('other'), name: 'other', spec: { ...db.spec, disks: [] } }]]) },
    /row other stands under key zz/,
  ],
  ['a table out of order', { hosts: new Map([...base.hosts].reverse()) }, /hosts: row h1 is out of order/],
  ['two VMs of one name', vm(db, { name: 'web' }), /two are named vm web/],
  ['two hosts of one name', host(h2, { name: 'h1' }), /two are named host h1/],
  ['two disks of one name on one datastore', disk(spare, { name: 'root' }), /two are named disk data\/root/],
  [
    'two datastores of one name',
    {
      datastores: new Map(base.datastores).set(datastoreId('e'), {
        id: datastoreId('e'),
        name: 'data',
        kind: 'dir',
        path: '/x',
        addedAt: 1,
      }),
    },
    /two are named datastore data/,
  ],
  ['two hosts of one member', host(h2, { member: memberId(1) }), /two hosts are member 1/],
  ['hosts without a mesh', { mesh: null, vms: new Map() }, /2 hosts without a mesh/],
  ['a mesh without hosts', { ...EMPTY, mesh: base.mesh }, /a mesh without hosts/],
  ['an owner that is no host', vm(web, { owner: { ...owner, host: hostId('h9') } }), /vm web: its owner h9 is no host/],
  ['an owner that is a witness', host(h1, { role: 'witness' }), /vm web: its owner h1 is a witness/],
  ['an owner of an old epoch', vm(web, { lastEpoch: { generation: 1, counter: 2 } }), /vm web is owned under another epoch/],
  ['an epoch of the future', vm(db, { lastEpoch: { generation: 2, counter: 1 } }), /vm db has an epoch of a generation yet to come/],
  ['an observation without owner', vm(web, { owner: null }), /vm web is observed under an epoch that nobody owns/],
  [
    'an observation of another epoch',
    vm(web, { observed: { epoch: { generation: 1, counter: 9 }, status: 'running', since: 1 } }),
    /vm web is observed/,
  ],
  [
    'an unwanted run that goes on',
    vm(web, { desired: { power: 'off', how: 'stop' } }),
    /vm web is wanted off, but its run is not asked to end/,
  ],
  ['a fault of a VM that runs', vm(web, { fault: { kind: 'crash', reasons: [], at: 1 } }), /vm web runs, and yet bears the fault crash/],
  [
    'a start of a VM that is not wanted on',
    open('vm-start', { desired: { power: 'off', how: 'stop' }, owner: null, observed: null }),
    /waits for nothing/,
  ],
  [
    'a reboot of a VM that is not wanted on',
    open('vm-reboot', { desired: { power: 'off', how: 'stop' }, owner: null, observed: null }),
    /waits for nothing/,
  ],
  ['a shutdown of a run that nobody asked to end', open('vm-shutdown', {}), /job pause \(vm-shutdown of web\) waits for nothing/],
  ['a stop of a run that has ended', open('vm-stop', { owner: null, observed: null }), /waits for nothing/],
  ['a pause of a run that is asked to end', open('vm-pause', { owner: { ...owner, ending: 'stop' } }), /waits for nothing/],
  ['a resume of a run that has ended', open('vm-resume', { owner: null, observed: null }), /waits for nothing/],
  ['a job of the wrong kind', open('disk-create', {}), /waits for nothing/],
  ['a disk that belongs to a VM which lacks it', disk(spare, { vm: vmId('web') }), /disk spare belongs to vm web, which does not have it/],
  ['a disk of a VM that is gone', { vms: without(base.vms, db.id) }, /disk root belongs to vm db/],
  ['a VM with a disk that is not its own', disk(root, { vm: null }), /vm db has disk root, which is not its own/],
  ['a VM with a disk that is going', disk(root, { state: { kind: 'deleting', host: hostId('h1') } }), /vm db has disk root/],
  ['a disk attached twice', vm(web, { spec: { ...web.spec, disks: [diskId('root')] } }), /disk root is attached twice/],
  ['a disk on no datastore', { datastores: new Map() }, /disk root is on no datastore/],
  [
    'file work of nobody',
    disk(spare, { state: { kind: 'creating', host: hostId('h9') } }),
    /disk spare is creating on h9, which is no host/,
  ],
  ['an open job of a VM that is gone', job(pause, { object: { kind: 'vm', id: vmId('gone') } }), /job pause \(vm-pause\) works on gone/],
  ['an open job of a disk that is gone', { disks: without(base.disks, spare.id) }, /job make \(disk-create\) works on spare/],
  ['a deletion without disks to delete', job(pause, { kind: 'vm-delete' }), /job pause \(vm-delete\)/],
  ['two open jobs of one object', job({ ...pause, id: jobId('q') }, {}), /two jobs work on web/],
  ['an ended job that is open', job(start, { endedAt: null }), /job start is done, ended at null/],
  ['an open job that has ended', job(pause, { endedAt: 5 }), /job pause is waiting, ended at 5/],
  ['a failure without reasons', job(start, { phase: 'failed' }), /job start is failed with error null/],
  ['an error of a job that is done', job(start, { error: { code: 'failed', message: '', reasons: [] } }), /job start is done with error/],
  [
    'a token used too often',
    { tokens: new Map(base.tokens).set(token.id, { ...token, usedBy: [h1.id, h2.id] }) },
    /token token-h2 was used 2 of 1 times/,
  ],
  [
    'a token that counts a host twice',
    { tokens: new Map(base.tokens).set(token.id, { ...token, uses: 5, usedBy: [h2.id, h2.id] }) },
    /token token-h2 counts host h2 twice/,
  ],
  ['events out of order', { events: [...base.events, { ...event, index: 1 }] }, /event vm.pause-requested of entry 1 is out of order/],
  ['an event twice', { events: [...base.events, event] }, /is out of order/],
  ['an event of the future', { events: [...base.events, { ...event, index: base.index + 1 }] }, /event vm.pause-requested is of entry/],
  [
    'requests out of order',
    { requests: new Map([2, 1].map((index) => [request(index).key, request(index)])) },
    /request of entry 1 is out of order/,
  ],
  ['a request of the future', { requests: new Map([[request(999).key, request(999)]]) }, /request of entry 999/],
  ['a setting that does not exist', { settings: { nonsense: 1 } }, /setting nonsense does not exist/],
]

describe('is found:', () => {
  it.each(BROKEN)('%s', (_what, changes, fault) => {
    expect(check({ ...base, ...changes }).join('\n')).toMatch(fault)
  })
})

describe('is allowed:', () => {
  it('a disk that names its deleted VM while it is being deleted', () => {
    const disks = new Map(base.disks).set(root.id, { ...root, state: { kind: 'deleting', host: hostId('h1') } })
    expect(check({ ...base, disks, vms: without(base.vms, db.id) })).toEqual([])
  })

  it('a table that is full, and not a row more', () => {
    const index = 1_000_000
    const events = (count: number): readonly Event[] => Array.from({ length: count }, (_, at) => ({ ...event, index: at + 1, ordinal: 0 }))
    const requests = (count: number) => new Map(Array.from({ length: count }, (_, at) => [request(at + 1).key, request(at + 1)]))
    const ended = (at: number): Job => ({ ...start, id: jobId(`x${String(at).padStart(6, '0')}`) })
    const jobs = (count: number) => new Map([pause, ...Array.from({ length: count }, (_, at) => ended(at))].map((one) => [one.id, one]))
    const full = { ...base, index, events: events(EVENTS_KEPT), requests: requests(REQUESTS_KEPT), jobs: jobs(ENDED_JOBS_KEPT) }
    expect(check(full)).toEqual([])
    expect(check({ ...full, events: events(EVENTS_KEPT + 1) })).toEqual(['2001 events are kept, at most 2000 may be'])
    expect(check({ ...full, requests: requests(REQUESTS_KEPT + 1) })).toEqual(['10001 requests are kept, at most 10000 may be'])
    expect(check({ ...full, jobs: jobs(ENDED_JOBS_KEPT + 1) })).toEqual(['1001 ended jobs are kept, at most 1000 may be'])
  })
})
