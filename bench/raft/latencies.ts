// Times of many requests in little space, to be added over processes and rounds: buckets that grow by 2 % each.
const FIRST_MS = 0.01
const GROWTH = 1.02
const BUCKETS = 800

/** Counts by bucket. */
export type Latencies = number[]

export function newLatencies(): Latencies {
  return Array.from({ length: BUCKETS }, () => 0)
}

export function addLatency(latencies: Latencies, ms: number): void {
  const bucket = ms <= FIRST_MS ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms / FIRST_MS) / Math.log(GROWTH)))
  latencies[bucket] = (latencies[bucket] ?? 0) + 1
}

export function sumLatencies(parts: readonly Latencies[]): Latencies {
  return newLatencies().map((_, bucket) => parts.reduce((sum, part) => sum + (part[bucket] ?? 0), 0))
}

/** Milliseconds that `share` (0 to 1) of the requests stayed within; at most 2 % too high. */
export function percentile(latencies: Latencies, share: number): number {
  let left = share * latencies.reduce((sum, count) => sum + count, 0)
  const bucket = latencies.findIndex((count) => (left -= count) <= 0)
  return FIRST_MS * GROWTH ** bucket
}
