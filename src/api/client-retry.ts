// A write that must not get lost: asked again under the same key while its outcome is unknown, so it is done once or fails clearly.
import { backoffMs, type BackoffLimits } from '../base/backoff.ts'
import { type Clock, sleep } from '../base/clock.ts'
import { hasCode } from '../base/errors.ts'
import { newId, type RequestKey } from '../base/ids.ts'
import type { Random } from '../base/random.ts'
import type { ApiClient, Input, Reply } from './client.ts'
import type { WriteName } from './contract.ts'

/** An agent that restarts is back within a second; a leader that died is replaced in 1.4 s. */
const RETRY: BackoffLimits = { firstMs: 100, maxMs: 1_000 }

export interface RetryOptions {
  readonly clock: Clock
  readonly random: Random
  /** Ends the tries. */
  readonly signal: AbortSignal
}

/**
 * Asks the same agent until an answer comes or the signal ends it. What surely was not done (no agent at all at the first try, a refusal, no
 * quorum) is told at once, but "no quorum" says so of its own try only: behind one of unknown outcome it is asked on. Throws `timeout` where
 * the signal ends that.
 */
export async function callOnce<N extends WriteName>(client: ApiClient, name: N, input: Input<N>, options: RetryOptions): Promise<Reply<N>> {
  const { clock, random, signal } = options
  const key: RequestKey = newId((length) => random.bytes(length))
  let mayBeDone = false
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await client.call(name, input, { signal, key })
    } catch (error) {
      const isOpen = isUnknown(error, attempt) || (mayBeDone && hasCode(error, 'no-quorum'))
      if (signal.aborted || !isOpen) throw error
      mayBeDone = true
      await sleep(clock, backoffMs(attempt, RETRY, random), signal)
    }
  }
}

/** Once a request may have arrived, an agent that does not answer is one that restarts: its log knows the outcome. */
function isUnknown(error: unknown, attempt: number): boolean {
  if (hasCode(error, 'timeout')) return true
  return hasCode(error, 'unreachable') && (attempt > 0 || error.data['phase'] !== 'connect')
}
