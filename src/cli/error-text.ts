// What is seen of an error: what failed, every check that said no, and the command that mends it. Pure.
import { toWireError, type Reason } from '../base/errors.ts'
import type { Paint } from './color.ts'

/** For people; never a stack trace. */
export function errorText(error: unknown, paint: Paint): string {
  const { message, reasons } = toWireError(error)
  const lines = reasons.flatMap((reason) => reasonLines(reason, message, paint))
  return `${[`${paint('red', 'error:')} ${message}`, ...lines].join('\n')}\n`
}

/** For scripts that asked for JSON: one object, one line; wrong words may make several. */
export function errorJson(error: unknown): string {
  return `${JSON.stringify({ error: toWireError(error) })}\n`
}

/** A reason that only repeats the message is not told twice; its mend is. */
export function reasonLines({ code, message, fix }: Reason, said: string, paint: Paint): string[] {
  return [...(message === said ? [] : [`  - ${code}: ${message}`]), ...(fix === undefined ? [] : [`    ${paint('dim', 'mend:')} ${fix}`])]
}
