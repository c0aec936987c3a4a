// A placement in words: why not there, why nowhere, why here.
import { type Reason } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Host } from '../inventory/model.ts'
import { compareText, hostName } from '../inventory/view.ts'
import { FILTERS } from './filters.ts'
import { type Score } from './scores.ts'
import { type Placeable, type World } from './world.ts'

export interface Ranked {
  readonly host: HostId
  readonly score: Score
}

export interface HostRefusal {
  readonly host: HostId
  readonly reasons: readonly Reason[]
}

/** All reasons against `vm` on `host` at once; empty: it could start there. The very filters that decide, so the answer is the truth. */
export function whyNot(world: World, vm: Placeable, host: Host): readonly Reason[] {
  return FILTERS.flatMap((filter) => filter.check(world, vm, host))
}

/** Why the first of a ranking was chosen: how it compares, then its figures. */
export function whyThere(ranking: readonly Ranked[]): readonly string[] {
  const [best, second] = ranking
  if (best === undefined) return []
  const figures = best.score.parts.map(({ text }) => text).filter((text) => text !== '')
  const compared =
    second === undefined ? 'the only host that may take it' : `best of ${ranking.length} hosts: ${grade(best)} before ${grade(second)}`
  return [compared, ...figures]
}

function grade(ranked: Ranked): string {
  return ranked.score.total.toFixed(3)
}

/** One sentence for a refusal by all hosts, the most frequent reason first: "memory: h1, h3; role: h2". */
export function refusalSummary(world: World, perHost: readonly HostRefusal[]): string {
  const hosts = new Map<string, string[]>()
  for (const { host, reasons } of perHost) {
    for (const code of new Set(reasons.map((reason) => reason.code))) {
      hosts.set(code, [...(hosts.get(code) ?? []), hostName(world.inventory, host)])
    }
  }
  if (hosts.size === 0) return 'the mesh has no host'
  return [...hosts]
    .sort(([a, hostsOfA], [b, hostsOfB]) => hostsOfB.length - hostsOfA.length || compareText(a, b))
    .map(([code, names]) => `${code}: ${names.join(', ')}`)
    .join('; ')
}
