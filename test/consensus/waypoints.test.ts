// Where the log may be cut, and with which term and configuration.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { BugError } from '../../src/base/assert.ts'
import { type ConfState, type EntryKind, type SnapshotMeta } from '../../src/consensus/types.ts'
import { Waypoints } from '../../src/consensus/waypoints.ts'

function confOf(version: number): ConfState {
  return { voters: [version], outgoing: [], learners: [], learnersNext: [], autoLeave: false }
}

interface Step {
  readonly kind: EntryKind
  readonly later: boolean
}

const anyHistory = fc.record({
  start: fc.nat(50),
  steps: fc.array(fc.record({ kind: fc.constantFrom<EntryKind>('normal', 'normal', 'normal', 'config'), later: fc.boolean() }), {
    maxLength: 40,
  }),
  /** Shares of the history: what was applied before the start of the process, and where the log is cut. */
  before: fc.float({ min: 0, max: 1, noNaN: true }),
  cuts: fc.array(fc.float({ min: 0, max: 1, noNaN: true }), { maxLength: 3 }),
})

/** The truth: the meta after every entry, the first is that of the log's start. */
function metas(start: number, steps: readonly Step[]): SnapshotMeta[] {
  let current: SnapshotMeta = { index: start, term: 1, conf: confOf(0) }
  return [
    current,
    ...steps.map(({ kind, later }, at) => {
      current = { index: start + at + 1, term: current.term + (later ? 1 : 0), conf: kind === 'config' ? confOf(at + 1) : current.conf }
      return current
    }),
  ]
}

it('knows term and configuration at every applied entry, save for configurations of before the start that the log alone cannot tell', () => {
  fc.assert(
    fc.property(anyHistory, ({ start, steps, before, cuts }) => {
      const truth = metas(start, steps)
      const applied = Math.floor(before * steps.length)
      const entries = steps.map(({ kind }, at) => ({
        index: start + at + 1,
        term: truth[at + 1]?.term ?? 0,
        kind,
        data: new Uint8Array(0),
      }))
      const log = { hardState: { term: 99, vote: 0, commit: 0 }, snapshot: truth[0] ?? { index: 0, term: 0, conf: confOf(0) }, entries }
      const waypoints = new Waypoints(log, truth[applied] ?? log.snapshot)
      for (const meta of truth.slice(applied + 1)) waypoints.applied(meta)
      const changes = steps.slice(0, applied).flatMap(({ kind }, at) => (kind === 'config' ? [at + 1] : []))
      const isKnown = (at: number): boolean => at >= (changes.at(-1) ?? 0) || at < (changes[0] ?? Number.POSITIVE_INFINITY)
      let cut = 0
      for (const share of [0, ...cuts]) {
        const next = cut + Math.floor(share * (truth.length - cut))
        const meta = truth[next]
        if (meta !== undefined && isKnown(next)) {
          cut = next
          waypoints.startAt(meta)
        }
        for (const [at, expected] of truth.entries()) {
          if (at >= cut) expect(waypoints.at(expected.index)).toEqual(isKnown(at) ? expected : undefined)
        }
      }
    }),
    { numRuns: 300 },
  )
})

it('starts anew after a received snapshot', () => {
  const conf = confOf(1)
  const waypoints = new Waypoints(
    { hardState: { term: 1, vote: 0, commit: 0 }, snapshot: { index: 0, term: 0, conf }, entries: [] },
    { index: 0, term: 0, conf },
  )
  waypoints.applied({ index: 1, term: 1, conf })
  waypoints.startAt({ index: 50, term: 7, conf: confOf(2) })
  expect(waypoints.at(50)).toEqual({ index: 50, term: 7, conf: confOf(2) })
  expect(() => waypoints.at(49)).toThrow(BugError)
})
