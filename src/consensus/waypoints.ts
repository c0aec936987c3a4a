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

  /**
   * `applied` is where the state stood at start. For entries before it, terms come from the log; the configuration is known before the first
   * change and after the last: whether the machine accepted one in between is not in the log.
   */
  constructor(log: StoredLog, applied: SnapshotMeta) {
    const before = log.entries.slice(0, applied.index - log.snapshot.index)
    const changes = before.filter(({ kind }) => kind === 'config')
    const first = changes[0]?.index ?? Number.POSITIVE_INFINITY
    const last = changes.at(-1)?.index ?? log.snapshot.index
    const confAt = (index: number): ConfState | undefined => (index >= last ? applied.conf : index < first ? log.snapshot.conf : undefined)
    const points = [log.snapshot, ...before].map(({ index, term }) => ({ index, term, conf: confAt(index) }))
    this.#points = points.filter((point, at) => at === 0 || point.term !== points[at - 1]?.term || point.conf !== points[at - 1]?.conf)
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

  /** The log starts after `meta` from now on: a point known here, or that of a received snapshot. */
  startAt(meta: SnapshotMeta): void {
    this.#points = [meta, ...this.#points.filter((point) => point.index > meta.index)]
  }
}
