// The first words on a stream, on both sides: hello, then welcome or a refusal with its reason.
import { OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Frame, FRAME } from './frame.ts'
import { type FrameStream } from './frame-stream.ts'
import { encodeHello, encodeRefusal, type Hello, judgeHello, parseHello, parseRefusal, type Refusal } from './hello.ts'

/** Time for a whole greeting: a newcomer may have to wait until its predecessor is known to be silent. */
export const GREETING_MS = 4000

/** Opener's side. Rejects with `refused` (`data.code` a HelloRefusal) when either side will not talk to the other. */
export async function greet(stream: FrameStream, mine: Hello, host: HostId, signal: AbortSignal): Promise<Hello> {
  stream.send(FRAME.hello, encodeHello(mine), 'urgent')
  const theirs = readWelcome(await stream.next(signal))
  const refusal = judgeHello(mine, theirs, host)
  if (refusal !== undefined) throw refusedError(refusal)
  return theirs
}

/** Answerer's first step. */
export async function readHello(stream: FrameStream, signal: AbortSignal): Promise<Hello> {
  const frame = await stream.next(signal)
  if (frame.type !== FRAME.hello) throw new OperationError('usage', `frame ${frame.type} came instead of a hello`)
  return parseHello(frame.payload)
}

export function welcome(stream: FrameStream, mine: Hello): void {
  stream.send(FRAME.welcome, encodeHello(mine), 'urgent')
}

/** Says why, and ends the stream in order so that the reason arrives. */
export function refuse(stream: FrameStream, refusal: Refusal): void {
  stream.send(FRAME.refused, encodeRefusal(refusal), 'urgent')
  stream.close()
}

/** The answer to a hello; throws `refused` for a refusal. */
export function readWelcome(frame: Frame): Hello {
  if (frame.type === FRAME.refused) throw refusedError(parseRefusal(frame.payload))
  if (frame.type !== FRAME.welcome) throw new OperationError('usage', `frame ${frame.type} came instead of a welcome`)
  return parseHello(frame.payload)
}

export function refusedError({ code, message, generation, notice }: Refusal): OperationError {
  return new OperationError('refused', message, { data: { code, generation, notice }, reasons: [{ code, message }] })
}
