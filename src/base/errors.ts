// One table of error codes: what each means to HTTP and to the shell. Errors are recognised by code, never by text.

const CODES = {
  failed: { http: 500, exit: 1 },
  usage: { http: 400, exit: 2 },
  forbidden: { http: 403, exit: 3 },
  refused: { http: 422, exit: 3 },
  'not-found': { http: 404, exit: 4 },
  'no-quorum': { http: 503, exit: 5 },
  timeout: { http: 504, exit: 6 },
  conflict: { http: 409, exit: 7 },
  unreachable: { http: 502, exit: 1 },
  'too-large': { http: 413, exit: 2 },
} as const

/** Why an operation failed, as scripts may rely on it. */
export type ErrorCode = keyof typeof CODES

/** Plain facts beside the message: ids, values found, values needed, job ids. JSON-safe. */
export type ErrorData = Readonly<Record<string, unknown>>

/** One reason of a refusal: the check that said no and what would mend it. */
export interface Reason {
  /** Stable kebab-case name of the check, for example `memory` or `name-taken`. */
  readonly code: string
  /** Object, value found, value needed, in one sentence. */
  readonly message: string
  /** The command or action that mends it. */
  readonly fix?: string
}

/**
 * A failure that a person or a script has to act on. `message` names the action, the object, the value found and the value needed;
 * `reasons` lists every check that refused.
 */
export class OperationError extends Error {
  override name = 'OperationError'
  readonly code: ErrorCode
  readonly data: ErrorData
  readonly reasons: readonly Reason[]

  constructor(code: ErrorCode, message: string, options: { data?: ErrorData; reasons?: readonly Reason[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.data = options.data ?? {}
    this.reasons = options.reasons ?? []
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(CODES, text)
}

export function httpStatus(code: ErrorCode): number {
  return CODES[code].http
}

export function exitCode(code: ErrorCode): number {
  return CODES[code].exit
}

/** A refusal by one or more checks: exit code 3, every reason is shown. */
export function refusal(message: string, reasons: readonly Reason[], data: ErrorData = {}): OperationError {
  return new OperationError('refused', message, { reasons, data })
}

/** True for an OperationError with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is OperationError {
  return error instanceof OperationError && codes.includes(error.code)
}

/** The text of anything thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** How an error travels between hosts and to clients: JSON-safe, without stack. */
export interface WireError {
  readonly code: ErrorCode
  readonly message: string
  readonly data: ErrorData
  readonly reasons: readonly Reason[]
}

/** The wire form of anything thrown; what is not an OperationError becomes `failed`. */
export function toWireError(error: unknown): WireError {
  if (error instanceof OperationError) return { code: error.code, message: error.message, data: error.data, reasons: error.reasons }
  return { code: 'failed', message: errorText(error), data: {}, reasons: [] }
}

export function fromWireError(wire: WireError): OperationError {
  return new OperationError(wire.code, wire.message, { data: wire.data, reasons: wire.reasons })
}
