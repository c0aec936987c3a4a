// Every wait has an end: a deadline on the given clock, joined with the caller's own abort signal.
import { type Clock } from './clock.ts'
import { OperationError } from './errors.ts'

/** An abort signal that fires with an OperationError `timeout` after `ms`, or with `parent`. Call `done` when the wait is over. */
export interface Deadline {
  readonly signal: AbortSignal
  done(): void
}

/** `what` names the wait in the error: "reading the inventory took longer than 5,000 ms". */
export function deadline(clock: Clock, ms: number, what: string, parent?: AbortSignal): Deadline {
  const controller = new AbortController()
  const timer = clock.after(ms, () => controller.abort(new OperationError('timeout', `${what} took longer than ${ms} ms`)))
  const onParent = (): void => controller.abort(parent?.reason)
  if (parent?.aborted) onParent()
  else parent?.addEventListener('abort', onParent, { once: true })
  return {
    signal: controller.signal,
    done() {
      timer.cancel()
      parent?.removeEventListener('abort', onParent)
    },
  }
}

/** How long a piece of work may take, what it is called when that was too long, and who else may end it. */
export interface Limit {
  readonly clock: Clock
  readonly ms: number
  readonly what: string
  readonly signal?: AbortSignal | undefined
}

/** Runs `work` with a signal that ends after `limit.ms`; rejects with `timeout` then, even where `work` ignores the signal. */
export async function within<T>({ clock, ms, what, signal }: Limit, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const limit = deadline(clock, ms, what, signal)
  try {
    return await abortable(work(limit.signal), limit.signal)
  } finally {
    limit.done()
  }
}

/** `promise`, or a rejection with the signal's reason as soon as that is aborted. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
