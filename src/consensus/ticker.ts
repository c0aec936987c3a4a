// The heartbeat of a member's own clock. Time that it slept through is not made up for.
import { type Clock, type Timer } from '../base/clock.ts'

export interface TickerOptions {
  readonly clock: Clock
  readonly tickMs: number
  readonly onTick: () => void
  readonly onLate: (lateMs: number) => void
}

export interface Ticker {
  stop(): void
}

/**
 * One tick per firing, however late: a member that was stopped for a minute (SIGSTOP, a paused machine) has not waited a minute for its leader.
 * A firing late by a whole tick or more is not counted at all, once in a row, so that what the peers sent meanwhile is read before their
 * silence is taken for death. Twice in a row would leave a member that is always late without any time.
 */
export function startTicker(options: TickerOptions): Ticker {
  const { clock, tickMs } = options
  let timer: Timer
  let skipped = false
  const next = (): void => {
    const due = clock.now() + tickMs
    timer = clock.after(tickMs, () => {
      const lateMs = clock.now() - due
      skipped = lateMs >= tickMs && !skipped
      next()
      if (skipped) options.onLate(lateMs)
      else options.onTick()
    })
  }
  next()
  return { stop: () => timer.cancel() }
}
