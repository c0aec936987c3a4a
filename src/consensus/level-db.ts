// What the two LevelDB stores share: opening, CRC-sealed records, and the errors of a damaged or failing disk.
import { crc32 } from 'node:zlib'
import { Level } from 'level'
import { errorText, OperationError } from '../base/errors.ts'

type Db = Level<Uint8Array, Uint8Array>
export type DbOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

/** Bytes of the checksum behind a sealed record. */
export const SEAL_BYTES = 4
/** What a new LevelDB starts with, and the size at which it begins a new file and table (see level-state.ts). */
export const WRITE_BUFFER_BYTES = 4 * 1024 * 1024

/** Throws `failed` with data.kind `damaged` (LevelDB itself found it), `locked` (another process has it open) or `disk`. */
export async function openDb(directory: string, store: 'log' | 'state'): Promise<StoreDb> {
  const level: Db = new Level(directory, { keyEncoding: 'view', valueEncoding: 'view', writeBufferSize: WRITE_BUFFER_BYTES })
  try {
    await level.open()
    return new StoreDb(directory, store, level)
  } catch (error) {
    throw openError(directory, store, error)
  }
}

/**
 * An open LevelDB that stays failed once an operation failed, even when the disk has space again: what of a failed write got into LevelDB's
 * log is unknown, and what follows a torn record there is lost at the next open.
 */
export class StoreDb {
  readonly #directory: string
  readonly #store: 'log' | 'state'
  readonly #level: Db
  #failure: OperationError | undefined

  constructor(directory: string, store: 'log' | 'state', level: Db) {
    this.#directory = directory
    this.#store = store
    this.#level = level
  }

  /** Throws `failed` with data.kind `damaged` where LevelDB found what it had written changed (opening it again finds the same), else `disk`. */
  async run<T>(action: string, operation: (level: Db) => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return await operation(this.#level)
    } catch (error) {
      this.#failure = isCorruption(error)
        ? this.damaged(`${action}: ${rootText(error)}`, {}, error)
        : diskError(this.#directory, action, error)
      throw this.#failure
    }
  }

  /** The error of a store that can no longer be trusted: its member must not vote with it. `problem`: what was found, what was expected. */
  damaged(problem: string, facts: object = {}, cause?: unknown): OperationError {
    return damaged(this.#directory, problem, { store: this.#store, ...facts }, cause)
  }

  /** Bytes that cannot be read as what they must be are damage too. */
  decode<T>(decode: () => T): T {
    try {
      return decode()
    } catch (error) {
      if (error instanceof OperationError) throw this.damaged(error.message, {}, error)
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#level.close()
  }
}

/** Fills the last SEAL_BYTES of `record` with the CRC32 of the rest. */
export function seal(record: Uint8Array): Uint8Array {
  const body = record.length - SEAL_BYTES
  writeU32(record, body, crc32(record.subarray(0, body)))
  return record
}

/** The record without its seal; undefined when the seal does not fit. */
export function unseal(record: Uint8Array): Uint8Array | undefined {
  const body = record.length - SEAL_BYTES
  if (body < 0 || readU32(record, body) !== crc32(record.subarray(0, body))) return undefined
  return record.subarray(0, body)
}

export function readU32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at)
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setUint32(at, value)
}

function damaged(directory: string, problem: string, facts: object, cause: unknown): OperationError {
  return new OperationError(
    'failed',
    `${directory} is damaged: ${problem}. It needs repair: move it away and let this host join the mesh again as a new member`,
    { data: { kind: 'damaged', directory, ...facts }, cause },
  )
}

function diskError(directory: string, action: string, cause: unknown): OperationError {
  return new OperationError('failed', `${action} in ${directory} failed: ${rootText(cause)}`, { data: { kind: 'disk', directory }, cause })
}

function openError(directory: string, store: string, error: unknown): OperationError {
  if (isCorruption(error)) return damaged(directory, `LevelDB cannot open it: ${rootText(error)}`, { store }, error)
  if (levelCode(error) === 'LEVEL_LOCKED') {
    return new OperationError('failed', `${directory} is in use by another process`, { data: { kind: 'locked', directory }, cause: error })
  }
  return diskError(directory, 'opening the store', error)
}

function isCorruption(error: unknown): boolean {
  return levelCode(error) === 'LEVEL_CORRUPTION'
}

/** What LevelDB itself said, which `level` may have wrapped. */
function rootOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error
}

function rootText(error: unknown): string {
  return errorText(rootOf(error))
}

function levelCode(error: unknown): unknown {
  const root = rootOf(error)
  return root instanceof Error && 'code' in root ? root.code : undefined
}
