// The one place where tests spend real time: waiting for a condition, with a limit.

export interface WaitOptions {
  /** After that the wait fails. */
  readonly limitMs?: number
  /** Between two looks. */
  readonly everyMs?: number
}

/**
 * Resolves with the first answer of `look` that is neither undefined nor false; rejects after the limit, naming what was waited for
 * and the last answer or error. `look` may throw as long as the thing is not there.
 */
export async function waitFor<T>(
  what: string,
  look: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const limitMs = options.limitMs ?? 10_000
  const end = performance.now() + limitMs
  for (;;) {
    const seen = await attempt(look)
    if (seen.kind === 'answer') return seen.answer
    if (performance.now() >= end) throw new Error(`waited ${limitMs} ms for ${what}; last: ${seen.text}`)
    await pause(options.everyMs ?? 20)
  }
}

type Seen<T> = { readonly kind: 'answer'; readonly answer: T } | { readonly kind: 'nothing'; readonly text: string }

async function attempt<T>(look: () => T | Promise<T>): Promise<Seen<Exclude<T, undefined | false>>> {
  try {
    const answer = await look()
    return isThere(answer) ? { kind: 'answer', answer } : { kind: 'nothing', text: String(answer) }
  } catch (error) {
    return { kind: 'nothing', text: error instanceof Error ? error.message : String(error) }
  }
}

function isThere<T>(answer: T): answer is Exclude<T, undefined | false> {
  return answer !== undefined && answer !== false
}

/** Only for measurements and for showing that nothing happens in a given time. */
export function pause(ms: number): Promise<void> {
  return new Promise((done) => {
    setTimeout(done, ms)
  })
}
