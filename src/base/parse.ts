// Reads outside data field by field: `unknown` goes in, typed values come out, or a `usage` error that names what was wrong.
import { OperationError } from './errors.ts'

/** An object's fields, nothing known of them yet. */
export type Fields = Readonly<Record<string, unknown>>

/** JSON text to a value; `what` names it in the error. */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new OperationError('usage', `${what} is no JSON: ${excerpt(text)}`, { cause })
  }
}

export function asFields(value: unknown, what: string): Fields {
  if (!isFields(value)) throw mismatch(what, 'an object', value)
  return value
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function asList(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw mismatch(what, 'a list', value)
  return value
}

export function asText(value: unknown, what: string): string {
  if (typeof value !== 'string') throw mismatch(what, 'a text', value)
  return value
}

/** A whole number that JSON and JavaScript hold exactly, zero or more. */
export function asCount(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw mismatch(what, 'a whole number', value)
  return value
}

export function asFlag(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw mismatch(what, 'true or false', value)
  return value
}

export function asOneOf<T extends string>(value: unknown, choices: readonly T[], what: string): T {
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw mismatch(what, `one of ${choices.join(', ')}`, value)
  return found
}

/** null stays null, all else goes through `read`. */
export function orNull<T>(value: unknown, what: string, read: (value: unknown, what: string) => T): T | null {
  return value === null ? null : read(value, what)
}

/** The error of all readers: what was looked at, what it must be, what it is. */
export function mismatch(what: string, wanted: string, found: unknown): OperationError {
  return new OperationError('usage', `${what} must be ${wanted}, found ${excerpt(JSON.stringify(found) ?? String(found))}`)
}

/** Outside data may be huge; an error shows its beginning. */
const EXCERPT_CHARS = 100

function excerpt(text: string): string {
  return text.length <= EXCERPT_CHARS ? text : `${text.slice(0, EXCERPT_CHARS)}…`
}
