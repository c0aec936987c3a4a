// The life of a repeated task: woken by a hint or a timer, one run at a time, stopped once.
import { type Clock, type Timer } from './clock.ts'

export interface Loop {
  /** Asks for a run soon; many hints before it starts are one run. */
  wake(): void
  /** Resolves when the last run has ended; no run starts after the call. */
  stop(): Promise<void>
}

export interface LoopOptions {
  readonly clock: Clock
  /** The longest time between two runs without a hint. */
  readonly everyMs: number
  readonly run: (signal: AbortSignal) => Promise<void>
  /** A run that threw; the loop goes on. */
  readonly onError: (error: unknown) => void
}

/** Starts with a run at once. */
export function startLoop(options: LoopOptions): Loop {
  const { clock } = options
  const controller = new AbortController()
  let running: Promise<void> | undefined
  let wanted = false
  let timer: Timer | undefined

  const turn = (): void => {
    if (controller.signal.aborted) return
    if (running !== undefined) {
      wanted = true
      return
    }
    wanted = false
    timer?.cancel()
    running = options
      .run(controller.signal)
      .catch((error: unknown) => {
        if (!controller.signal.aborted) options.onError(error)
      })
      .finally(() => {
        running = undefined
        if (controller.signal.aborted) return
        timer = clock.after(options.everyMs, turn)
        if (wanted) clock.defer(turn)
      })
  }
  turn()
  return {
    wake: () => {
      if (running !== undefined) wanted = true
      else clock.defer(turn)
    },
    async stop() {
      controller.abort(new Error('stopped'))
      timer?.cancel()
      await running
    },
  }
}
