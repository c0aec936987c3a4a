// Brings stored pairs into a state machine in slices: however large the state, the event loop is never held up for long.
import { type Clock } from '../base/clock.ts'
import { type StateLoader, type TakePairs } from './types.ts'

/** Work between two turns of the event loop: well below a heartbeat. */
export const SLICE_MS = 5
/** Pairs between two looks at the clock: a row of the largest kind takes some 20 µs. */
const PAIRS_AT_ONCE = 64

export function feed(clock: Clock, loader: StateLoader): TakePairs {
  let until = clock.now() + SLICE_MS
  return async (pairs) => {
    for (let at = 0; at < pairs.length; at += PAIRS_AT_ONCE) {
      loader.add(pairs.slice(at, at + PAIRS_AT_ONCE))
      if (clock.now() < until) continue
      await new Promise<void>((resolve) => clock.defer(resolve))
      until = clock.now() + SLICE_MS
    }
  }
}
