// Words before any command is known.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hoistGlobals, wantsJson } from '../../src/cli/words.ts'

describe('flags before the noun', () => {
  it.each([
    ['--socket S vm list', 'vm list --socket S'],
    ['-o json --no-color vm list --x', 'vm list --x -o json --no-color'],
    ['--output=json status', 'status --output=json'],
    ['--data-dir D vm console web -- -o', 'vm console web --data-dir D -- -o'],
    ['vm list --socket S', 'vm list --socket S'],
    ['--help', '--help'],
    ['--socket', '--socket'],
    ['--socket S', '--socket S'],
    ['--unknown x vm list', '--unknown x vm list'],
  ])('%s becomes %s', (given, wanted) => {
    expect(hoistGlobals(given.split(' ')).join(' ')).toBe(wanted)
  })

  it('are never lost, and nothing is added', () => {
    const word = fc.constantFrom('--socket', '-o', 'json', 'vm', 'list', '--no-color', '--', 'x', '--host=1')
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (words) => {
        expect([...hoistGlobals(words)].toSorted()).toEqual(words.toSorted())
      }),
    )
  })
})

describe('errors are JSON', () => {
  it.each(['-o json', '--output json', '--output=json', '-o=json'])('with %s', (words) => {
    expect(wantsJson(['vm', 'list', ...words.split(' ')])).toBe(true)
  })

  it.each(['-o table', 'json', '--reason json', '-o'])('not with %s', (words) => {
    expect(wantsJson(['vm', 'list', ...words.split(' ')])).toBe(false)
  })
})
