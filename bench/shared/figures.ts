// How benches speak: a small table, the promise beside the figure, and what else the machine had to do meanwhile.
import { availableParallelism, loadavg } from 'node:os'
import { styleText } from 'node:util'

/** What was measured, in the order of the measurements. */
export interface Figure {
  readonly name: string
  readonly values: readonly number[]
  readonly unit: string
  /** What the README claims for a machine with nothing else to do; the median is held against it. */
  readonly promised?: number
}

/** Prints title, machine and figures. */
export function printFigures(title: string, figures: readonly Figure[]): void {
  const rows = figures.map(({ name, values, unit, promised }) => [
    name,
    String(values.length),
    ...[median(values), Math.min(...values), Math.max(...values)].map((value) => `${rounded(value)} ${unit}`),
    promised === undefined ? '' : `${rounded(promised)} ${unit}`,
    promised === undefined ? '' : median(values) <= promised ? 'kept' : 'missed',
  ])
  process.stdout.write(`\n${styleText('bold', title)}\n${machine()}\n\n`)
  process.stdout.write(table([['', 'n', 'median', 'min', 'max', 'promised', ''], ...rows]))
}

/** Lines with columns of equal width; all but the first are aligned to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const cells = (row: readonly string[]): string[] =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
  return rows.map((row) => `  ${cells(row).join('   ').trimEnd()}\n`).join('')
}

/** Of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.ceil(sorted.length / 2) - 1]
  if (upper === undefined || lower === undefined) throw new Error('nothing was measured')
  return (lower + upper) / 2
}

/** What figures from this run can be trusted for. */
export function machine(): string {
  const [lastMinute = 0] = loadavg()
  return `${availableParallelism()} cores, ${lastMinute.toFixed(1)} processes wanted to run in the last minute (this bench among them)`
}

function rounded(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

/** The number behind the command, or a default: how often to measure. */
export function roundsWanted(otherwise: number): number {
  const [text] = process.argv.slice(2)
  const rounds = text === undefined ? otherwise : Number(text)
  if (Number.isSafeInteger(rounds) && rounds > 0) return rounds
  throw new Error(`expected a number of rounds, found "${text}"`)
}
