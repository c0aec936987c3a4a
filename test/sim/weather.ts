// What a seed stands for: how many hosts, how good network and disks are, which faults come and how often. Drawn once, printed with the seed.
import { between, type Random, seededRandom } from '../../src/base/random.ts'
import { type NetworkFaults } from '../fixture/fake-network.ts'
import { type HostWish, type Surroundings } from './sim-host.ts'

export const FAULT_KINDS = [
  'kill agent',
  'restart agent',
  'kill leader',
  'power cut',
  'power cut of all',
  'freeze',
  'partition',
  'cut off leader',
  'one-way cut',
  'connection reset',
  'slow disk',
  'disk error',
  'unmount',
  'QEMU death',
  'guest powers off',
  'start failure',
  'deaf guest',
  'guest disk error',
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

export interface Weather {
  readonly seed: number
  readonly hosts: readonly HostWish[]
  readonly network: NetworkFaults
  readonly syncMs: readonly [number, number]
  readonly raftLimits: Exclude<Surroundings['raftLimits'], undefined>
  /** Mean milliseconds between two of a kind; a kind that is not here does not come. */
  readonly faults: ReadonlyMap<FaultKind, number>
  readonly writeEveryMs: number
  readonly vms: number
  /** Faults come while the hosts join already. */
  readonly early: boolean
}

/** Kinds that hurt little come more often. */
const PACES: Partial<Record<FaultKind, number>> = { 'connection reset': 0.2, 'QEMU death': 0.5 }
/** Not every kind in every seed: some bugs show only where another kind does not hide them. */
const SHARE_OF_KINDS = 0.4

export function drawWeather(seed: number, hosts: number): Weather {
  // A stream of its own: what is drawn here does not shift what happens.
  const random = seededRandom(seed ^ 0x5eed)
  const chance = (share: number): boolean => random.float() < share
  return {
    seed,
    hosts: drawHosts(random, hosts),
    network: drawNetwork(random),
    syncMs: chance(0.2) ? [5, 60] : [0.3, 3],
    raftLimits: chance(0.7) ? drawRaftLimits(random) : {},
    faults: drawFaults(random),
    writeEveryMs: between(random, 100, 1_500),
    vms: between(random, 1, 6),
    early: chance(0.25),
  }
}

function drawHosts(random: Random, count: number): readonly HostWish[] {
  const skew = random.float() < 0.5 ? 0.0005 : 0.05
  return Array.from({ length: count }, (_, at) => ({
    name: `h${at + 1}`,
    memoryMiB: between(random, 4, 16) * 1024,
    clockRate: 1 + (random.float() * 2 - 1) * skew,
    wallOffsetMs: between(random, -2_000, 2_000),
  }))
}

function drawNetwork(random: Random): NetworkFaults {
  const chance = (share: number): boolean => random.float() < share
  const high = chance(0.7) ? 1 : between(random, 5, 40)
  return {
    delayMs: [0.1, high],
    stall: chance(0.4) ? random.float() * 0.01 : 0,
    frames: {
      loss: chance(0.4) ? random.float() * 0.1 : 0,
      duplicate: chance(0.4) ? random.float() * 0.1 : 0,
      reorder: chance(0.4) ? random.float() * 0.1 : 0,
    },
    gossipLoss: chance(0.3) ? random.float() : 0,
  }
}

function drawRaftLimits(random: Random): Weather['raftLimits'] {
  const keepEntries = between(random, 1, 20)
  return { keepEntries, compactAbove: keepEntries + between(random, 1, 20) }
}

function drawFaults(random: Random): ReadonlyMap<FaultKind, number> {
  const drawn = FAULT_KINDS.filter(() => random.float() < SHARE_OF_KINDS)
  const pace = random.float() < 0.3 ? 0.3 : 1
  return new Map(drawn.map((kind) => [kind, between(random, 3_000, 25_000) * pace * (PACES[kind] ?? 1)]))
}

/** For people: what is special about this seed. */
export function describeWeather({ seed, hosts, network, syncMs, raftLimits, faults, writeEveryMs, vms, early }: Weather): string {
  const kinds = [...faults].map(([kind, ms]) => `${kind} each ${(ms / 1000).toFixed(0)} s`)
  return [
    `seed ${seed}: ${hosts.length} hosts, clocks ${hosts.map(({ clockRate }) => clockRate.toFixed(4)).join(' ')}`,
    `network ${JSON.stringify(network)}`,
    `sync ${syncMs.join('-')} ms, log ${JSON.stringify(raftLimits)}, ${vms} VMs, a write each ${writeEveryMs} ms${early ? ', faults from the start' : ''}`,
    `faults: ${kinds.join(', ') || 'none'}`,
  ].join('\n  ')
}
