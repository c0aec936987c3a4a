// Messages for a client as a stream of server-sent events: bounded, with heartbeats, ended by the client, the handler or the server.
import { type Clock } from '../base/clock.ts'
import { deadline } from '../base/deadline.ts'
import { hasCode } from '../base/errors.ts'
import { type Queue } from '../base/queue.ts'
import { formatEvent, HEARTBEAT } from './sse.ts'

/** The client gives up after three of them (client.ts). */
const HEARTBEAT_MS = 10_000

export interface StreamItem<T> {
  readonly data: T
  readonly id?: number
}

/** Whatever is in the queue, as it comes, until the signal; null is a heartbeat: nothing came for HEARTBEAT_MS. */
export async function* drain<T>(queue: Queue<T>, clock: Clock, signal: AbortSignal): AsyncGenerator<T | null, void, undefined> {
  for (;;) {
    const limit = deadline(clock, HEARTBEAT_MS, 'waiting for a change', signal)
    try {
      yield* await queue.takeAll(limit.signal)
    } catch (error) {
      if (signal.aborted) return
      if (!hasCode(error, 'timeout')) throw error
      yield null
    } finally {
      limit.done()
    }
  }
}

/** The body of an answer. `end` is called when the client goes, so that the messages' generator leaves its wait. */
export function eventBody<T>(items: AsyncGenerator<StreamItem<T> | null, void, undefined>, end: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await items.next()
        if (next.done === true) controller.close()
        else
          controller.enqueue(encoder.encode(next.value === null ? HEARTBEAT : formatEvent(JSON.stringify(next.value.data), next.value.id)))
      },
      async cancel() {
        end()
        await items.return()
      },
    },
    // Nothing is made before the client wants it: what waits, waits in the handler's bounded queue.
    { highWaterMark: 0 },
  )
}
