// Alarms for the event log, the same one once a minute: who knocks in a loop must not fill the log.
import { type Clock } from '../base/clock.ts'
import { type Emitter, emitter } from '../base/emitter.ts'
import { type MeshAlarm } from './mesh.ts'

const REPEAT_AFTER_MS = 60_000
/** Different alarms within that time; a stranger can make up as many identities as it likes, so more are dropped. */
const MAX_PER_WINDOW = 64

export class Alarms {
  readonly #clock: Clock
  readonly #raisedAt = new Map<string, number>()
  readonly #events: Emitter<MeshAlarm> = emitter<MeshAlarm>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  on(listener: (alarm: MeshAlarm) => void): () => void {
    return this.#events.on(listener)
  }

  raise(alarm: MeshAlarm): void {
    const now = this.#clock.now()
    for (const [key, at] of this.#raisedAt) if (now - at >= REPEAT_AFTER_MS) this.#raisedAt.delete(key)
    const key = keyOf(alarm)
    if (this.#raisedAt.has(key) || this.#raisedAt.size >= MAX_PER_WINDOW) return
    this.#raisedAt.set(key, now)
    this.#events.emit(alarm)
  }
}

function keyOf(alarm: MeshAlarm): string {
  switch (alarm.kind) {
    case 'cloned-identity':
      return `${alarm.kind} ${alarm.host}`
    case 'refused':
      return `${alarm.kind} ${alarm.host} ${alarm.reason}`
  }
}
