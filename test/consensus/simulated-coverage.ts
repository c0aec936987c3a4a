// What happened in simulated runs, counted: a world in which nothing happens proves nothing.

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

export function addCoverage(sum: Coverage, more: Coverage): void {
  for (const what of COUNTED) sum[what] += more[what]
}
