// Append messages sent to one follower and not yet acknowledged: a window limited in messages and in bytes.
import { assert } from '../base/assert.ts'

interface Inflight {
  /** Index of the last entry in the message. */
  readonly index: number
  readonly bytes: number
}

export class Inflights {
  readonly #maxMessages: number
  readonly #maxBytes: number
  #messages: Inflight[] = []
  #bytes = 0

  /** The byte limit is soft: the message that crosses it still goes. */
  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages
    this.#maxBytes = maxBytes
  }

  get count(): number {
    return this.#messages.length
  }

  get full(): boolean {
    return this.#messages.length >= this.#maxMessages || this.#bytes >= this.#maxBytes
  }

  /** Indexes must rise from call to call, and the window must not be full. */
  add(index: number, bytes: number): void {
    assert(!this.full, `inflights: ${this.#messages.length} messages, ${this.#bytes} bytes leave no room`)
    this.#messages.push({ index, bytes })
    this.#bytes += bytes
  }

  /** Everything up to and with `index` has arrived. */
  freeUpTo(index: number): void {
    const kept = this.#messages.findIndex((message) => message.index > index)
    const freed = this.#messages.splice(0, kept === -1 ? this.#messages.length : kept)
    for (const { bytes } of freed) this.#bytes -= bytes
  }

  reset(): void {
    this.#messages = []
    this.#bytes = 0
  }
}
