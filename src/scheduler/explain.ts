// A placement in words: why not there, why there.
import { type Reason } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Host } from '../inventory/model.ts'
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

/** Why `best` was chosen before `others` (best first): how it compares, then its figures. */
export function whyThere(best: Ranked, others: readonly Ranked[]): readonly string[] {
  const [second] = others
  const figures = best.score.parts.map(({ text }) => text).filter((text) => text !== '')
  const compared =
    second === undefined ? 'the only host that may take it' : `best of ${others.length + 1} hosts: ${grade(best)} before ${grade(second)}`
  return [compared, ...figures]
}

function grade(ranked: Ranked): string {
  return ranked.score.total.toFixed(3)
}
