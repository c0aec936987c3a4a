// Waits between tries: doubling, with jitter, up to a limit.
import { type Random } from './random.ts'

export interface BackoffLimits {
  readonly firstMs: number
  readonly maxMs: number
}

/** The wait before try `attempt` (0 = first retry): half fixed, half chance, so that peers do not try in step. */
export function backoffMs(attempt: number, limits: BackoffLimits, random: Random): number {
  const full = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(attempt, 30))
  return full / 2 + (full / 2) * random.float()
}
