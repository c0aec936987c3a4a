// What the pairs of a state add up to, kept up to date with every change without reading the state again.
import { assert } from '../base/assert.ts'
import { crc32 } from './checksum.ts'
import { type StateDigest } from './types.ts'

/** Part of what lies on disk: keys were once summed with this byte before them. */
const SEED = crc32(Uint8Array.of(0x76))
/** A pair is remembered as size * 2^32 + checksum in one number: 16 bytes less than an object for each of some 100,000 keys. */
const MAX_PAIR_BYTES = 2 ** 21 - 1
const TWO_32 = 0x1_0000_0000

export class StateTally {
  readonly #pairs = new Map<string, number>()
  #bytes = 0
  #sum = 0

  get digest(): StateDigest {
    return { count: this.#pairs.size, bytes: this.#bytes, sum: this.#sum }
  }

  keys(): Iterable<string> {
    return this.#pairs.keys()
  }

  /** `key` is `name` as UTF-8. */
  set(name: string, key: Uint8Array, value: Uint8Array): void {
    this.delete(name)
    const bytes = key.length + value.length
    assert(bytes <= MAX_PAIR_BYTES, `state: the pair ${name} has ${bytes} bytes, ${MAX_PAIR_BYTES} are allowed`)
    const sum = crc32(value, crc32(key, SEED))
    this.#pairs.set(name, bytes * TWO_32 + sum)
    this.#bytes += bytes
    this.#sum = (this.#sum + sum) >>> 0
  }

  delete(name: string): void {
    const pair = this.#pairs.get(name)
    if (pair === undefined) return
    this.#pairs.delete(name)
    this.#bytes -= Math.floor(pair / TWO_32)
    this.#sum = (this.#sum - (pair % TWO_32)) >>> 0
  }
}

export function sameDigest(one: StateDigest, other: StateDigest): boolean {
  return one.count === other.count && one.bytes === other.bytes && one.sum === other.sum
}
