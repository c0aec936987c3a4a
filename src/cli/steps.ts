// What takes a while and tells its steps: shows them, and gives how it ended.
import { errorOf } from '../api/client.ts'
import type { FailedMessage } from '../api/types.ts'
import { OperationError, type Reason } from '../base/errors.ts'
import type { Progress } from './progress.ts'

interface StepMessage {
  readonly kind: 'step'
  readonly step: string
}

type Message = StepMessage | FailedMessage | { readonly kind: 'done' }
type End<M extends Message> = Extract<M, { readonly kind: 'done' }>

/** Throws what went wrong; `unreachable` with `cut` when the agent ended before it said what came of it. */
export async function lastStep<M extends Message>(messages: AsyncIterable<M>, progress: Progress, cut: Reason): Promise<End<M>> {
  for await (const message of messages) {
    if (isEnd(message)) return message
    if (message.kind === 'failed') throw errorOf(message.error, 0)
    if (message.kind === 'step') progress.show(message.step, null)
  }
  throw new OperationError('unreachable', 'the agent ended before it said what came of it', { reasons: [cut] })
}

function isEnd<M extends Message>(message: M): message is M & End<M> {
  return message.kind === 'done'
}
