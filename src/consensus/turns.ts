// One after the other: work that must not overlap waits for its turn, in the order in which it came.

/** Whoever fails does not stop those behind it. The callers bound how many wait. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work)
    this.#last = turn.catch(() => {})
    return turn
  }
}
