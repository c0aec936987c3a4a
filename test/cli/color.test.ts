// Colors are for terminals whose owner wants them.
import { expect, it } from 'vitest'
import { painter, stateColor, wantsColor } from '../../src/cli/color.ts'

const output = (isTTY: boolean) => ({ isTTY, columns: 80, write: () => undefined })

it.each([
  ['on a terminal', {}, true, true, true],
  ['not in a pipe', {}, false, true, false],
  ['not with --no-color', {}, true, false, false],
  ['not with NO_COLOR', { NO_COLOR: '1' }, true, true, false],
  ['with an empty NO_COLOR, which is none', { NO_COLOR: '' }, true, true, true],
  ['not on a dumb terminal', { TERM: 'dumb' }, true, true, false],
])('colors: %s', (_, env, isTTY, flag, wanted) => {
  expect(wantsColor({ env }, output(isTTY), flag)).toBe(wanted)
})

it('without colors a text stays as it is', () => {
  expect(painter(false)('red', 'x')).toBe('x')
  expect(painter(true)('red', 'x')).toBe('\x1b[31mx\x1b[39m')
})

it('states are green when well, red when they need somebody, dim at rest, and yellow on their way', () => {
  expect(['running', 'failed', 'off', 'starting', 'never seen'].map(stateColor)).toEqual(['green', 'red', 'dim', 'yellow', 'yellow'])
})
