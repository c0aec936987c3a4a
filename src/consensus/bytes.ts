// Reading and writing fixed binary records: big-endian, every read checked against the end, numbers up to 2^53.
import { assert } from '../base/assert.ts'
import { OperationError } from '../base/errors.ts'

const TWO_32 = 0x1_0000_0000
/** The high half of the largest safe integer. */
const MAX_HIGH = 0x1f_ffff

/** Fills a record whose exact size the caller has computed; `finish` proves the computation. */
export class ByteWriter {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(size: number) {
    this.#bytes = new Uint8Array(size)
    this.#view = new DataView(this.#bytes.buffer)
  }

  u8(value: number): void {
    this.#view.setUint8(this.#at, value)
    this.#at += 1
  }

  u32(value: number): void {
    this.#view.setUint32(this.#at, value)
    this.#at += 4
  }

  /** 8 bytes for a safe integer: two halves instead of a BigInt, which costs an allocation a number. */
  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, `cannot encode ${value}: not a safe integer of at least 0`)
    this.#view.setUint32(this.#at, Math.floor(value / TWO_32))
    this.#view.setUint32(this.#at + 4, value >>> 0)
    this.#at += 8
  }

  bytes(value: Uint8Array): void {
    this.#bytes.set(value, this.#at)
    this.#at += value.length
  }

  finish(): Uint8Array {
    assert(this.#at === this.#bytes.length, `record of ${this.#bytes.length} bytes was filled with ${this.#at}`)
    return this.#bytes
  }
}

/** Reads what a ByteWriter wrote. Whatever the bytes hold, it only returns values in range or throws `failed`, data.kind `malformed`. */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #what: string
  #at = 0

  /** `what` names the record in errors: "Raft frame". */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#what = what
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field))
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field))
  }

  u64(field: string): number {
    const at = this.#take(8, field)
    const high = this.#view.getUint32(at)
    if (high > MAX_HIGH) throw this.malformed(field, 'it is larger than 2^53 - 1')
    return high * TWO_32 + this.#view.getUint32(at + 4)
  }

  /** A view of the next `length` bytes, not a copy. */
  bytes(length: number, field: string): Uint8Array {
    const at = this.#take(length, field)
    return this.#bytes.subarray(at, at + length)
  }

  /** A number of items, refused when the rest of the record cannot hold them: no allocation on the word of a stranger. */
  count(minItemBytes: number, field: string): number {
    const count = this.u32(field)
    if (count * minItemBytes > this.remaining)
      throw this.malformed(field, `${count} items cannot fit into the ${this.remaining} bytes left`)
    return count
  }

  /** Records are canonical: nothing may follow. */
  end(): void {
    if (this.remaining > 0) throw this.malformed('end', `${this.remaining} bytes too many`)
  }

  malformed(field: string, problem: string): OperationError {
    const text = `${this.#what} of ${this.#bytes.length} bytes is malformed at byte ${this.#at}, ${field}: ${problem}`
    return new OperationError('failed', text, { data: { kind: 'malformed', field, at: this.#at } })
  }

  #take(length: number, field: string): number {
    if (length > this.remaining) throw this.malformed(field, `${length} bytes wanted, ${this.remaining} left`)
    const at = this.#at
    this.#at += length
    return at
  }
}
