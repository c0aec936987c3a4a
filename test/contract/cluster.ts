// What every Cluster promises to host, leader and api; run on Raft (one member, real parts, virtual time) and on the fake.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Change, type Cluster } from '../../src/inventory/cluster.ts'
import { jobId, requestKey, someVm, vmId } from '../fixture/inventory.ts'

/** Host h1 of a mesh of one; nobody leads yet. */
export interface ClusterPlace {
  readonly cluster: Cluster
  /** h1 wins the leadership. */
  lead(): Promise<void>
  /** What `promise` gives, letting time pass where time is virtual. */
  settle<T>(promise: Promise<T>): Promise<T>
  stop(): Promise<void>
}

export function clusterContract(name: string, open: () => Promise<ClusterPlace>): void {
  let place: ClusterPlace
  let cluster: Cluster
  const { signal } = new AbortController()
  const how = { signal, actor: 'admin@h1' }
  const start = (id: string) => ({ kind: 'vm-start', vm: vmId('web'), job: jobId(id) }) as const

  describe(`Cluster: ${name}`, () => {
    beforeEach(async () => {
      place = await open()
      cluster = place.cluster
    })
    afterEach(() => place.stop())

    it('announces the leadership with its term, and shows it in its status', async () => {
      const terms: (number | null)[] = []
      const off = cluster.onLeading((term) => terms.push(term))
      expect(cluster.status()).toMatchObject({ leading: false })
      await place.lead()
      expect(terms).toEqual([cluster.status().term])
      expect(cluster.status()).toMatchObject({ leading: true, leader: 'h1', quorum: 'ok', staleMs: null })
      expect(cluster.status().members).toMatchObject([{ host: 'h1', role: 'leader' }])
      off()
    })

    it('proposes, and has applied the command here when it resolves', async () => {
      await place.lead()
      const result = await place.settle(cluster.propose(someVm('web'), { ...how, reason: 'for the shop' }))
      expect(result).toEqual({ kind: 'done', value: { id: 'web' } })
      expect(cluster.view().vms.get(vmId('web'))?.name).toBe('web')
      expect(cluster.view().events.at(-1)).toMatchObject({ type: 'vm.created', actor: 'admin@h1', reason: 'for the shop' })
      expect(cluster.status().appliedIndex).toBeGreaterThanOrEqual(cluster.view().index)
    })

    it('answers what was refused with a result, not an error', async () => {
      await place.lead()
      expect(await place.settle(cluster.propose(start('j'), how))).toMatchObject({ kind: 'refused', code: 'not-found' })
    })

    it('carries a command out once under one request key', async () => {
      await place.lead()
      const keyed = { ...how, requestKey: requestKey('k') }
      const first = await place.settle(cluster.propose(someVm('web', { id: vmId('one') }), keyed))
      const second = await place.settle(cluster.propose(someVm('web', { id: vmId('two') }), keyed))
      expect(second).toEqual(first)
      expect([...cluster.view().vms.keys()]).toEqual(['one'])
    })

    it('tells of every change in its order, until it is no longer listened to', async () => {
      await place.lead()
      const changes: Change[] = []
      const before = cluster.view()
      const off = cluster.onChange((change) => changes.push(change))
      await place.settle(cluster.propose(someVm('web'), how))
      await place.settle(cluster.propose(start('j'), how))
      off()
      await place.settle(cluster.propose(someVm('db'), how))
      expect(changes).toHaveLength(2)
      expect(changes[0]).toMatchObject({ before, index: changes[0]?.after.index })
      expect(changes[1]?.before).toBe(changes[0]?.after)
      expect(changes[1]?.after.vms.get(vmId('web'))?.desired.power).toBe('on')
    })

    it('lets a controller decide in its term, and in no other', async () => {
      await place.lead()
      await place.settle(cluster.propose(someVm('web', { startJob: jobId('j') }), how))
      const { term } = cluster.status()
      const decide = (leaderTerm: number) =>
        place.settle(cluster.proposeAsLeader({ kind: 'vm-unplaceable', leaderTerm, vm: vmId('web'), reasons: [] }, signal))
      expect(await decide(term - 1)).toMatchObject({ kind: 'stale' })
      expect(cluster.view().vms.get(vmId('web'))?.fault).toBeNull()
      expect(await decide(term)).toMatchObject({ kind: 'done' })
      expect(cluster.view().vms.get(vmId('web'))?.fault?.kind).toBe('unplaceable')
    })

    it('lets nobody decide while nobody leads', async () => {
      const decided = cluster.proposeAsLeader({ kind: 'vm-unplaceable', leaderTerm: 1, vm: vmId('web'), reasons: [] }, signal)
      await expect(place.settle(decided)).rejects.toMatchObject({ code: 'no-quorum' })
    })

    it('reads what was committed before', async () => {
      await place.lead()
      await place.settle(cluster.propose(someVm('web'), how))
      expect((await place.settle(cluster.read(signal))).vms.has(vmId('web'))).toBe(true)
    })

    it('gives up with the reason of a signal that is aborted', async () => {
      await place.lead()
      const reason = new Error('the asker went away')
      const aborted = AbortSignal.abort(reason)
      await expect(place.settle(cluster.propose(someVm('web'), { ...how, signal: aborted }))).rejects.toBe(reason)
      expect(cluster.view().vms.size).toBe(0)
    })
  })
}
