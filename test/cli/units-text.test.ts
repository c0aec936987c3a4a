// Figures as people read them.
import { expect, it } from 'vitest'
import { formatMHz, formatMiB, formatSeconds, formatShare, formatTime } from '../../src/cli/units-text.ts'

it.each([
  [formatMHz(340.4), '340 MHz'],
  [formatMHz(999), '999 MHz'],
  [formatMHz(1000), '1.0 GHz'],
  [formatMHz(2345), '2.3 GHz'],
  [formatMHz(null), '-'],
  [formatMiB(512), '512 MiB'],
  [formatMiB(1024), '1 GiB'],
  [formatMiB(1536), '1.5 GiB'],
  [formatMiB(24_064), '23.5 GiB'],
  [formatMiB(null), '-'],
  [formatSeconds(0.4), '0s'],
  [formatSeconds(59), '59s'],
  [formatSeconds(60), '1m'],
  [formatSeconds(192), '3m 12s'],
  [formatSeconds(3600), '1h'],
  [formatSeconds(18_189), '5h 3m'],
  [formatSeconds(86_400 * 12 + 3600 * 4 + 59), '12d 4h'],
  [formatSeconds(86_400 + 59), '1d'],
  [formatSeconds(null), '-'],
  [formatShare(0.126), '13 %'],
  [formatShare(null), '-'],
  [formatTime('2026-11-25T13:04:05.678Z'), '2026-11-25 13:04:05'],
])('%s is %s', (shown, wanted) => {
  expect(shown).toBe(wanted)
})
