// Seeds that found a bug, each with what it found. They run with every test, so that none of these comes back unseen.

export interface KeptSeed {
  readonly seed: number
  readonly hosts: number
  readonly seconds: number
  /** What went wrong, and where it was mended. */
  readonly found: string
}

export const KEPT_SEEDS: readonly KeptSeed[] = []
