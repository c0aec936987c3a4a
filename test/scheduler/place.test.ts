// Placement: the host that is chosen may take the VM and suits best, by a second, obvious reckoning.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Host } from '../../src/inventory/model.ts'
import { whyNot } from '../../src/scheduler/explain.ts'
import { place } from '../../src/scheduler/place.ts'
import { score } from '../../src/scheduler/scores.ts'
import { type Placeable, type World } from '../../src/scheduler/world.ts'
import { hostId } from '../fixture/inventory.ts'
import { aWorld, hostOf, randomWorld } from './worlds.ts'

const chosen = (world: World, vm: Placeable): string | null => {
  const placement = place(world, vm)
  return placement.kind === 'placed' ? placement.host : null
}

describe('the chosen host', () => {
  it('has the most memory left among equals', () => {
    const { world, web } = aWorld([{ runs: [2_000] }, { runs: [1_000] }, { runs: [3_000] }])
    expect(chosen(world, web)).toBe('h2')
  })

  it('is measured by what is left, relative to its size', () => {
    const { world, web } = aWorld([{ facts: { memoryMiB: 2_512 } }, { facts: { memoryMiB: 8_704 }, runs: [4_000] }], { memoryMiB: 512 })
    expect(chosen(world, web)).toBe('h1')
  })

  it('is the less busy among equals', () => {
    const { world, web } = aWorld([{ load: { cpuPercent: 90 } }, { load: { cpuPercent: 10 } }])
    expect(chosen(world, web)).toBe('h2')
  })

  it('is judged by its promised vCPUs where it has not reported yet', () => {
    const busy = aWorld([
      { load: null, runs: [1, 1, 1, 1] },
      { load: { cpuPercent: 10 }, runs: [1, 1, 1, 1] },
    ])
    expect(chosen(busy.world, busy.web)).toBe('h2')
    const idle = aWorld([{ load: { cpuPercent: 90 } }, { load: null }])
    expect(chosen(idle.world, idle.web)).toBe('h2')
  })

  it('has fewer VMs among equals', () => {
    const { world, web } = aWorld([{ runs: [100, 100] }, { runs: [200] }])
    expect(chosen(world, web)).toBe('h2')
  })

  it('is the one where it ran last among equals, and not for much', () => {
    const equal = aWorld([{}, {}, {}])
    expect(chosen(equal.world, { ...equal.web, lastHost: hostId('h2') })).toBe('h2')
    const other = aWorld([{}, { load: { cpuPercent: 50 } }])
    expect(chosen(other.world, { ...other.web, lastHost: hostId('h2') })).toBe('h1')
  })

  it('is the first by id among true equals, in whatever order they stand', () => {
    const { world, web } = aWorld([{}, {}, {}])
    expect(chosen(world, web)).toBe('h1')
    const hosts = new Map([...world.inventory.hosts].reverse())
    expect(chosen({ ...world, inventory: { ...world.inventory, hosts } }, web)).toBe('h1')
  })

  it('comes with the figures that spoke for it', () => {
    const { world, web } = aWorld([{ runs: [1_000], load: { cpuPercent: 12.4 } }, { runs: [2_000] }])
    expect(place(world, { ...web, lastHost: hostId('h1') })).toMatchObject({
      kind: 'placed',
      host: 'h1',
      reasons: [
        expect.stringMatching(/^best of 2 hosts: 0\.\d{3} before 0\.\d{3}$/),
        '6424 MiB free after it',
        'CPU 12 % busy',
        '1 other VM',
        'ran there last',
      ],
      ranking: [{ host: 'h1' }, { host: 'h2' }],
      perHost: [],
    })
  })

  it('may be the only one, and the others say why', () => {
    const { world, web } = aWorld([{ role: 'witness' }, {}])
    expect(place(world, web)).toMatchObject({
      kind: 'placed',
      host: 'h2',
      reasons: ['the only host that may take it', expect.any(String), expect.any(String), expect.any(String)],
      perHost: [{ host: 'h1', reasons: [{ code: 'role' }] }],
    })
  })
})

describe('where no host may take it', () => {
  it('every host says why, in the order of their ids', () => {
    const { world, web } = aWorld([{ liveness: 'suspect' }, { role: 'witness', status: 'maintenance' }])
    expect(place(world, web)).toMatchObject({
      kind: 'refused',
      perHost: [
        { host: 'h1', reasons: [{ code: 'liveness' }] },
        { host: 'h2', reasons: [{ code: 'role' }, { code: 'status' }] },
      ],
    })
  })

  it('there may be none at all', () => {
    const { world, web } = aWorld([])
    expect(place(world, web)).toEqual({ kind: 'refused', perHost: [] })
  })
})

describe('in every world', () => {
  it('the chosen host passes all filters, and the obvious reckoning chooses it too', () => {
    fc.assert(
      fc.property(randomWorld, ({ world, web }) => {
        expect(chosen(world, web)).toBe(obviouslyBest(world, web))
      }),
      { numRuns: 500 },
    )
  })

  it('each host is either ranked or refused with a reason, and scores lie between 0 and 1', () => {
    fc.assert(
      fc.property(randomWorld, ({ world, web }) => {
        const placement = place(world, web)
        const ranked = placement.kind === 'placed' ? placement.ranking : []
        expect([...ranked, ...placement.perHost].map(({ host }) => host).sort()).toEqual([...world.inventory.hosts.keys()])
        expect(placement.perHost.every(({ reasons }) => reasons.length > 0)).toBe(true)
        expect(ranked.every((one, at) => at === 0 || (ranked[at - 1]?.score.total ?? 0) >= one.score.total)).toBe(true)
        expect(ranked.every((one) => one.score.total >= 0 && one.score.total <= 1)).toBe(true)
      }),
    )
  })

  it('more memory never makes a host refuse, nor look worse', () => {
    fc.assert(
      fc.property(randomWorld, fc.integer({ min: 1, max: 4_096 }), ({ world, web }, moreMiB) => {
        for (const host of world.inventory.hosts.values()) {
          const larger: Host = { ...host, facts: { ...host.facts, memoryMiB: host.facts.memoryMiB + moreMiB } }
          expect(whyNot(world, web, larger).length).toBeLessThanOrEqual(whyNot(world, web, host).length)
          if (whyNot(world, web, host).length === 0) {
            expect(score(world, web, larger).total).toBeGreaterThanOrEqual(score(world, web, host).total)
          }
        }
      }),
    )
  })

  it('a host without memory for the VM is never chosen, counted MiB by MiB', () => {
    fc.assert(
      fc.property(randomWorld, ({ world, web }) => {
        const host = chosen(world, web)
        if (host === null) return
        const owned = [...world.inventory.vms.values()].filter((vm) => vm.owner?.host === host)
        const promised = owned.reduce((sum, vm) => sum + vm.spec.memoryMiB, web.spec.memoryMiB)
        expect(promised + 512).toBeLessThanOrEqual(hostOf(world, host).facts.memoryMiB)
      }),
    )
  })
})

/** One host after the other, keeping the better: no sort, no ranking. */
function obviouslyBest(world: World, vm: Placeable): string | null {
  let best: { readonly id: string; readonly total: number } | null = null
  for (const host of world.inventory.hosts.values()) {
    if (whyNot(world, vm, host).length > 0) continue
    const { total } = score(world, vm, host)
    if (best === null || total > best.total || (total === best.total && host.id < best.id)) best = { id: host.id, total }
  }
  return best?.id ?? null
}
