// What commands print: tables for people as they are, JSON for scripts with the promised keys.
import { describe, expect, it } from 'vitest'
import { NO_LOAD } from '../../src/inventory/load.ts'
import { aMesh, aMeshWithRunningVm, datastoreId, diskId, hostId, jobId, someVm, vmId } from '../fixture/inventory.ts'
import { fakeAgent } from '../api/fake-agent.ts'
import { hostmesh, type RunWishes } from './cli-run.ts'

function inventory() {
  const log = aMeshWithRunningVm({ datastores: ['images'] })
  log.do(
    someVm('db', {
      memoryMiB: 2048,
      vcpus: 4,
      ha: 'restart',
      cdrom: 'images/debian.iso',
      boot: { kernel: 'images/vmlinuz', initrd: null, append: 'quiet' },
    }),
  )
  const place = { datastore: datastoreId('images'), host: hostId('h1'), job: jobId('make') }
  log.do({ kind: 'disk-create', id: diskId('d1'), name: 'data', ...place, format: 'raw', sizeBytes: 10 * 1024 ** 3 })
  return log.now
}

const load = () => ({
  hosts: new Map([
    [
      hostId('h1'),
      { receivedAtMs: 0, cpuPercent: 12.3, memoryUsedMiB: 2048, datastoreFaults: new Map(), stores: { freeMiB: 4096, trouble: null } },
    ],
  ]),
  vms: new Map([[vmId('web'), { cpuMHz: 340, residentMiB: 200, uptimeS: 3725 }]]),
})

async function run(line: string, wishes: RunWishes = {}) {
  const agent = await fakeAgent({ inventory: inventory(), changes: { load } })
  return hostmesh(line.split(' '), { socketPath: agent.socketPath, ...wishes })
}

async function lines(line: string): Promise<readonly string[]> {
  const { code, out, err } = await run(line)
  expect([code, err]).toEqual([0, ''])
  return out.trimEnd().split('\n')
}

describe('tables', () => {
  it('status is the mesh on one screen', async () => {
    expect(await lines('status')).toEqual([
      'mesh:      lab (seen from h1)',
      'quorum:    ok, led by h1, term 1, index 14',
      'hosts:     3 of 3 up',
      'VMs:       1 of 2 running',
      'survives:  the loss of 1 more voter',
      'alarms:    none',
    ])
  })

  it('vm list', async () => {
    expect(await lines('vm list')).toEqual([
      'VM   STATE    HOST  VCPUS   MEMORY      CPU  UPTIME  HA',
      'db   off      -         4    2 GiB        -       -  restart',
      'web  running  h1        1  256 MiB  340 MHz   1h 2m  off',
    ])
  })

  it('vm show', async () => {
    expect(await lines('vm show db')).toEqual([
      'VM:       db',
      'id:       db',
      'state:    off',
      'vCPUs:    4, CPU mesh-baseline',
      'memory:   2 GiB',
      'machine:  pc-q35-10.0, bios',
      'kernel:   images/vmlinuz',
      'append:   quiet',
      'CD-ROM:   images/debian.iso',
      'HA:       restart, priority 2',
      'DRS:      auto',
      'created:  2026-11-25 00:00:13',
    ])
    expect(await lines('vm show web')).toEqual(
      expect.arrayContaining(['host:     h1, epoch 1.1', 'uptime:   1h 2m', 'vCPUs:    1, CPU mesh-baseline, 340 MHz in use']),
    )
  })

  it('host list and host show', async () => {
    expect(await lines('host list')).toEqual([
      'HOST  STATE  RAFT    CORES   CPU  MEMORY  USED  VMS  ADDRESS          VERSION',
      'h1    up     leader      4  12 %   8 GiB  25 %    1  198.18.0.1:7946  0.1.0',
      'h2    up     voter       4     -   8 GiB     -    0  198.18.0.2:7946  0.1.0',
      'h3    up     voter       4     -   8 GiB     -    0  198.18.0.3:7946  0.1.0',
    ])
    expect(await lines('host show h1')).toEqual(
      expect.arrayContaining([
        'CPU:        4 cores of 3.0 GHz, Test CPU (x86-64-v1), 12 % in use',
        'QEMU:       10.0.2 with tcg, up to pc-q35-10.0',
      ]),
    )
  })

  it('mesh status, members and leader', async () => {
    expect(await lines('mesh leader')).toEqual(['h1'])
    const members = [
      'HOST  ROLE    ZONE  ACTIVE  STORES  MATCH  LAG  LINK  ADDRESS  RTT',
      'h1    leader  -     yes     ok         14    0  -     -          -',
      'h2    voter   -     yes     -          14    0  -     -          -',
      'h3    voter   -     yes     -          14    0  -     -          -',
      '',
      '3 voters, survives the loss of 1 more voter',
    ]
    expect(await lines('mesh members')).toEqual(members)
    expect(await lines('mesh status')).toEqual([
      'mesh:       lab (mesh1), generation 1',
      'seen from:  h1',
      'quorum:     ok',
      'leader:     h1, term 1',
      'log:        entries 1 to 14, committed 14, applied 14',
      '',
      ...members,
    ])
  })

  it('datastore, disk, job and token', async () => {
    expect(await lines('datastore list')).toEqual(['DATASTORE  KIND  DISKS  PATH', 'images     dir       1  /srv/images'])
    expect(await lines('datastore show images')).toEqual(expect.arrayContaining(['path:       /srv/images']))
    expect(await lines('disk list')).toEqual([
      'DISK         STATE       SIZE  FORMAT  VM  ERROR',
      'images/data  creating  10 GiB  raw     -',
    ])
    expect(await lines('disk list --datastore images')).toHaveLength(2)
    expect(await lines('job list --open')).toEqual([
      'JOB   KIND         OBJECT  PHASE    %  STARTED              STEP',
      'make  disk-create  data    waiting  0  2026-11-25 00:00:14  on h1',
    ])
    expect(await lines('job show make')).toEqual(expect.arrayContaining(['object:   disk data (d1)', 'phase:    waiting, 0 %']))
    expect((await lines('token list'))[1]).toBe('token-h2  used-up  host  1 of 1  2026-11-26 00:00:00  h2')
  })

  it('events and settings', async () => {
    expect((await lines('event list --object web --type vm.started'))[0]).toBe(
      '2026-11-25 00:00:12      12  vm.started            vm web  by admin@h1  epoch=1.1 host=h1 id=web',
    )
    expect(await lines('config get placement.memory-reserve-mib')).toEqual(['512'])
    expect((await lines('config list'))[1]).toMatch(/^vm\.shutdown-timeout-s +90 +90 {2}Seconds/)
  })

  it('why-not tells every reason, or that there is none', async () => {
    expect(await lines('why-not vm web h2')).toEqual(['nothing keeps VM web from h2'])
    const agent = await fakeAgent({ inventory: inventory(), changes: { liveness: () => new Map() } })
    const { out, code } = await hostmesh(['why-not', 'vm', 'web', 'h2'], { socketPath: agent.socketPath })
    expect([code, out]).toEqual([0, 'VM web cannot run on h2:\n  - liveness: h2 is not heard of\n    mend: bring h2 or its network back\n'])
  })

  it('the console log is the guest, byte for byte', async () => {
    expect((await run('vm console web --log')).out).toBe('boot\r\nlogin: ')
    expect((await run('vm console web --log --bytes 7')).out).toBe('login: ')
  })

  it('are colored on a terminal only', async () => {
    expect((await run('vm list', { terminal: true })).out).toContain('\x1b[32mrunning\x1b[39m')
    expect((await run('vm list --no-color', { terminal: true })).out).not.toContain('\x1b')
    expect((await run('vm list', { terminal: true, env: { NO_COLOR: '1' } })).out).not.toContain('\x1b')
    expect((await run('vm list')).out).not.toContain('\x1b')
  })
})

describe('JSON', () => {
  const keysOf = async (line: string): Promise<readonly string[]> => {
    const { out, code } = await run(`${line} -o json`)
    expect(code).toBe(0)
    const json: unknown = JSON.parse(out)
    const first: unknown = Array.isArray(json) ? json[0] : json
    return Object.keys(first as object)
  }

  it.each([
    ['status', 'mesh self leader term commitIndex appliedIndex quorum stale hosts vms survives alarms'],
    ['host list', 'id name state raft addresses cpu memoryMiB usage vms version'],
    ['vm list', 'id name state desired owner vcpus memoryMiB ha drs disks nics usage uptimeS'],
    ['vm show web', 'id name state desired owner vcpus memoryMiB ha drs disks nics usage uptimeS'],
    ['job show make', 'id kind object phase percent startedAt endedAt error'],
    ['event list', 'index time type object actor reason data'],
  ])('of %s has the keys that scripts rely on', async (line, keys) => {
    expect(await keysOf(line)).toEqual(expect.arrayContaining(keys.split(' ')))
  })

  it.each([
    'mesh status',
    'mesh members',
    'mesh leader',
    'host show h1',
    'token list',
    'datastore list',
    'datastore show images',
    'disk list',
    'job list',
    'config list',
    'config get vm.shutdown-timeout-s',
    'why-not vm web h2',
    'version',
    'vm console web --log',
  ])('of %s is JSON and nothing else', async (line) => {
    expect(await keysOf(line)).not.toEqual([])
  })

  it('is asked for before the noun too', async () => {
    const agent = await fakeAgent()
    const { out } = await hostmesh(['--socket', agent.socketPath, '-o', 'json', 'mesh', 'leader'])
    expect(JSON.parse(out)).toEqual({ leader: { id: 'h1', name: 'h1' }, term: 1 })
  })
})

describe('without a quorum', () => {
  it('a read still prints, is marked as stale with its age, and ends with 5', async () => {
    const agent = await fakeAgent({ inventory: aMesh({ hosts: 3 }).now })
    agent.mesh.lead(null)
    const table = await hostmesh(['host', 'list'], { socketPath: agent.socketPath })
    expect(table.code).toBe(5)
    expect(table.out.split('\n')).toHaveLength(5)
    expect(table.err).toBe('stale: no leader confirmed it; this is what the host knew 1s ago or longer\n')
    const json = await hostmesh(['status', '-o', 'json'], { socketPath: agent.socketPath })
    expect(json.code).toBe(5)
    expect(JSON.parse(json.out)).toMatchObject({ quorum: 'lost', leader: null, stale: { ageMs: 1000 }, alarms: [{ code: 'no-quorum' }] })
  })

  it('the status says what is wrong, and what mends it', async () => {
    const agent = await fakeAgent({ changes: { load: () => NO_LOAD } })
    agent.mesh.lead(null)
    const { out } = await hostmesh(['status'], { socketPath: agent.socketPath })
    expect(out).toContain('critical: the mesh has no quorum')
    expect(out).toContain('mend: hostmesh mesh status')
    expect(out).toContain('survives:  no further loss of a voter')
  })
})

describe('the version', () => {
  it('names the agent where there is one, and does without', async () => {
    expect(await lines('version')).toEqual(['hostmesh 0.1.0, agent of h1 0.1.0'])
    const alone = await hostmesh(['version'], { socketPath: '/nonexistent/s' })
    expect(alone).toEqual({ code: 0, out: 'hostmesh 0.1.0\n', err: '' })
  })
})
