// Chance as an argument: the only file of the product that asks for it. The simulator draws from its seed.

export interface Random {
  /** Uniform in [0, 1). */
  float(): number
  /** `length` bytes, unpredictable in the real one. */
  bytes(length: number): Uint8Array
}

export const realRandom: Random = {
  float: () => Math.random(),
  // Fetched when it is needed: an import of node:crypto is a fifth of what a command line costs to start.
  bytes: (length) => new Uint8Array(process.getBuiltinModule('node:crypto').randomBytes(length)),
}

/** Uniform whole number in [low, high]. */
export function between(random: Random, low: number, high: number): number {
  return low + Math.floor(random.float() * (high - low + 1))
}

/**
 * Repeatable chance from a seed, for simulations and tests: splitmix32 (Steele, Lea, Flood 2014, 32-bit variant).
 * Never for keys.
 */
export function seededRandom(seed: number): Random {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
  return {
    float: () => next() / 0x1_0000_0000,
    bytes: (length) => Uint8Array.from({ length }, () => next() & 255),
  }
}
