// Each alarm is raised by what it is about, by nothing else, and names what mends it.
import { describe, expect, it } from 'vitest'
import { alarmsOf } from '../../src/api/alarms.ts'
import { type Sight } from '../../src/api/shapes.ts'
import { type MemberStatus } from '../../src/inventory/cluster.ts'
import { type Load, NO_LOAD, RESERVE_MIB, type StoresLoad } from '../../src/inventory/load.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { aMesh, aMeshWithRunningVm, datastoreId, diskId, hostId, jobId, someVm, vmId } from '../fixture/inventory.ts'
import { aMember } from '../fixture/members.ts'

function sightOf(inventory: Inventory): Sight {
  return { inventory, load: NO_LOAD, liveness: new Map([...inventory.hosts.keys()].map((id) => [id, 'up'])), roles: new Map() }
}

function voters(...names: readonly string[]): readonly MemberStatus[] {
  return names.map((name) => aMember(name))
}

const fine = { quorum: 'ok', superseded: null, members: voters('h1', 'h2', 'h3') } as const

describe('alarms', () => {
  it('are none in a mesh that is well', () => {
    expect(alarmsOf(sightOf(aMeshWithRunningVm({ datastores: ['images'] }).now), fine)).toEqual([])
  })

  it('tell of a lost quorum', () => {
    expect(alarmsOf(sightOf(aMesh({ hosts: 3 }).now), { ...fine, quorum: 'lost' })).toMatchObject([
      { severity: 'critical', code: 'no-quorum' },
    ])
  })

  it('tell which host is the only voter of several', () => {
    const [alarm, ...more] = alarmsOf(sightOf(aMesh({ hosts: 2 }).now), { ...fine, members: voters('h1') })
    expect(alarm).toMatchObject({
      severity: 'warning',
      code: 'one-voter',
      message: expect.stringContaining('h1 is the only voter of 2 hosts'),
    })
    expect(more).toEqual([])
    expect(alarmsOf(sightOf(aMesh({ hosts: 1 }).now), { ...fine, members: voters('h1') })).toEqual([])
  })

  it('tell of each host that is not heard of, by name', () => {
    const sight = { ...sightOf(aMesh({ hosts: 3 }).now), liveness: new Map([[hostId('h2'), 'up' as const]]) }
    expect(alarmsOf(sight, fine).map(({ code, message }) => [code, message])).toEqual([
      ['host-suspect', 'host h1 is not heard of'],
      ['host-suspect', 'host h3 is not heard of'],
    ])
  })

  const stores = (h2: StoresLoad): Load => {
    const fresh = { receivedAtMs: 0, cpuPercent: 0, memoryUsedMiB: 0, datastoreFaults: new Map() }
    return { hosts: new Map([[hostId('h2'), { ...fresh, stores: h2 }]]), vms: new Map() }
  }
  const ofStores = (h2: StoresLoad, status: Parameters<typeof alarmsOf>[1] = fine): ReturnType<typeof alarmsOf> =>
    alarmsOf({ ...sightOf(aMesh({ hosts: 3 }).now), load: stores(h2) }, status)

  it('tell of a host that has too little room to lead, and of nobody who has enough or has not measured', () => {
    const message = `host h2 has ${RESERVE_MIB - 1} MiB free where it keeps the log of the mesh, ${RESERVE_MIB} MiB are needed to lead`
    const fix = 'make room on the disk of the data directory of h2'
    expect(ofStores({ freeMiB: RESERVE_MIB - 1, trouble: null })).toEqual([{ severity: 'warning', code: 'disk-full', message, fix }])
    for (const freeMiB of [RESERVE_MIB, null]) expect(ofStores({ freeMiB, trouble: null })).toEqual([])
  })

  it('tell of a member that takes no part as its disk fails, and why: no more of its room', () => {
    const message = 'host h2 takes no part: its disk failed, and is tried again: no space left on device'
    const fix = 'make room on the disk of the data directory of h2, or mend it'
    expect(ofStores({ freeMiB: 0, trouble: { kind: 'reopening', why: 'no space left on device' } })).toEqual([
      { severity: 'critical', code: 'disk-failing', message, fix },
    ])
  })

  it('tell of a member that needs repair: with a quorum to wait, without one what is left', () => {
    const damaged: StoresLoad = { freeMiB: 9_000, trouble: { kind: 'damaged', why: 'a checksum is wrong' } }
    const alarm = { severity: 'critical', code: 'needs-repair', message: 'host h2 needs repair: a checksum is wrong' }
    expect(ofStores(damaged)).toEqual([{ ...alarm, fix: 'wait: h2 comes back as a learner by itself' }])
    const fix = expect.stringContaining('hostmesh mesh recover --plan')
    expect(ofStores(damaged, { ...fine, quorum: 'lost' })).toContainEqual({ ...alarm, fix })
  })

  it('tell of versions that differ', () => {
    const { now } = aMesh({ hosts: 2 })
    const hosts = new Map(
      [...now.hosts].map(([id, host]) => [id, id === 'h2' ? { ...host, facts: { ...host.facts, version: '0.2.0' } } : host]),
    )
    expect(alarmsOf(sightOf({ ...now, hosts }), fine)).toMatchObject([
      { code: 'versions', message: expect.stringContaining('0.1.0, 0.2.0') },
    ])
  })

  it.each([
    ['off', 'warning'],
    ['restart', 'critical'],
  ] as const)('tell of a VM with ha=%s that was given up, as %s', (ha, severity) => {
    const log = aMesh()
    log.do(someVm('web', { ha }))
    log.do({ kind: 'vm-start', vm: vmId('web'), job: jobId('start') })
    log.assign('web', 'h1')
    log.stop('web', 'start-failed')
    expect(alarmsOf(sightOf(log.now), fine)).toMatchObject([{ severity, code: 'vm-start-failed', fix: 'hostmesh vm show web' }])
  })

  it('tell of a VM whose disk took no write', () => {
    const log = aMeshWithRunningVm()
    log.observe('web', 'io-error')
    expect(alarmsOf(sightOf(log.now), fine)).toMatchObject([
      { severity: 'critical', code: 'vm-io-error', fix: expect.stringContaining('vm resume web') },
    ])
  })

  it('tell of a disk that could not be made', () => {
    const log = aMesh({ datastores: ['images'] })
    const place = { datastore: datastoreId('images'), host: hostId('h1'), job: jobId('make') }
    log.do({ kind: 'disk-create', id: diskId('d1'), name: 'data', ...place, format: 'raw', sizeBytes: 1024 ** 2 })
    log.do({ kind: 'disk-failed', host: hostId('h1'), disk: diskId('d1'), reason: 'no space' })
    expect(alarmsOf(sightOf(log.now), fine)).toMatchObject([{ code: 'disk-failed', message: 'disk data is unusable: no space' }])
  })

  it('tell which host cannot use which datastore, as long as there is such a datastore', () => {
    const { now } = aMesh({ hosts: 2, datastores: ['images'] })
    const datastoreFaults = new Map([
      [datastoreId('images'), 'stale file handle'],
      [datastoreId('gone'), 'not mounted'],
    ])
    const load = {
      ...NO_LOAD,
      hosts: new Map([
        [hostId('h2'), { receivedAtMs: 0, cpuPercent: 0, memoryUsedMiB: 0, datastoreFaults, stores: { freeMiB: 4096, trouble: null } }],
      ]),
    }
    expect(alarmsOf({ ...sightOf(now), load }, fine)).toMatchObject([
      { code: 'datastore', message: 'host h2 cannot use datastore images: stale file handle' },
    ])
  })

  it('begin with what is critical', () => {
    const log = aMeshWithRunningVm()
    log.observe('web', 'io-error')
    const sight = { ...sightOf(log.now), liveness: new Map([[hostId('h1'), 'up' as const]]) }
    expect(alarmsOf(sight, fine).map(({ severity }) => severity)).toEqual(['critical', 'warning', 'warning'])
  })
})
