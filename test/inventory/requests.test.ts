// Idempotency: a person's command under one key is carried out once, whoever asks again and however often.
import { describe, expect, it } from 'vitest'
import { type AdminCommand } from '../../src/inventory/command.ts'
import { fingerprint, REQUEST_KEPT_MS, REQUESTS_KEPT } from '../../src/inventory/requests.ts'
import { aMesh, datastoreId, diskId, hostId, jobId, requestKey, someVm, START_AT, TestLog, tokenId, vmId } from '../fixture/inventory.ts'

const key = requestKey('key-1')

describe('a request key', () => {
  it('that comes again with the same command gets the same answer, and nothing happens twice', () => {
    const log = aMesh()
    const first = log.try(someVm('web'), { key })
    const { vms, events } = log.now
    expect(log.try(someVm('web'), { key })).toEqual(first)
    expect(first).toEqual({ kind: 'done', value: { id: 'web' } })
    expect(log.now.vms).toBe(vms)
    expect(log.now.events).toBe(events)
    expect(log.steps.at(-1)?.changes).toEqual([])
  })

  it('keeps a refusal as well: what was refused once is not done later under the same key', () => {
    const log = aMesh()
    const first = log.try({ kind: 'vm-start', vm: vmId('web'), job: jobId('j1') }, { key })
    log.do(someVm('web'))
    expect(first).toMatchObject({ kind: 'refused', code: 'not-found' })
    expect(log.try({ kind: 'vm-start', vm: vmId('web'), job: jobId('j1') }, { key })).toEqual(first)
    expect(log.vm('web').desired.power).toBe('off')
  })

  it('is the same wish through another host, which chooses other ids', () => {
    const log = aMesh({ hosts: 2 })
    const first = log.try(someVm('web', { id: vmId('id-1'), host: hostId('h1') }), { key })
    const second = log.try(someVm('web', { id: vmId('id-2'), host: hostId('h2') }), { key })
    expect(second).toEqual(first)
    expect([...log.now.vms.keys()]).toEqual(['id-1'])
  })

  it('with another command is a conflict that changes nothing', () => {
    const log = aMesh()
    log.do(someVm('web'), { key })
    const result = log.try(someVm('db'), { key })
    expect(result).toMatchObject({ kind: 'refused', code: 'conflict', reasons: [{ code: 'request-key-reused' }] })
    expect([...log.now.vms.keys()]).toEqual(['web'])
  })

  it('is kept for ten minutes of the log and then is new', () => {
    const log = aMesh()
    log.do(someVm('web'), { key, at: START_AT + 1_000_000 })
    const again = { key, at: START_AT + 1_000_000 + REQUEST_KEPT_MS - 1 }
    expect(log.try(someVm('web'), again).kind).toBe('done')
    const late = log.try(someVm('web'), { key, at: START_AT + 1_000_000 + REQUEST_KEPT_MS })
    expect(late).toMatchObject({ kind: 'refused', code: 'refused' })
    expect(log.now.requests.get(key)?.result).toEqual(late)
  })

  it('goes with its row when another request finds it too old', () => {
    const log = aMesh()
    log.do(someVm('web'), { key, at: START_AT + 1_000_000 })
    log.do(someVm('db'), { key: requestKey('key-2'), at: START_AT + 1_000_000 + REQUEST_KEPT_MS })
    expect([...log.now.requests.keys()]).toEqual(['key-2'])
    expect(log.steps.at(-1)?.changes).toContainEqual({ table: 'requests', key, row: undefined })
  })
})

it(`at most ${REQUESTS_KEPT} answers are kept, the oldest go first`, () => {
  const requests = new Map(
    Array.from({ length: REQUESTS_KEPT }, (_, at) => {
      const old = requestKey(`old-${String(at).padStart(5, '0')}`)
      return [old, { key: old, at: START_AT, index: at + 1, fingerprint: '', result: { kind: 'done', value: {} } as const }]
    }),
  )
  const crowded = new TestLog({ ...aMesh().now, index: REQUESTS_KEPT + 1, requests })
  crowded.do(someVm('web'), { key, at: START_AT + 1 })
  expect(crowded.now.requests.size).toBe(REQUESTS_KEPT)
  expect(crowded.now.requests.has(requestKey('old-00000'))).toBe(false)
  expect(crowded.now.requests.has(requestKey('old-00001'))).toBe(true)
  expect([...crowded.now.requests.keys()].at(-1)).toBe(key)
})

describe('the fingerprint of a wish', () => {
  const job = jobId('j1')
  const host = hostId('h1')
  const disk = { kind: 'new', id: diskId('d1'), name: 'root', datastore: datastoreId('s'), format: 'raw', sizeBytes: 1 } as const
  const token = { kind: 'token-create', id: tokenId('t1'), publicKey: 'a', role: 'host', uses: 1, expiresAt: 1 } as const
  const pairs: readonly (readonly [string, AdminCommand, AdminCommand])[] = [
    [
      'ids of a VM and its disks',
      someVm('web', { disks: [disk] }),
      someVm('web', { id: vmId('x'), disks: [{ ...disk, id: diskId('x') }] }),
    ],
    ['the machine type of its maker', someVm('web'), someVm('web', { machineType: 'pc-q35-9.2' })],
    ['the job of its start', someVm('web', { startJob: job }), someVm('web', { startJob: jobId('x') })],
    ['the job of a verb', { kind: 'vm-start', vm: vmId('web'), job }, { kind: 'vm-start', vm: vmId('web'), job: jobId('x') }],
    [
      'who does file work',
      { kind: 'disk-delete', id: diskId('d'), host, job },
      { kind: 'disk-delete', id: diskId('d'), host: hostId('x'), job: jobId('x') },
    ],
    ['id, key and end of a token', token, { ...token, id: tokenId('x'), publicKey: 'b', expiresAt: 2 }],
    [
      'the id of a datastore',
      { kind: 'datastore-add', id: datastoreId('s1'), name: 's', path: '/s' },
      { kind: 'datastore-add', id: datastoreId('s2'), name: 's', path: '/s' },
    ],
    [
      'the id of a disk',
      { ...disk, kind: 'disk-create', host, job },
      { ...disk, kind: 'disk-create', id: diskId('x'), host: hostId('x'), job: jobId('x') },
    ],
  ]
  it.each(pairs)('does not see %s', (_what, one, other) => expect(fingerprint(one)).toBe(fingerprint(other)))

  const differences: readonly (readonly [string, AdminCommand, AdminCommand])[] = [
    ['the verb', { kind: 'vm-start', vm: vmId('web'), job }, { kind: 'vm-stop', vm: vmId('web'), job }],
    ['the VM', { kind: 'vm-start', vm: vmId('web'), job }, { kind: 'vm-start', vm: vmId('db'), job }],
    ['whether it is to start', someVm('web'), someVm('web', { startJob: job })],
    ['its memory', someVm('web'), someVm('web', { memoryMiB: 512 })],
    [
      'which existing disk',
      someVm('web', { disks: [{ kind: 'existing', disk: diskId('a') }] }),
      someVm('web', { disks: [{ kind: 'existing', disk: diskId('b') }] }),
    ],
    ['the host that is removed', { kind: 'host-remove', host }, { kind: 'host-remove', host: hostId('h2') }],
    [
      'the size of a disk',
      { kind: 'disk-resize', id: diskId('d'), sizeBytes: 1, host, job },
      { kind: 'disk-resize', id: diskId('d'), sizeBytes: 2, host, job },
    ],
    [
      'whether disks stay',
      { kind: 'vm-delete', vm: vmId('web'), keepDisks: true, host, job },
      { kind: 'vm-delete', vm: vmId('web'), keepDisks: false, host, job },
    ],
    ['force', { kind: 'vm-reboot', vm: vmId('web'), force: true, job }, { kind: 'vm-reboot', vm: vmId('web'), force: false, job }],
    ['the uses of a token', token, { ...token, uses: 2 }],
  ]
  it.each(differences)('sees %s', (_what, one, other) => expect(fingerprint(one)).not.toBe(fingerprint(other)))

  it('does not depend on the order of fields', () => {
    const { kind, ...rest } = someVm('web')
    expect(fingerprint({ ...rest, kind })).toBe(fingerprint(someVm('web')))
  })
})
