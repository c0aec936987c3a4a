// A broken invariant is a bug: it ends the process, guests live on under the warden.

/** Thrown for a broken invariant of our own code. Never caught to go on: the process ends, the supervisor restarts it. */
export class BugError extends Error {
  override name = 'BugError'
}

/** Ends the flow with a BugError unless `condition` holds; `message` states the numbers that broke the invariant. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new BugError(message)
}

/** For the default branch of a switch over a union: compiles only while every kind is handled. */
export function unreachable(value: never, what: string): never {
  throw new BugError(`unexpected ${what}: ${JSON.stringify(value)}`)
}

/** `value`, or a BugError that says what was missing. */
export function present<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new BugError(`missing ${what}`)
  return value
}
