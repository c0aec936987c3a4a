// The progress line stays one line, and only on a terminal.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { progressLine, startProgress } from '../../src/cli/progress.ts'
import { manualClock } from '../fixture/manual-clock.ts'

describe('a progress line', () => {
  it('shows step, bar, percent and seconds', () => {
    expect(progressLine({ title: 'start VM web', step: 'booting on h2', percent: 25, seconds: 3 }, 80)).toBe(
      'start VM web: booting on h2 [#####---------------]  25 %  3 s',
    )
    expect(progressLine({ title: 'join', step: '', percent: null, seconds: 0 }, 80)).toBe('join  0 s')
  })

  it('is cut in its text where the terminal is narrow, to the last column but one', () => {
    const state = { title: 'start VM web', step: 'booting on h2', percent: null, seconds: 3 }
    const whole = 'start VM web: booting on h2  3 s'
    expect(progressLine(state, whole.length + 1)).toBe(whole)
    expect(progressLine(state, whole.length)).toBe('start VM web: booting on …  3 s')
  })

  it('never fills a line of the terminal, and keeps its figures', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.string(), fc.nat(200), fc.nat(10_000), (percent, step, columns, seconds) => {
        const line = progressLine({ title: 'start VM web', step, percent, seconds }, columns)
        expect(line.length).toBeLessThanOrEqual(Math.max(0, columns - 1))
        if (columns > 60) expect(line).toContain(`${percent} %`)
      }),
    )
  })
})

describe('progress', () => {
  function on(isTTY: boolean) {
    let written = ''
    const clock = manualClock()
    const progress = startProgress({ isTTY, columns: 80, write: (text) => (written += String(text)) }, clock, 'start VM web')
    return { clock, progress, written: () => written }
  }

  it('is redrawn in place while the seconds run, and gone at the end', async () => {
    const { clock, progress, written } = on(true)
    progress.show('placing', 0)
    await clock.run(1_000)
    progress.show('booting', 50)
    progress.end()
    await clock.run(5_000)
    const shown = written().split('\r\x1b[2K')
    expect(shown.at(-1)).toBe('')
    expect(shown.filter((line) => line.includes('placing')).map((line) => line.slice(-3))).toEqual(['0 s', '0 s', '1 s'])
    expect(shown.filter((line) => line.includes('booting'))).toHaveLength(1)
  })

  it('ends twice without harm, and without ever having been shown', () => {
    const { progress, written } = on(true)
    progress.end()
    progress.end()
    expect(written()).toBe('')
  })

  it('is silent where nobody looks', async () => {
    const { clock, progress, written } = on(false)
    progress.show('placing', 0)
    await clock.run(5_000)
    progress.end()
    expect(written()).toBe('')
  })
})
