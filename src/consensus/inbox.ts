// Messages that came and were not yet taken by the core: bounded, because peers send faster than a disk syncs.
import { type Message } from './types.ts'

export interface InboxLimits {
  readonly messages: number
  /** Of these, messages that carry entries or a snapshot: up to 1 MiB each, or more. */
  readonly bulky: number
  /** Taken at once: the message that brings as many entries is the last one. */
  readonly entriesAtOnce: number
}

/** A full inbox drops what comes last, as a network may: Raft sends again. */
export class Inbox {
  readonly #limits: InboxLimits
  #messages: Message[] = []
  #bulky = 0
  #dropped = 0

  constructor(limits: InboxLimits) {
    this.#limits = limits
  }

  /** False when full: the message was dropped. */
  push(message: Message): boolean {
    const bulky = isBulky(message)
    if (this.#messages.length >= this.#limits.messages || (bulky && this.#bulky >= this.#limits.bulky)) {
      this.#dropped += 1
      return false
    }
    this.#messages.push(message)
    if (bulky) this.#bulky += 1
    return true
  }

  get isEmpty(): boolean {
    return this.#messages.length === 0
  }

  /** The oldest, in their order. */
  take(): readonly Message[] {
    let entries = 0
    let count = 0
    for (const message of this.#messages) {
      if (entries >= this.#limits.entriesAtOnce) break
      count += 1
      if (message.kind === 'append') entries += message.entries.length
      if (isBulky(message)) this.#bulky -= 1
    }
    const taken = this.#messages.slice(0, count)
    this.#messages = this.#messages.slice(count)
    return taken
  }

  /** How many were dropped since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }
}

function isBulky(message: Message): boolean {
  return message.kind === 'snapshot' || message.kind === 'propose' || (message.kind === 'append' && message.entries.length > 0)
}
