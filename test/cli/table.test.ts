// Tables line up, whatever stands in them.
import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { list, table } from '../../src/cli/table.ts'
import { painter } from '../../src/cli/color.ts'

const plain = painter(false)
const columns = [
  { title: 'NAME', cell: (row: readonly [string, number]) => row[0] },
  { title: 'N', right: true, cell: (row: readonly [string, number]) => String(row[1]) },
  { title: 'END', cell: () => 'x' },
]

describe('a table', () => {
  it('has columns as wide as their cells, numbers to the right, no trailing space', () => {
    const rows = [
      ['a', 5],
      ['longer-name', 1000],
    ] as const
    expect(table(columns, rows, plain)).toBe(['NAME            N  END', 'a               5  x', 'longer-name  1000  x', ''].join('\n'))
  })

  it('is its title line where there are no rows', () => {
    expect(table(columns, [], plain)).toBe('NAME  N  END\n')
  })

  it('has every column begin at the same place in every line', () => {
    const rows = fc.array(fc.tuple(fc.stringMatching(/^[a-z0-9-]{0,20}$/), fc.nat()), { maxLength: 10 })
    fc.assert(
      fc.property(rows, (given) => {
        const lines = table(columns, given, plain).trimEnd().split('\n')
        expect(lines).toHaveLength(given.length + 1)
        expect(new Set(lines.map((line) => line.lastIndexOf('  '))).size).toBe(1)
      }),
    )
  })

  it('is colored without moving its columns', () => {
    const colored = table(
      [
        { title: 'S', cell: (row: string) => row, color: () => 'red' as const },
        { title: 'T', cell: () => 'x' },
      ],
      ['ab'],
      painter(true),
    )
    expect(colored).toContain('\x1b[31mab\x1b[39m  x')
    expect(stripVTControlCharacters(colored)).toBe('S   T\nab  x\n')
  })
})

describe('a list of facts', () => {
  it('has its values in one column and leaves out what is empty', () => {
    expect(
      list([
        ['id', 'x'],
        ['nothing', ''],
        ['memory', '1 GiB'],
      ]),
    ).toBe('id:      x\nmemory:  1 GiB\n')
    expect(list([])).toBe('')
  })
})
