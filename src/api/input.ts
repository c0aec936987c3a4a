// Parses what a client sent, once, at the border: every fault is named with its field, what was found and what is wanted.
import * as v from 'valibot'
import { OperationError, type Reason } from '../base/errors.ts'
import { newId, type RequestKey } from '../base/ids.ts'
import { type Random } from '../base/random.ts'

/** Bodies are small: the largest is a VM with its disks. */
const MAX_BODY_BYTES = 1024 ** 2
const MAX_KEY_CHARS = 128

/** `what` names the part of the request: "body", "query". Throws `usage` with one reason a fault. */
export function parseInput<T>(schema: v.GenericSchema<unknown, T>, value: unknown, what: string): T {
  const parsed = v.safeParse(schema, value)
  if (parsed.success) return parsed.output
  const reasons = parsed.issues.map((issue) => faultOf(issue, schema))
  throw new OperationError(
    'usage',
    `the ${what} of the request is not as it must be: ${reasons.map(({ message }) => message).join('; ')}`,
    { reasons },
  )
}

/** The text of a body, read no further than MAX_BODY_BYTES. Throws `too-large`. */
export async function readBody(request: Request): Promise<string> {
  if (Number(request.headers.get('content-length') ?? 0) > MAX_BODY_BYTES) throw tooLarge()
  const body: ReadableStream<Uint8Array> | null = request.body
  if (body === null) return ''
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw tooLarge()
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

/** An empty body is an empty object. */
export function parseJsonBody(text: string): unknown {
  if (text.trim() === '') return {}
  try {
    const json: unknown = JSON.parse(text)
    return json
  } catch (cause) {
    throw new OperationError(
      'usage',
      `the body of the request is no JSON: ${cause instanceof Error ? cause.message : 'it cannot be read'}`,
      { cause },
    )
  }
}

/** The idempotency key of a write; one of its own where the client sent none. */
export function parseKey(header: string | undefined, random: Random): RequestKey {
  if (header === undefined) return newId((length) => random.bytes(length))
  if (isKey(header)) return header
  throw new OperationError('usage', `the idempotency-key is not 1 to ${MAX_KEY_CHARS} visible ASCII characters`)
}

function isKey(text: string): text is RequestKey {
  return /^[\x21-\x7e]+$/.test(text) && text.length <= MAX_KEY_CHARS
}

function tooLarge(): OperationError {
  return new OperationError('too-large', `the body of the request is larger than ${MAX_BODY_BYTES} bytes`)
}

function faultOf(issue: v.BaseIssue<unknown>, schema: v.GenericSchema): Reason {
  const field = v.getDotPath(issue) ?? ''
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    return { code: 'unknown-field', message: `there is no field "${field}"; known are ${knownFields(issue, schema)}` }
  }
  if (issue.received === 'undefined') return { code: 'missing-field', message: `field "${field}" is missing` }
  const wanted = issue.expected === null ? issue.message : `wanted is ${issue.expected}`
  return { code: 'bad-field', message: `${field === '' ? 'it' : `field "${field}"`} is ${issue.received}, ${wanted}` }
}

function knownFields(issue: v.BaseIssue<unknown>, schema: v.GenericSchema): string {
  const holder = issue.path?.length === 1 && 'entries' in schema ? schema.entries : null
  const names = typeof holder === 'object' && holder !== null ? Object.keys(holder) : []
  return names.length === 0 ? 'fewer than were sent' : names.join(', ')
}
