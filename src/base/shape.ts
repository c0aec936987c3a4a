// Shapes: readers of outside data put together from smaller ones. No field too few, none too many; errors name the path.
import { asFields, asList, asText, mismatch } from './parse.ts'

/** Reads an unknown value as T, or throws `usage`; `what` is the path to it: `record.command.disks[2].name`. As the `as…` of parse.ts. */
export type Shape<T> = (value: unknown, what: string) => T

/** A field that may be absent. */
export interface OptionalShape<T> {
  readonly optional: Shape<T>
}

type FieldShapes<T> = {
  readonly [K in keyof T]-?: undefined extends T[K] ? OptionalShape<Exclude<T[K], undefined>> : Shape<T[K]>
}

/** Exactly these fields: an unknown one comes from a newer program, and what is dropped silently is understood wrongly. */
export function object<T extends object>(fields: FieldShapes<T>): Shape<T> {
  const entries = Object.entries<Shape<unknown> | OptionalShape<unknown>>(fields)
  const names = new Set(Object.keys(fields))
  return (value, what) => {
    const found = asFields(value, what)
    for (const name of Object.keys(found)) if (!names.has(name)) throw mismatch(`${what}.${name}`, 'absent', found[name])
    const result: Record<string, unknown> = {}
    for (const [name, field] of entries) {
      const part = found[name]
      if (typeof field === 'function') result[name] = field(part, `${what}.${name}`)
      else if (part !== undefined) result[name] = field.optional(part, `${what}.${name}`)
    }
    // Each field was read by the shape of its own type, and FieldShapes<T> names them all.
    return result as T
  }
}

export function optional<T>(shape: Shape<T>): OptionalShape<T> {
  return { optional: shape }
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return (value, what) => (value === null ? null : shape(value, what))
}

export function list<T>(shape: Shape<T>, maxLength: number): Shape<readonly T[]> {
  return (value, what) => {
    const found = asList(value, what)
    if (found.length > maxLength) throw mismatch(what, `a list of at most ${maxLength}`, `one of ${found.length}`)
    return found.map((part, at) => shape(part, `${what}[${at}]`))
  }
}

/** Keys are free. */
export function record<T>(shape: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value, what) =>
    Object.fromEntries(Object.entries(asFields(value, what)).map(([key, part]) => [key, shape(part, `${what}.${key}`)]))
}

/** `T` is string or a branded one: whoever asks for an id takes the text for it. */
export function text<T extends string = string>(maxLength: number): Shape<T> {
  return (value, what) => {
    const found = asText(value, what)
    if (found.length > maxLength) throw mismatch(what, `a text of at most ${maxLength} characters`, found)
    return found as T
  }
}

/** A whole number that JSON carries exactly. `T` as in `text`. */
export function whole<T extends number = number>(min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER): Shape<T> {
  return (value, what) => {
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value as T
    throw mismatch(what, `a whole number from ${min} to ${max}`, value)
  }
}

export function finite(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw mismatch(what, 'a number', value)
  return value
}

export function literal<T extends string | number>(...values: readonly T[]): Shape<T> {
  return (value, what) => {
    const found = values.find((one) => one === value)
    if (found === undefined) throw mismatch(what, `one of ${values.join(', ')}`, value)
    return found
  }
}

/** Plain data that nothing is decided by. */
export function anything(value: unknown): unknown {
  return value
}

/** A union told apart by the text in `key`: one shape a member. `stranger` makes the error for a text that no member has. */
export function variant<T extends object, K extends keyof T & string>(
  key: K,
  shapes: { readonly [N in T[K] & string]: Shape<Extract<T, { readonly [P in K]: N }>> },
  stranger?: (name: string) => Error,
): Shape<T> {
  const table = new Map<string, Shape<T>>(Object.entries<Shape<T>>(shapes))
  return (value, what) => {
    const name = asText(asFields(value, what)[key], `${what}.${key}`)
    const shape = table.get(name)
    if (shape !== undefined) return shape(value, what)
    throw stranger?.(name) ?? mismatch(`${what}.${key}`, `one of ${[...table.keys()].join(', ')}`, name)
  }
}
