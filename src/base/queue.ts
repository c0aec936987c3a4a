// A bounded queue with one consumer: event handlers only push, one loop takes.
import { abortable } from './deadline.ts'

export class Queue<T> {
  readonly #limit: number
  readonly #items: T[] = []
  #wake: (() => void) | undefined

  /** `limit`: how many items may wait; the caller decides what a full queue means. */
  constructor(limit: number) {
    this.#limit = limit
  }

  get length(): number {
    return this.#items.length
  }

  /** False when full: the item was not taken. */
  push(item: T): boolean {
    if (this.#items.length >= this.#limit) return false
    this.#items.push(item)
    this.#wake?.()
    return true
  }

  /** Drops everything that waits. */
  clear(): void {
    this.#items.length = 0
  }

  /** Everything that waits, at least one item; rejects with the signal's reason. */
  async takeAll(signal: AbortSignal): Promise<T[]> {
    while (this.#items.length === 0) {
      const arrived = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      await abortable(arrived, signal)
    }
    signal.throwIfAborted()
    return this.#items.splice(0)
  }
}
