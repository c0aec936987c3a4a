// Time as an argument: the only file of the product that asks the machine for it. The simulator has a clock of its own.

/** A timer that was set; `cancel` is harmless after it fired. */
export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Milliseconds of monotonic time since some fixed moment. Durations only; never compared between hosts. */
  now(): number
  /** Milliseconds since 1970 (UTC), for people and records. It may jump: never for durations. */
  wall(): number
  /** Calls `run` once after `ms`. It never keeps the process alive by itself. */
  after(ms: number, run: () => void): Timer
  /** Calls `run` after the work of this turn (setImmediate): how one turn's messages become one batch. */
  defer(run: () => void): void
}

export const realClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
  defer(run) {
    setImmediate(run)
  },
}

/** For a program whose only work may be to wait, as a command line between two tries: its timers keep the process alive. */
export const foregroundClock: Clock = {
  ...realClock,
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return { cancel: () => clearTimeout(timer) }
  },
}

/** Resolves after `ms`; rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason)
      return
    }
    const onAbort = (): void => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
