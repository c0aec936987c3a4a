// What goes wrong in one seed's world and how often, drawn from the seed: each world has its own faults, as one that has all of them has each of
// them seldom (swarm testing: Groce et al. 2012).
import { present } from '../../src/base/assert.ts'
import { between, type Random } from '../../src/base/random.ts'
import { type RaftConfig } from '../../src/consensus/raft-config.ts'

export const ACTS = [
  'deliver',
  'work',
  'tick',
  'propose',
  'read',
  'campaign',
  'transfer',
  'compact',
  'report',
  'restart',
  'crash',
  'crash-new-leader',
  'disk-error',
  'cut',
  'pause',
  'change',
  'old-mail',
  'send-snapshot',
] as const

export type Act = (typeof ACTS)[number]

export interface Weather {
  readonly mood: string
  /** Members 1 to `voters` vote at first, the next `learners` learn, the others are newcomers. */
  readonly voters: number
  readonly learners: number
  readonly ids: number
  /** How often what happens next, in shares of all that may. */
  readonly acts: Readonly<Record<Act, number>>
  /** Messages lost and doubled, and those that overtake all others, in shares of those delivered. */
  readonly lose: number
  readonly double: number
  readonly overtake: number
  /** What was under way when its direction was cut, in shares of deliveries: 0 keeps it until that is mended. */
  readonly late: number
  /** Whether a direction that is cut keeps what is sent into it until it is mended, as TCP does; else it is lost. */
  readonly keeps: boolean
  /** Appends that lose some or all of their entries, in shares of those delivered: a leader could have sent so few. */
  readonly shorten: number
  /** How fast each member's clock runs, and how fast it works. */
  readonly rates: readonly number[]
  /** Messages go through the codec. */
  readonly encoded: boolean
  readonly config: Partial<RaftConfig>
}

interface Mood {
  readonly name: string
  readonly acts: Readonly<Record<Act, number>>
  readonly voters?: readonly number[]
  readonly lose?: number
  readonly double?: number
  readonly overtake?: number
  readonly late?: number
  readonly keeps?: boolean
  readonly config?: Partial<RaftConfig>
}

const CALM: Mood['acts'] = {
  deliver: 450,
  work: 350,
  tick: 160,
  propose: 40,
  read: 40,
  campaign: 4,
  transfer: 2,
  compact: 5,
  report: 10,
  restart: 12,
  crash: 2,
  'crash-new-leader': 0,
  'disk-error': 1,
  cut: 4,
  pause: 2,
  change: 2,
  'old-mail': 4,
  'send-snapshot': 2,
}

/** Each is about one way for things to go wrong. */
const MOODS: readonly Mood[] = [
  { name: 'calm', acts: CALM },
  { name: 'storm', acts: { ...CALM, crash: 6, 'disk-error': 3, cut: 8, pause: 4, 'old-mail': 10 }, lose: 0.1 },
  {
    // Leaders fall while the entries of their forerunners are on their way, one at a time, and come back soon.
    name: 'figure 8',
    acts: {
      ...CALM,
      ...{ read: 0, propose: 30, tick: 20, campaign: 40, transfer: 0, crash: 0, 'crash-new-leader': 20, restart: 25 },
      ...{ change: 0, cut: 0, pause: 0, 'send-snapshot': 0 },
    },
    voters: [3, 3, 3, 5],
    lose: 0.1,
    double: 0,
    overtake: 0.2,
    config: { maxMessageBytes: 1, maxInflightMessages: 1, preVote: false, checkQuorum: false },
  },
  {
    // A leader that does not hear of its successor is asked for reads, and old answers still come in.
    name: 'stale reads',
    acts: { ...CALM, read: 100, propose: 60, tick: 30, campaign: 15, crash: 0, 'disk-error': 0, change: 0, pause: 0 },
    lose: 0,
    double: 0.1,
    late: 0,
    keeps: true,
  },
  // Whole sets of members are replaced, in peace and in trouble.
  {
    name: 'members',
    acts: { ...CALM, read: 10, change: 30, campaign: 3, crash: 1, cut: 1, pause: 1, deliver: 600, work: 450 },
    lose: 0.02,
  },
  { name: 'members and trouble', acts: { ...CALM, read: 5, change: 60, campaign: 10, transfer: 8, crash: 3 }, lose: 0.02 },
  { name: 'hand-over', acts: { ...CALM, transfer: 30, campaign: 8, propose: 60, change: 8 } },
  // Those who were away find what they need gone.
  { name: 'snapshots', acts: { ...CALM, compact: 40, cut: 10, pause: 6, propose: 80, crash: 4, change: 5 } },
]

export const MAX_IDS = 7
/** Of the slowest clock, and of the fastest. */
const MIN_RATE = 0.3
export const MAX_RATE = 1.5

export function drawWeather(random: Random): Weather {
  const mood = pick(random, MOODS)
  const voters = pick(random, mood.voters ?? [1, 2, 3, 3, 3, 4, 5])
  const learners = between(random, 0, Math.min(2, MAX_IDS - voters))
  const slowOrFast = random.float() < 0.4
  return {
    mood: mood.name,
    voters,
    learners,
    ids: between(random, Math.max(3, voters + learners), MAX_IDS),
    acts: drawActs(random, mood.acts),
    lose: mood.lose ?? pick(random, [0, 0.02, 0.02, 0.1]),
    double: mood.double ?? pick(random, [0, 0.05, 0.1]),
    overtake: mood.overtake ?? pick(random, [0, 0.1, 0.3, 0.6]),
    late: mood.late ?? pick(random, [0, 0.03, 0.1]),
    keeps: mood.keeps ?? pick(random, [true, false]),
    shorten: pick(random, [0, 0.05, 0.2]),
    rates: Array.from({ length: MAX_IDS }, () => (slowOrFast ? MIN_RATE + (MAX_RATE - MIN_RATE) * random.float() : MAX_RATE)),
    encoded: random.float() < 0.1,
    config: { ...drawConfig(random), ...mood.config },
  }
}

/** One line that says all of it. */
export function describeWeather({ acts, config, rates, ...rest }: Weather): string {
  const words = Object.entries(rest).map(([name, value]) => `${name}=${String(value)}`)
  const shares = Object.entries(acts).map(([act, share]) => `${act}:${share}`)
  const settings = Object.entries(config).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return `${words.join(' ')} rates=${rates.map((rate) => rate.toFixed(1)).join(',')} acts=${shares.join(',')} ${settings.join(' ')}`
}

const FAULTS: readonly Act[] = ['compact', 'report', 'crash', 'disk-error', 'cut', 'pause', 'change', 'old-mail', 'send-snapshot']

/** Some faults not at all, some more often. */
function drawActs(random: Random, usual: Mood['acts']): Mood['acts'] {
  const acts = { ...usual }
  for (const fault of FAULTS) acts[fault] *= pick(random, [0, 1, 1, 1, 3])
  return acts
}

function drawConfig(random: Random): Partial<RaftConfig> {
  const chance = (share: number): boolean => random.float() < share
  const heartbeatTicks = between(random, 1, 2)
  return {
    heartbeatTicks,
    electionTicks: between(random, heartbeatTicks + 3, 8),
    maxMessageBytes: chance(0.5) ? 1 : 200,
    maxInflightMessages: between(random, 1, 6),
    maxInflightBytes: chance(0.7) ? 1000 : 200,
    maxCommittedBytes: chance(0.5) ? 1 : 200,
    maxUncommittedBytes: chance(0.7) ? 1_000_000 : 12,
    checkQuorum: chance(0.7),
    preVote: chance(0.7),
    thrifty: chance(0.7),
    stepDownOnRemoval: chance(0.9),
  }
}

function pick<T>(random: Random, list: readonly T[]): T {
  return present(list[between(random, 0, list.length - 1)], 'choice')
}
