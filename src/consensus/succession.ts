// Who stands first when the leader's connection closes: an order instead of chance, so that two followers do not split the votes.
import { type Random } from '../base/random.ts'
import { type ConfState, type NodeId } from './types.ts'

/** The first waits until the others have seen the close too: 4 ms in the median. */
const BASE_MS = 20
/** Each next one waits so much longer: the election of the one before, two round trips and two syncs on a slow disk. */
const STEP_MS = 60
const JITTER_MS = 20

/** Milliseconds until `id` stands for election after `lost` was lost; undefined when it is no voter. Voters go in the order of their ids. */
export function campaignDelayMs(conf: ConfState, id: NodeId, lost: NodeId, random: Random): number | undefined {
  const voters = new Set([...conf.voters, ...conf.outgoing])
  if (!voters.has(id)) return undefined
  let rank = 0
  for (const voter of voters) if (voter < id && voter !== lost) rank += 1
  return BASE_MS + rank * STEP_MS + random.float() * JITTER_MS
}
