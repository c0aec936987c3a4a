// JSON with one text per value: keys in order, undefined left out. Equal states give equal bytes on every member.

export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (isPlain(part) ? sorted(part) : part))
}

/** The same value with all its keys in order, nested ones too: what a host applied and what it read from a snapshot look the same. */
export function inKeyOrder(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(sorted(value)).map(([key, part]) => [key, ordered(part)]))
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  return isPlain(value) ? inKeyOrder(value) : value
}

function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function sorted(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const keys = Object.keys(value).sort()
  return Object.fromEntries(keys.map((key) => [key, value[key]]))
}
