// Reads never lie about their age, and writes wait for an agreed state.
import { describe, expect, it } from 'vitest'
import { readForWrite, readOrStale } from '../../src/api/freshness.ts'
import { hasCode, OperationError } from '../../src/base/errors.ts'
import { type Cluster } from '../../src/inventory/cluster.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { fakeMesh } from '../fixture/fake-cluster.ts'
import { aMesh, hostId } from '../fixture/inventory.ts'
import { manualClock } from '../fixture/manual-clock.ts'

const never = new AbortController().signal

function setUp(
  read: (calls: number, fresh: Inventory) => Promise<Inventory>,
  changes: {
    readonly initialised?: boolean
    readonly ended?: string
    readonly changing?: string
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
  const lifecycle = {
    initialised: () => changes.initialised ?? true,
    ended: () => changes.ended ?? null,
    changing: () => changes.changing ?? null,
    damaged: () => changes.damaged ?? null,
    init: () => Promise.resolve(),
    join: () => Promise.resolve(),
  }
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

describe('a host between two members', () => {
  it('belongs to its mesh, and says that it takes no part for a moment', async () => {
    const { source, calls } = setUp((_, fresh) => Promise.resolve(fresh), { initialised: false, changing: 'lab' })
    const told = {
      code: 'no-quorum',
      message: expect.stringContaining('mesh lab'),
      reasons: [{ code: 'member-changes', fix: 'try again' }],
    }
    await expect(readOrStale(source, never)).rejects.toMatchObject(told)
    await expect(readForWrite(source, never)).rejects.toMatchObject(told)
    expect(calls()).toBe(0)
  })
})

describe('a host whose stores are damaged', () => {
  const why = 'the log ends at 12, its head says 15'

  it('shows no empty mesh: it says what is damaged, and that it comes back by itself', async () => {
    const { source } = setUp(noQuorum, { damaged: { why, alone: false } })
    const reason = { code: 'needs-repair', message: why, fix: expect.stringMatching(/^wait: .* by itself/) }
    await expect(readOrStale(source, never)).rejects.toMatchObject({ code: 'no-quorum', reasons: [reason] })
  })

  it('that knows no other host says that only a backup brings the mesh back', async () => {
    const { source, clock } = setUp(noQuorum, { damaged: { why, alone: true } })
    const reason = { code: 'needs-repair', message: why, fix: expect.stringContaining('hostmesh mesh restore FILE') }
    await expect(readOrStale(source, never)).rejects.toMatchObject({ reasons: [reason] })
    await expect(clock.settle(readForWrite(source, never), 6_000)).rejects.toMatchObject({ code: 'no-quorum', reasons: [reason] })
  })
})

describe('the look of a write', () => {
  it('outlasts an election', async () => {
    const { clock, source, mesh } = setUp((calls, fresh) => (calls < 15 ? noQuorum() : Promise.resolve(fresh)))
    expect(await clock.settle(readForWrite(source, never), 1_500)).toBe(mesh.inventory())
  })

  it('gives up after five seconds, saying that nothing was changed', async () => {
    const { clock, source } = setUp(noQuorum)
    const outcome = readForWrite(source, never).catch((error: unknown) => error)
    await clock.run(4_900)
    expect(await Promise.race([outcome, Promise.resolve('pending')])).toBe('pending')
    await clock.run(100)
    const error = await outcome
    expect(hasCode(error, 'no-quorum') && error.message).toContain('nothing was changed')
  })

  it('gives up after five seconds of silence too', async () => {
    const { clock, source } = setUp(silence)
    const outcome = readForWrite({ ...source, cluster: { ...source.cluster, read: (signal) => untilAborted(signal) } }, never)
    await expect(clock.settle(outcome, 5_000)).rejects.toMatchObject({ code: 'no-quorum' })
  })

  it('fails at once where the fault is another one than time', async () => {
    const { source, calls } = setUp(() => Promise.reject(new Error('bug')))
    await expect(readForWrite(source, never)).rejects.toThrow('bug')
    expect(calls()).toBe(1)
  })

  it('never answers with a stale state', async () => {
    const { clock, source } = setUp(noQuorum)
    await expect(clock.settle(readForWrite(source, never), 6_000)).rejects.toMatchObject({ code: 'no-quorum' })
  })

  it('is refused on a host that belongs to no mesh', async () => {
    const { source } = setUp((_, fresh) => Promise.resolve(fresh), { initialised: false })
    await expect(readForWrite(source, never)).rejects.toMatchObject({ code: 'refused' })
  })
})

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
}
