// The parts of something that stops, one after the other: one that fails keeps none of the others up.

/** Rejects with the first failure, once all were stopped. */
export async function stopAll(stops: readonly (() => void | Promise<void>)[]): Promise<void> {
  const failures: unknown[] = []
  for (const stop of stops) {
    try {
      await stop()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}
