// Telemetry and hints to all members. What it carries may be lost, repeated or late, and nothing is decided by it.
import { assert, BugError } from '../base/assert.ts'
import { type Emitter, emitter } from '../base/emitter.ts'
import { errorText } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { packBody, unpackBody } from './body.ts'
import { type WireGossip } from './wire.ts'

export interface GossipOptions {
  readonly log: Log
  readonly topics: readonly string[]
  readonly wire: WireGossip
  readonly isMember: (host: HostId) => boolean
}

interface Message {
  readonly from: HostId
  readonly body: unknown
}

export class Gossip {
  readonly #options: GossipOptions
  readonly #topics: ReadonlyMap<string, Emitter<Message>>

  constructor(options: GossipOptions) {
    this.#options = options
    this.#topics = new Map(options.topics.map((topic) => [topic, emitter<Message>()]))
    for (const topic of options.topics) options.wire.subscribe(topic)
  }

  publish(topic: string, body: unknown): void {
    this.#listeners(topic)
    this.#options.wire.publish(topic, packBody(body))
  }

  subscribe(topic: string, listener: (from: HostId, body: unknown) => void): () => void {
    return this.#listeners(topic).on(({ from, body }) => listener(from, body))
  }

  /** Messages travel over several hosts: the author may have been removed meanwhile. */
  received(topic: string, from: HostId, bytes: Uint8Array): void {
    const { log, isMember } = this.#options
    const listeners = this.#topics.get(topic)
    if (listeners === undefined || !isMember(from)) return
    try {
      listeners.emit({ from, body: unpackBody(bytes) })
    } catch (error) {
      if (error instanceof BugError) throw error
      log.warn({ topic, from, error: errorText(error) }, 'gossip not understood')
    }
  }

  #listeners(topic: string): Emitter<Message> {
    const listeners = this.#topics.get(topic)
    assert(listeners !== undefined, `gossip has no topic ${topic}`)
    return listeners
  }
}
