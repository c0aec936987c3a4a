// File work goes to a host that can reach the files.
import { describe, expect, it } from 'vitest'
import { fileHost } from '../../src/api/file-host.ts'
import { type Sight } from '../../src/api/shapes.ts'
import { NO_LOAD } from '../../src/inventory/load.ts'
import { aMesh, datastoreId, hostId } from '../fixture/inventory.ts'

const { now } = aMesh({ hosts: 3, datastores: ['images'], roles: { h3: 'witness' } })
const images = datastoreId('images')

function sight(up: readonly string[], faulty: readonly string[] = []): Sight {
  const load = (name: string) => {
    const datastoreFaults = new Map(faulty.includes(name) ? [[images, 'stale file handle']] : [])
    return { receivedAtMs: 0, cpuPercent: 0, memoryUsedMiB: 0, datastoreFaults, stores: { freeMiB: 4096, trouble: null } }
  }
  return {
    inventory: now,
    liveness: new Map(up.map((name) => [hostId(name), 'up'])),
    load: { ...NO_LOAD, hosts: new Map(['h1', 'h2', 'h3'].map((name) => [hostId(name), load(name)])) },
    roles: new Map(),
  }
}

describe('file work', () => {
  it('is done by the host that was asked', () => {
    expect(fileHost(sight(['h1', 'h2', 'h3']), hostId('h2'), [images]).name).toBe('h2')
  })

  it('is done by another where that one cannot use the datastore, is not up, or is a witness', () => {
    expect(fileHost(sight(['h1', 'h2', 'h3'], ['h2']), hostId('h2'), [images]).name).toBe('h1')
    expect(fileHost(sight(['h1', 'h3']), hostId('h2'), [images]).name).toBe('h1')
    expect(fileHost(sight(['h1', 'h2', 'h3']), hostId('h3'), [images]).name).toBe('h1')
  })

  it('minds only the datastores of the work', () => {
    expect(fileHost(sight(['h1', 'h2', 'h3'], ['h2']), hostId('h2'), []).name).toBe('h2')
  })

  it('is refused with a reason a host where none can do it', () => {
    expect(() => fileHost(sight(['h2', 'h3'], ['h2']), hostId('h3'), [images])).toThrow(
      expect.objectContaining({
        code: 'refused',
        reasons: [
          { code: 'file-host', message: 'host h1: it is suspect' },
          { code: 'file-host', message: 'host h2: stale file handle' },
          { code: 'file-host', message: 'host h3: it is a witness' },
        ],
      }),
    )
  })
})
