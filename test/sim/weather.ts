// What a seed stands for: how many hosts, how good network and disks are, which faults come and how often. Drawn once, printed with the seed.
import { between, type Random, seededRandom } from '../../src/base/random.ts'
import { type NetworkFaults } from '../fixture/fake-network.ts'
import { type HostWish, type Surroundings } from './sim-host.ts'

export const FAULT_KINDS = [
  'kill agent',
  'restart agent',
  'kill leader',
  'fell fresh leaders',
  'power cut',
  'power cut of all',
  'freeze',
  'freeze leader',
  'stutter',
  'clock jump',
  'partition',
  'cut off host',
  'cut off leader',
  'one-way cut',
  'deaf or mute leader',
  'flapping link',
  'slow link',
  'connection reset',
  'slow disk',
  'disk error',
  'disk full',
  'wiped disk',
  'newcomer',
  'host removed',
  'unmount',
  'QEMU death',
  'guest powers off',
  'start failure',
  'deaf guest',
  'guest disk error',
  'leader transfer',
  'unreadable stores',
  'torn log',
  'lost entries',
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
  /** Wall clocks are set to anything within so much of the true time. */
  readonly jumpMs: number
  /** Virtual seconds of faults. */
  readonly seconds: number
  readonly writeEveryMs: number
  readonly vms: number
  /** The last so many hosts come when the faults do. */
  readonly newcomers: number
  /** Faults come while the hosts join already. */
  readonly early: boolean
}

export const HOSTS: readonly [number, number] = [3, 9]
/** Kinds that hurt little come more often; those that leave a mesh with fewer voters for a while, less. */
const PACES: Partial<Record<FaultKind, number>> = {
  'connection reset': 0.2,
  'QEMU death': 0.5,
  'power cut of all': 2,
}
/** Not every kind in every seed: some bugs show only where another kind does not hide them. */
const SHARE_OF_KINDS = 0.3

/** `hosts` null: drawn too. */
export function drawWeather(seed: number, hosts: number | null): Weather {
  // A stream of its own: what is drawn here does not shift what happens.
  const random = seededRandom(seed ^ 0x5eed)
  const chance = (share: number): boolean => random.float() < share
  // Drawn in any case, so that naming the number that a seed draws changes nothing.
  const drawn = between(random, ...HOSTS)
  const count = hosts ?? drawn
  return {
    seed,
    hosts: drawHosts(random, count),
    network: drawNetwork(random),
    syncMs: chance(0.2) ? [5, 60] : [0.3, 3],
    raftLimits: chance(0.7) ? drawRaftLimits(random) : {},
    faults: drawFaults(random),
    jumpMs: chance(0.3) ? 900_000 : 3_000,
    // Some are long: what takes minutes (dead voters, tokens, forgotten keys) must come about too.
    seconds: chance(0.08) ? 400 : between(random, 30, 90),
    writeEveryMs: between(random, 100, 1_500),
    vms: between(random, 1, 6),
    newcomers: chance(0.4) ? between(random, 0, Math.max(0, count - 3)) : 0,
    early: chance(0.25),
  }
}

function drawHosts(random: Random, count: number): readonly HostWish[] {
  const skew = [0.0005, 0.02, 0.08][between(random, 0, 2)] ?? 0
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
export function describeWeather(weather: Weather): string {
  const { seed, hosts, network, syncMs, raftLimits, faults, jumpMs, writeEveryMs, vms, newcomers, early } = weather
  const kinds = [...faults].map(([kind, ms]) => `${kind} each ${(ms / 1000).toFixed(0)} s`)
  const late = newcomers > 0 ? `, ${newcomers} hosts come later` : ''
  return [
    `seed ${seed}: ${hosts.length} hosts${late}, clocks ${hosts.map(({ clockRate }) => clockRate.toFixed(4)).join(' ')}, set within ${jumpMs / 1000} s`,
    `network ${JSON.stringify(network)}`,
    `sync ${syncMs.join('-')} ms, log ${JSON.stringify(raftLimits)}, ${vms} VMs, a write each ${writeEveryMs} ms${early ? ', faults from the start' : ''}`,
    `faults: ${kinds.join(', ') || 'none'}`,
  ].join('\n  ')
}
