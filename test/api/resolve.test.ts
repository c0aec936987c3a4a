// Objects are meant by name, id or unique id prefix, and nothing is guessed.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { findDatastore, findDisk, findDiskOn, findHost, findJob, findVm } from '../../src/api/resolve.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { aMesh, datastoreId, diskId, hostId, jobId, someVm, vmId } from '../fixture/inventory.ts'

const log = aMesh({ hosts: 2, datastores: ['images', 'backup'] })
for (const [id, name] of [
  ['abc1', 'web'],
  ['abc2', 'db'],
  ['xyz', 'abc1'],
] as const) {
  log.do(someVm(name, { id: vmId(id) }))
}
for (const [id, datastore, name] of [
  ['d1', 'images', 'root'],
  ['d2', 'backup', 'root'],
  ['d3', 'images', 'data'],
] as const) {
  const place = { datastore: datastoreId(datastore), host: hostId('h1'), job: jobId(`j-${id}`) }
  log.do({ kind: 'disk-create', id: diskId(id), name, ...place, format: 'raw', sizeBytes: 1024 ** 2 })
}
const inventory = log.now

function codeOf(work: () => unknown): string {
  try {
    work()
    return 'found'
  } catch (error) {
    return error instanceof OperationError ? error.code : 'bug'
  }
}

describe('an object', () => {
  it('is found by its name, its id, and the beginning of its id', () => {
    expect(findVm(inventory, 'web').id).toBe('abc1')
    expect(findVm(inventory, 'abc2').name).toBe('db')
    expect(findVm(inventory, 'xy').name).toBe('abc1')
    expect(findHost(inventory, 'h2').name).toBe('h2')
    expect(findJob(inventory, 'j-d2').id).toBe('j-d2')
  })

  it('is not guessed between two ids with the same beginning', () => {
    expect(codeOf(() => findVm(inventory, 'ab'))).toBe('conflict')
  })

  it('is not guessed between a name and an id that read alike', () => {
    expect(codeOf(() => findVm(inventory, 'abc1'))).toBe('conflict')
  })

  it('is not found by nothing, nor by the middle of an id', () => {
    expect(codeOf(() => findVm(inventory, ''))).toBe('not-found')
    expect(codeOf(() => findVm(inventory, 'bc1'))).toBe('not-found')
    expect(codeOf(() => findHost(inventory, 'nope'))).toBe('not-found')
  })

  it('that is missing is answered with those that are there', () => {
    expect(() => findVm(inventory, 'wbe')).toThrow(
      expect.objectContaining({ reasons: [{ code: 'not-found', message: 'there are: abc1, db, web', fix: 'hostmesh vm list' }] }),
    )
  })

  it('is found by its whole id whatever the names are', () => {
    const ids = fc.uniqueArray(fc.stringMatching(/^[0-9a-z]{4,8}$/), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(ids, (all) => {
        const datastores = all.map((id) => ({ id: datastoreId(id), name: `n-${id}`, kind: 'dir' as const, path: '/x', addedAt: 0 }))
        const state: Inventory = { ...inventory, datastores: new Map(datastores.map((row) => [row.id, row])) }
        for (const id of all) {
          expect(findDatastore(state, id).id).toBe(id)
          expect(findDatastore(state, `n-${id}`).id).toBe(id)
        }
      }),
    )
  })
})

describe('a disk', () => {
  it('is named by its datastore and itself', () => {
    expect(findDisk(inventory, 'backup/root').id).toBe('d2')
    expect(findDiskOn(inventory, findDatastore(inventory, 'images'), 'data').id).toBe('d3')
  })

  it('may be named alone where only one datastore has it', () => {
    expect(findDisk(inventory, 'data').id).toBe('d3')
    expect(codeOf(() => findDisk(inventory, 'root'))).toBe('conflict')
  })

  it('is not found on a datastore that has it not, or is not there', () => {
    expect(codeOf(() => findDisk(inventory, 'backup/data'))).toBe('not-found')
    expect(codeOf(() => findDisk(inventory, 'tape/data'))).toBe('not-found')
  })
})
