// Silence is measured in time in which this process ran.
import { expect, it } from 'vitest'
import { BEAT_MS, SILENT_AFTER_MS, SilenceDetector, TICK_MS } from '../../src/mesh/silence.ts'

it('a peer is silent from the limit on, not before', () => {
  const detector = new SilenceDetector(0)
  const heardAt = detector.heard(100)
  expect(detector.isSilent(heardAt, 100 + SILENT_AFTER_MS - 1)).toBe(false)
  expect(detector.isSilent(heardAt, 100 + SILENT_AFTER_MS)).toBe(true)
  expect(detector.silentMs(heardAt, 400)).toBe(300)
})

it('what a tick comes too late is excused, for peers heard before', () => {
  const detector = new SilenceDetector(0)
  const heardAt = detector.heard(0)
  detector.tick(TICK_MS)
  detector.tick(2 * TICK_MS + 10_000)
  expect(detector.silentMs(heardAt, 2 * TICK_MS + 10_000)).toBe(2 * TICK_MS)
})

it('but not for peers heard after, nor for ticks in time', () => {
  const detector = new SilenceDetector(0)
  detector.tick(TICK_MS + 5000)
  const heardAt = detector.heard(TICK_MS + 5000)
  for (let tick = 1; tick <= 10; tick += 1) detector.tick((tick + 1) * TICK_MS + 5000)
  expect(detector.silentMs(heardAt, 11 * TICK_MS + 5000)).toBe(10 * TICK_MS)
})

it('a tick that comes early excuses nothing and takes nothing back', () => {
  const detector = new SilenceDetector(0)
  const heardAt = detector.heard(0)
  detector.tick(TICK_MS - 20)
  expect(detector.silentMs(heardAt, TICK_MS)).toBe(TICK_MS)
})

it('the verdict falls 1.4 to 1.7 s after a cut, wherever in a beat and between ticks it falls', () => {
  expect(SILENT_AFTER_MS - BEAT_MS).toBeGreaterThanOrEqual(1400)
  expect(SILENT_AFTER_MS + TICK_MS).toBeLessThanOrEqual(1700)
})
