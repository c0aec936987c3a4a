// When a peer counts as silent. Time in which this process itself did not run is not held against its peers.

/** A peer beats this often when it has nothing else to say. */
export const BEAT_MS = 250
/** How often peers are looked at, and so how late a verdict can be. */
export const TICK_MS = 50
/** Six beats and a bit: the last byte is up to one beat old at the cut, so that silence is noticed 1.4 to 1.7 s after it began. */
export const SILENT_AFTER_MS = 1650

/** A moment on the clock of the detector, which stands still while the process does. */
export type HeardAt = number

export class SilenceDetector {
  #dueAt: number
  #excusedMs = 0

  constructor(now: number) {
    this.#dueAt = now + TICK_MS
  }

  /** To be called every TICK_MS before asking: what it comes too late by is excused for everyone. */
  tick(now: number): void {
    this.#excusedMs += Math.max(0, now - this.#dueAt)
    this.#dueAt = now + TICK_MS
  }

  heard(now: number): HeardAt {
    return now - this.#excusedMs
  }

  silentMs(heardAt: HeardAt, now: number): number {
    return now - this.#excusedMs - heardAt
  }

  isSilent(heardAt: HeardAt, now: number): boolean {
    return this.silentMs(heardAt, now) >= SILENT_AFTER_MS
  }
}
