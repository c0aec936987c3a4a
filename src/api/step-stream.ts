// Answers of what takes a while: steps as they come, then how it ended.
import { type Clock } from '../base/clock.ts'
import { toWireError } from '../base/errors.ts'
import { Queue } from '../base/queue.ts'
import { drain, type StreamItem } from './stream.ts'
import { type FailedMessage } from './types.ts'

/** Steps that a client has not read yet; there are fewer than ten. */
const STEPS = 100

interface StepMessage {
  readonly kind: 'step'
  readonly step: string
}

/** `work` gets the way to tell a step; what it resolves with is the last message, what it rejects with becomes one. */
export async function* stepStream<Done extends { readonly kind: 'done' }>(
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  work: (tell: (step: string) => void) => Promise<Done>,
): AsyncGenerator<StreamItem<StepMessage | Done | FailedMessage> | null, void, undefined> {
  const queue = new Queue<StepMessage | Done | FailedMessage>(STEPS)
  // A step that does not fit is not shown; how it ended always is.
  const end = (message: Done | FailedMessage): void => {
    if (queue.push(message)) return
    queue.clear()
    queue.push(message)
  }
  work((step) => void queue.push({ kind: 'step', step })).then(end, (cause: unknown) => end(failed(cause)))
  for await (const message of drain(queue, clock, signal)) {
    yield message === null ? null : { data: message }
    if (message !== null && message.kind !== 'step') return
  }
}

/** The last message of what rejected. */
export function failed(cause: unknown): FailedMessage {
  const { code, message, data, reasons } = toWireError(cause)
  return { kind: 'failed', error: { code, message, data: { ...data }, reasons: reasons.map((reason) => ({ ...reason })) } }
}
