// Tables as text: columns as wide as their cells, numbers to the right. Pure.
import type { Color, Paint } from './color.ts'

export interface Column<R> {
  readonly title: string
  readonly cell: (row: R) => string
  /** Numbers align by their last digit. */
  readonly right?: boolean
  readonly color?: (row: R) => Color
}

/** Two spaces between columns, no trailing spaces; the title line too when there are no rows. */
export function table<R>(columns: readonly Column<R>[], rows: readonly R[], paint: Paint): string {
  const cells = rows.map((row) => columns.map(({ cell }) => cell(row)))
  const widths = columns.map(({ title }, at) => Math.max(title.length, ...cells.map((line) => (line[at] ?? '').length)))
  const line = (texts: readonly string[], color: (at: number) => Color | undefined): string => {
    const padded = texts.map((text, at) => {
      const space = ' '.repeat((widths[at] ?? 0) - text.length)
      const name = color(at)
      const shown = name === undefined ? text : paint(name, text)
      if (columns[at]?.right === true) return space + shown
      return at === texts.length - 1 ? shown : shown + space
    })
    return padded.join('  ').trimEnd()
  }
  const head = line(
    columns.map(({ title }) => title),
    () => 'bold',
  )
  const body = rows.map((row, at) => line(cells[at] ?? [], (column) => columns[column]?.color?.(row)))
  return `${[head, ...body].join('\n')}\n`
}

/** `name: value` lines with the values in one column; empty values are left out. */
export function list(entries: readonly (readonly [name: string, value: string])[]): string {
  const shown = entries.filter(([, value]) => value !== '')
  const widest = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${`${name}:`.padEnd(widest + 1)}  ${value}\n`).join('')
}
