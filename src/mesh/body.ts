// Bodies between members: msgpack without classes or records, so that any version reads any other's.
import { Packr } from 'msgpackr'
import { type ErrorCode, errorText, isErrorCode, OperationError, type Reason, toWireError, type WireError } from '../base/errors.ts'

/** The longest body of a request, a reply or a gossip message. Larger things go through a byte stream. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024

const packr = new Packr({ useRecords: false, mapsAsObjects: true, variableMapSize: true, int64AsType: 'number' })

/** Throws `too-large`. */
export function packBody(value: unknown): Uint8Array {
  const bytes = new Uint8Array(packr.pack(value))
  if (bytes.length > MAX_BODY_BYTES) {
    throw new OperationError('too-large', `a body of ${bytes.length} bytes cannot be sent to a host, at most ${MAX_BODY_BYTES} are allowed`)
  }
  return bytes
}

/** Throws `usage` on bytes that are no body. */
export function unpackBody(bytes: Uint8Array): unknown {
  try {
    const value: unknown = packr.unpack(bytes)
    return value
  } catch (error) {
    throw new OperationError('usage', `a body of ${bytes.length} bytes is malformed: ${errorText(error)}`, { cause: error })
  }
}

/** The fields of an unpacked record; empty for anything else. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}

/** The facts of an error are extra: where they cannot travel, code and message still do. */
export function packFailure(error: unknown): Uint8Array {
  const wire = toWireError(error)
  try {
    return packBody(wire)
  } catch {
    return packBody({ code: wire.code, message: wire.message.slice(0, 10_000), data: {}, reasons: [] })
  }
}

/** An error as it came over the wire, whatever came. */
export function parseWireError(value: unknown): WireError {
  const { code, message, data, reasons } = fieldsOf(value)
  const known: ErrorCode = typeof code === 'string' && isErrorCode(code) ? code : 'failed'
  return {
    code: known,
    message: typeof message === 'string' ? message : 'failed without a message',
    data: fieldsOf(data),
    reasons: Array.isArray(reasons) ? reasons.flatMap(parseReason) : [],
  }
}

function parseReason(value: unknown): Reason[] {
  const { code, message, fix } = fieldsOf(value)
  if (typeof code !== 'string' || typeof message !== 'string') return []
  return [typeof fix === 'string' ? { code, message, fix } : { code, message }]
}
