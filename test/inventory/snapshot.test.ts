// Rows as bytes: equal states, equal bytes; whatever does not fit is not read.
import { describe, expect, it } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { canonicalJson } from '../../src/inventory/canonical-json.ts'
import { EMPTY, type Inventory } from '../../src/inventory/inventory.ts'
import { decodeRow, encodeRow, FORMAT_VERSION, fromRows, rowKey, toRows } from '../../src/inventory/snapshot.ts'
import { stateText } from '../fixture/state-text.ts'
import { aMesh, aMeshWithRunningVm, datastoreId, diskId, hostId, jobId, requestKey, someVm, vmId } from '../fixture/inventory.ts'

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

/** Every table has a row. */
function full(): Inventory {
  const log = aMeshWithRunningVm({ datastores: ['data'] })
  log.do({ kind: 'config-set', key: 'vm.shutdown-timeout-s', value: 30 })
  const disk = { kind: 'new', id: diskId('d'), name: 'd', datastore: datastoreId('data'), format: 'qcow2', sizeBytes: 1_048_576 } as const
  const boot = { kernel: 'data/vmlinuz', initrd: null, append: 'quiet' }
  log.do(someVm('db', { disks: [disk], startJob: jobId('j'), cdrom: 'data/x.iso', boot }), { key: requestKey('k1') })
  log.do({ kind: 'disk-failed', host: hostId('h1'), disk: diskId('d'), reason: 'no space' })
  log.try(someVm('db'), { key: requestKey('k2') })
  log.do({ kind: 'host-set', host: hostId('h2'), labels: { b: '2', a: '1' } })
  log.do({ kind: 'vm-shutdown', vm: vmId('web'), job: jobId('s') }, { reason: 'night' })
  return log.now
}

const state = full()

describe('rows', () => {
  it('of equal states are equal to the byte and in the same order, whatever their histories', () => {
    const other = { ...fromRows(toRows(state), state.index), settings: Object.fromEntries(Object.entries(state.settings).reverse()) }
    expect(stateText(other)).toBe(stateText(state))
    expect(fromRows(toRows(EMPTY), 0)).toEqual(EMPTY)
  })

  it('make the state again, in whatever order they come', () => {
    const rows = toRows(state)
    expect(fromRows(rows, state.index)).toEqual(state)
    const back = fromRows(new Map([...rows].reverse()), state.index)
    expect(back).toEqual(state)
    expect([...back.requests.keys()]).toEqual(['k1', 'k2'])
    expect([...back.hosts.keys()]).toEqual(['h1', 'h2', 'h3'])
    expect(back.events.map(({ index }) => index)).toEqual(state.events.map(({ index }) => index))
  })

  it('of every table there is one, under a key of its own', () => {
    const tables = new Set([...toRows(state).keys()].map((key) => key.split('/')[0]))
    expect(tables).toEqual(new Set(['datastores', 'disks', 'events', 'hosts', 'jobs', 'mesh', 'requests', 'settings', 'tokens', 'vms']))
  })

  it('are keyed by table and id, events so that they sort like their entries', () => {
    const keys = [...toRows(state).keys()]
    expect(keys).toContain('vms/web')
    expect(keys).toContain('settings/vm.shutdown-timeout-s')
    const ofEvents = keys.filter((key) => key.startsWith('events/'))
    expect(ofEvents[0]).toBe('events/0000000000000001.0000')
    expect([...ofEvents].sort()).toEqual(ofEvents)
  })

  it('come back as they went, and a row that is gone has no value', () => {
    const change = { table: 'settings', key: 'vm.shutdown-timeout-s', row: 30 } as const
    const value = encodeRow(change)
    expect(value && decodeRow(rowKey(change), value)).toEqual(change)
    expect(encodeRow({ ...change, row: undefined })).toBeUndefined()
  })

  it('of a newer format or of an unknown table stop the member', () => {
    expect(() => decodeRow('vms/web', bytes({ v: FORMAT_VERSION + 1, row: {} }))).toThrow(BugError)
    expect(() => decodeRow('networks/lan', bytes({ v: FORMAT_VERSION, row: {} }))).toThrow(BugError)
    expect(() => decodeRow('toString/x', bytes({ v: FORMAT_VERSION, row: {} }))).toThrow(BugError)
  })

  it('with a field too many or too few are not read', () => {
    const vm = state.vms.get(vmId('web'))
    expect(() => decodeRow('vms/web', bytes({ v: 1, row: { ...vm, colour: 'red' } }))).toThrow(/vms\/web\.colour must be absent/)
    expect(() => decodeRow('vms/web', bytes({ v: 1, row: { ...vm, crashes: undefined } }))).toThrow(
      /vms\/web\.crashes must be a whole number/,
    )
    expect(() =>
      decodeRow('vms/web', bytes({ v: 1, row: { ...vm, owner: { host: 'h1', epoch: { generation: 1, counter: 1 }, ending: 'soon' } } })),
    ).toThrow(/vms\/web\.owner\.ending must be one of shutdown, stop/)
  })
})

describe('canonical JSON', () => {
  it('orders keys at every depth, keeps lists, leaves undefined out', () => {
    expect(canonicalJson({ b: [{ d: 1, c: 2 }], a: undefined, A: null })).toBe('{"A":null,"b":[{"c":2,"d":1}]}')
    expect(canonicalJson([3, 1, 'x'])).toBe('[3,1,"x"]')
    expect(canonicalJson('x')).toBe('"x"')
  })
})

it('an empty mesh is small: a few hundred bytes a host', () => {
  expect(stateText(aMesh().now).length).toBeLessThan(1_600)
})
