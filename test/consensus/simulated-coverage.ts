// What happened in simulated runs, counted, and how much is the least: a world in which nothing happens proves nothing.

export const COUNTED = [
  'elections',
  'transfers',
  'forgotten leaders',
  'deposed by quorum check',
  'commits',
  'truncations',
  'figure 8',
  'snapshots',
  'compactions',
  'configuration changes',
  'joint configurations',
  'members removed while leading',
  'reads by leader',
  'reads by follower',
  'crashes',
  'crashes that lost writes',
  'disk errors',
  'cuts',
  'pauses',
  'messages lost',
  'messages doubled',
  'messages of old terms',
  'appends shortened',
  'proposals refused',
] as const

export type Counted = (typeof COUNTED)[number]

export type Coverage = Record<Counted, number>

export function noCoverage(): Coverage {
  return {
    elections: 0,
    transfers: 0,
    'forgotten leaders': 0,
    'deposed by quorum check': 0,
    commits: 0,
    truncations: 0,
    'figure 8': 0,
    snapshots: 0,
    compactions: 0,
    'configuration changes': 0,
    'joint configurations': 0,
    'members removed while leading': 0,
    'reads by leader': 0,
    'reads by follower': 0,
    crashes: 0,
    'crashes that lost writes': 0,
    'disk errors': 0,
    cuts: 0,
    pauses: 0,
    'messages lost': 0,
    'messages doubled': 0,
    'messages of old terms': 0,
    'appends shortened': 0,
    'proposals refused': 0,
  }
}

/** Of 1,000 seeds from anywhere: about half of what they gave on 2026-11-25. Less means that the worlds have gone to sleep. */
const FLOOR: Coverage = {
  elections: 2500,
  transfers: 120,
  'forgotten leaders': 8000,
  'deposed by quorum check': 100,
  commits: 17000,
  truncations: 710,
  'figure 8': 460,
  snapshots: 480,
  compactions: 2500,
  'configuration changes': 450,
  'joint configurations': 200,
  'members removed while leading': 50,
  'reads by leader': 9700,
  'reads by follower': 6400,
  crashes: 3800,
  'crashes that lost writes': 1200,
  'disk errors': 800,
  cuts: 3500,
  pauses: 1600,
  'messages lost': 7200,
  'messages doubled': 11000,
  'messages of old terms': 20000,
  'appends shortened': 2200,
  'proposals refused': 7300,
}

/** Fewer than these are left to chance: rare events come in clusters, as a mood has many of them or none. */
export const JUDGED_SEEDS = 300

/** What happened too seldom in `seeds` seeds, each with how often it did and should have. */
export function asleep(total: Coverage, seeds: number): string[] {
  const least = (what: Counted): number => Math.floor((FLOOR[what] * seeds) / 1000)
  return COUNTED.filter((what) => total[what] < least(what)).map((what) => `${total[what]} ${what} (at least ${least(what)})`)
}

export function addCoverage(sum: Coverage, more: Coverage): void {
  for (const what of COUNTED) sum[what] += more[what]
}
