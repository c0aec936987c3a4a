// Where should this VM start? Filters say which hosts may take it and why others may not, scores which of them suits best.
import { type HostId } from '../base/ids.ts'
import { compareText } from '../inventory/view.ts'
import { whyNot, whyThere, type HostRefusal, type Ranked } from './explain.ts'
import { score } from './scores.ts'
import { type Placeable, type World } from './world.ts'

export type Placement =
  | {
      readonly kind: 'placed'
      readonly host: HostId
      /** Why this one, for the event log. */
      readonly reasons: readonly string[]
      /** All hosts that may take it, best first. */
      readonly ranking: readonly Ranked[]
      /** The others. */
      readonly perHost: readonly HostRefusal[]
    }
  | { readonly kind: 'refused'; readonly perHost: readonly HostRefusal[] }

/** The same input gives the same host on every machine: equal scores go by host id. Never changes anything. */
export function place(world: World, vm: Placeable): Placement {
  const hosts = [...world.inventory.hosts.values()].sort((a, b) => compareText(a.id, b.id))
  const judged = hosts.map((host) => ({ host, reasons: whyNot(world, vm, host) }))
  const perHost = judged.filter(({ reasons }) => reasons.length > 0).map(({ host, reasons }) => ({ host: host.id, reasons }))
  const ranking = judged
    .filter(({ reasons }) => reasons.length === 0)
    .map(({ host }) => ({ host: host.id, score: score(world, vm, host) }))
    // The sort is stable: equal scores stay in the order of their ids.
    .sort((a, b) => b.score.total - a.score.total)
  const [best, ...others] = ranking
  if (best === undefined) return { kind: 'refused', perHost }
  return { kind: 'placed', host: best.host, reasons: whyThere(best, others), ranking, perHost }
}
