// Reads never lie about their age, and writes wait for an agreed state.
import { describe, expect, it } from 'vitest'
import { type Membership } from '../../src/api/context.ts'
import { readForWrite, readOrStale } from '../../src/api/freshness.ts'
import { OperationError } from '../../src/base/errors.ts'
import { type Cluster } from '../../src/inventory/cluster.ts'
import { EMPTY, type Inventory } from '../../src/inventory/inventory.ts'
import { fakeLifecycle } from '../fixture/fake-lifecycle.ts'
import { fakeMesh } from '../fixture/fake-cluster.ts'
import { aMesh, hostId } from '../fixture/inventory.ts'
import { manualClock } from '../fixture/manual-clock.ts'

const never = new AbortController().signal

function setUp(
  read: (calls: number, fresh: Inventory) => Promise<Inventory>,
  changes: {
    readonly initialised?: boolean
    readonly ended?: string
    readonly membership?: Membership
    readonly damaged?: { why: string; alone: boolean }
  } = {},
) {
  const clock = manualClock()
  const mesh = fakeMesh(aMesh({ hosts: 3 }).now, { leader: hostId('h1') })
  const cluster: Cluster = mesh.of(hostId('h1'))
  let calls = 0
  const reading: Cluster = {
    ...cluster,
    read: () => {
      calls += 1
      return read(calls, cluster.view())
    },
  }
  const lifecycle = fakeLifecycle({
    initialised: () => changes.initialised ?? true,
    membership: () => changes.membership ?? null,
    ended: () => changes.ended ?? null,
    damaged: () => changes.damaged ?? null,
  })
  return { clock, mesh, source: { clock, cluster: reading, lifecycle }, calls: () => calls }
}

const noQuorum = (): Promise<Inventory> => Promise.reject(new OperationError('no-quorum', 'nobody leads'))
const silence = (): Promise<Inventory> => new Promise(() => undefined)

describe('a read', () => {
  it('is fresh while there is a quorum', async () => {
    const { source, mesh } = setUp((_, fresh) => Promise.resolve(fresh))
    expect(await readOrStale(source, never)).toEqual({ inventory: mesh.inventory(), stale: null })
  })

  it('without a quorum gives what this host knows, and how long the leader is silent', async () => {
    const { source, mesh } = setUp(noQuorum)
    mesh.lead(null)
    expect(await readOrStale(source, never)).toEqual({ inventory: mesh.inventory(), stale: { ageMs: 1000 } })
  })

  it('waits two seconds for an answer, and is that old where nothing measures its age', async () => {
    const { clock, source } = setUp(silence)
    const answer = readOrStale(source, never)
    await clock.run(1_999)
    expect(await Promise.race([answer, Promise.resolve('pending')])).toBe('pending')
    await clock.run(1)
    expect((await answer).stale).toEqual({ ageMs: 2_000 })
  })

  it('fails where the fault is another one than time', async () => {
    const { source } = setUp(() => Promise.reject(new Error('bug')))
    await expect(readOrStale(source, never)).rejects.toThrow('bug')
  })

  it('ends with the client', async () => {
    const { source } = setUp(silence)
    const client = new AbortController()
    const answer = readOrStale(source, client.signal)
    client.abort(new OperationError('unreachable', 'gone'))
    await expect(answer).rejects.toThrow('gone')
  })

  it('is refused on a host that belongs to no mesh', async () => {
    const { source, calls } = setUp((_, fresh) => Promise.resolve(fresh), { initialised: false })
    await expect(readOrStale(source, never)).rejects.toMatchObject({ code: 'refused', reasons: [{ code: 'no-mesh' }] })
    expect(calls()).toBe(0)
  })

  it('before the first state came, is no empty mesh: it says as what this host comes in', async () => {
    const { source } = setUp(noQuorum, { membership: { mesh: 'lab', generation: 2 } })
    const empty = { ...source, cluster: { ...source.cluster, view: () => EMPTY } }
    const error = { code: 'no-quorum', message: expect.stringContaining('comes into generation 2 of mesh lab as a new member') }
    await expect(readOrStale(empty, never)).rejects.toMatchObject({ ...error, reasons: [{ code: 'no-state-yet' }] })
  })

  it('while the host becomes another member, does not say that it belongs to no mesh', async () => {
    const { source } = setUp(noQuorum, { initialised: false, membership: { mesh: 'lab', generation: 1 } })
    const error = { code: 'no-quorum', message: expect.stringContaining('mesh lab'), reasons: [{ code: 'changing-member' }] }
    await expect(readOrStale(source, never)).rejects.toMatchObject(error)
    await expect(readForWrite(source, never)).rejects.toMatchObject(error)
  })

  it('says how the last membership ended, and how to come back', async () => {
    const { source } = setUp((_, fresh) => Promise.resolve(fresh), { initialised: false, ended: 'removed from mesh lab by admin@h1' })
    const reason = {
      code: 'removed',
      message: 'it was removed from mesh lab by admin@h1',
      fix: expect.stringContaining('hostmesh join TOKEN'),
    }
    await expect(readOrStale(source, never)).rejects.toMatchObject({ code: 'refused', reasons: [reason] })
  })
})
