// What the mesh survives: voters that may still die, VMs that would lose their place.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sparableVoters, unseatedVms } from '../../src/api/survives.ts'
import { type MemberStatus } from '../../src/inventory/cluster.ts'
import { NO_LOAD } from '../../src/inventory/load.ts'
import { aMesh, hostId, jobId, someVm, vmId } from '../fixture/inventory.ts'
import { aMember } from '../fixture/members.ts'

function members(...roles: readonly MemberStatus['role'][]): readonly MemberStatus[] {
  return roles.map((role, at) => aMember(`h${at + 1}`, role))
}
const up = (count: number) => new Map(Array.from({ length: count }, (_, at) => [hostId(`h${at + 1}`), 'up' as const]))

describe('voters to spare', () => {
  it.each([
    [1, 1, 0],
    [2, 2, 0],
    [3, 3, 1],
    [3, 2, 0],
    [5, 5, 2],
    [5, 4, 1],
    [5, 3, 0],
  ])('of %i voters with %i up, %i may still die', (voters, alive, spare) => {
    const all = members(...Array.from({ length: voters }, () => 'voter' as const))
    expect(sparableVoters(up(alive), { members: all, quorum: 'ok' })).toBe(spare)
  })

  it('count witnesses and the leader, not learners', () => {
    expect(sparableVoters(up(5), { members: members('leader', 'voter', 'witness', 'learner', 'learner'), quorum: 'ok' })).toBe(1)
  })

  it('are none without a quorum', () => {
    expect(sparableVoters(up(3), { members: members('voter', 'voter', 'voter'), quorum: 'lost' })).toBe(0)
  })

  it('always leave a majority', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(9), (voters, alive) => {
        const all = members(...Array.from({ length: voters }, () => 'voter' as const))
        const living = Math.min(alive, voters)
        const spare = sparableVoters(up(living), { members: all, quorum: 'ok' })
        if (living > voters / 2) {
          expect((living - spare) * 2).toBeGreaterThan(voters)
          expect((living - spare - 1) * 2).toBeLessThanOrEqual(voters)
        } else expect(spare).toBe(0)
      }),
    )
  })
})

describe('unseated VMs', () => {
  function world(ha: 'restart' | 'off', hosts: number, count: number) {
    // 1,024 MiB are for VMs on each host.
    const log = aMesh({ hosts, facts: { memoryMiB: 1536 } })
    for (let number = 1; number <= count; number += 1) {
      log.do(someVm(`vm${number}`, { memoryMiB: 512, ha, priority: number === 2 ? 1 : 3 }))
      log.do({ kind: 'vm-start', vm: vmId(`vm${number}`), job: jobId(`start${number}`) })
      log.assign(`vm${number}`, 'h1')
    }
    return { inventory: log.now, load: NO_LOAD, liveness: up(hosts) }
  }

  it('are none while another host has room for all of a host', () => {
    expect(unseatedVms(world('restart', 2, 2))).toEqual([])
  })

  it('are those of the only host', () => {
    expect(unseatedVms(world('restart', 1, 2))).toEqual(['vm1', 'vm2'])
  })

  it('are the last in the order of restarts, where room runs out on the way', () => {
    const { inventory, ...rest } = world('restart', 2, 2)
    const small = [...inventory.hosts].map(
      ([id, host]) => [id, id === 'h2' ? { ...host, facts: { ...host.facts, memoryMiB: 1024 } } : host] as const,
    )
    expect(unseatedVms({ inventory: { ...inventory, hosts: new Map(small) }, ...rest })).toEqual(['vm1'])
  })

  it('are not told of VMs that are not to be restarted', () => {
    expect(unseatedVms(world('off', 1, 2))).toEqual([])
  })
})
