// Server-sent events (WHATWG HTML, 9.2) as text: how one is written, and a parser for a stream that arrives in pieces.
import { OperationError } from '../base/errors.ts'

/** A comment: keeps the connection visibly alive and is dropped by every parser. */
export const HEARTBEAT = ':\n\n'

/** The longest event that is taken in: ten times the largest that the feed writes; more means that this is no such feed. */
const MAX_EVENT_CHARS = 4 * 1024 ** 2

/** `data` must be JSON text: it holds no line break. */
export function formatEvent(data: string, id?: number): string {
  return id === undefined ? `data: ${data}\n\n` : `id: ${id}\ndata: ${data}\n\n`
}

/** Returns the function that takes the next piece of text and gives the data of each event that it completes. */
export function eventParser(): (piece: string) => string[] {
  let held = ''
  return (piece) => {
    held += piece
    const blocks = held.split('\n\n')
    held = blocks.pop() ?? ''
    if (held.length > MAX_EVENT_CHARS)
      throw new OperationError('too-large', `an event of the feed is longer than ${MAX_EVENT_CHARS} characters`)
    return blocks.flatMap(dataOf)
  }
}

function dataOf(block: string): string[] {
  const lines = block.split('\n').filter((line) => line.startsWith('data:'))
  return lines.length === 0 ? [] : [lines.map((line) => line.slice(line.startsWith('data: ') ? 6 : 5)).join('\n')]
}
