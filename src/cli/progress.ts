// One line that tells what is going on, redrawn in place; only on a terminal, and gone when it is over.
import type { Clock, Timer } from '../base/clock.ts'
import type { Output } from './io.ts'

export interface Progress {
  /** `percent` null: how far is not known. */
  show(step: string, percent: number | null): void
  /** Takes the line away. */
  end(): void
}

const BAR_CELLS = 20
/** So that the seconds run, also while nothing else changes. */
const REDRAW_MS = 500

/** `title` stays in front of every step. Silent where nobody looks. */
export function startProgress(output: Output, clock: Clock, title: string): Progress {
  if (!output.isTTY) return { show: () => undefined, end: () => undefined }
  const start = clock.now()
  let shown = { step: '', percent: null as number | null }
  let timer: Timer | undefined
  const draw = (): void => {
    const line = progressLine({ title, ...shown, seconds: Math.floor((clock.now() - start) / 1000) }, output.columns)
    output.write(`\r\x1b[2K${line}`)
    timer = clock.after(REDRAW_MS, draw)
  }
  return {
    show(step, percent) {
      timer?.cancel()
      shown = { step, percent }
      draw()
    },
    end() {
      if (timer === undefined) return
      timer.cancel()
      output.write('\r\x1b[2K')
    },
  }
}

interface ProgressState {
  readonly title: string
  readonly step: string
  readonly percent: number | null
  readonly seconds: number
}

/** `start VM web: booting on h2 [#####---------------]  25 %  3 s`, cut to the width of the terminal. */
export function progressLine({ title, step, percent, seconds }: ProgressState, columns: number): string {
  const done = percent === null ? 0 : Math.round((percent / 100) * BAR_CELLS)
  const bar = percent === null ? '' : ` [${'#'.repeat(done)}${'-'.repeat(BAR_CELLS - done)}] ${String(percent).padStart(3)} %`
  const tail = `${bar}  ${seconds} s`
  const text = step === '' ? title : `${title}: ${step}`
  // The last column stays free: a full line would wrap, and the next redraw would leave it behind.
  const room = Math.max(0, columns - 1 - tail.length)
  return `${text.length > room ? `${text.slice(0, Math.max(0, room - 1))}…` : text}${tail}`.slice(0, Math.max(0, columns - 1))
}
