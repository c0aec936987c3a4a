// Remembers at which applied entries term and configuration changed, so that the log can be cut at any of them with the right meta.
import { assert } from '../base/assert.ts'
import { type ConfState, type SnapshotMeta, type StoredLog } from './types.ts'

/** From `index` on, until the next waypoint: this term and configuration. `conf` undefined: not known any more. */
interface Waypoint {
  readonly index: number
  readonly term: number
  readonly conf: ConfState | undefined
}

export class Waypoints {
  #points: Waypoint[]

  /** `applied` is where the state stood at start. Before it, terms come from the log; the configuration only if no change lies between. */
  constructor(log: StoredLog, applied: SnapshotMeta) {
    const before = log.entries.slice(0, applied.index - log.snapshot.index)
    const lastChange = before.findLast((entry) => entry.kind === 'config')?.index ?? log.snapshot.index
    this.#points = [log.snapshot, ...before].map(({ index, term }) => ({
      index,
      term,
      conf: index >= lastChange ? applied.conf : undefined,
    }))
    this.#points = this.#points.filter((point, at, all) => at === 0 || point.term !== all[at - 1]?.term || point.conf !== all[at - 1]?.conf)
  }

  /** The next entry is applied. `conf` is the configuration after it, the same object while it does not change. */
  applied(meta: SnapshotMeta): void {
    const last = this.#points.at(-1)
    if (last?.term !== meta.term || last.conf !== meta.conf) this.#points.push(meta)
  }

  /** Term and configuration as of the applied entry `index`; undefined when the configuration there is not known. */
  at(index: number): SnapshotMeta | undefined {
    const point = this.#points.findLast((candidate) => candidate.index <= index)
    assert(point !== undefined, `waypoints: ${index} is before the log`)
    return point.conf && { index, term: point.term, conf: point.conf }
  }

  /** The log starts after `meta` from now on. */
  startAt(meta: SnapshotMeta): void {
    this.#points = [meta, ...this.#points.filter((point) => point.index > meta.index)]
  }
}
