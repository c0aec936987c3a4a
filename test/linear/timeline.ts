// A short history as text: one line an operation, with a bar from its call to its answer.
import { type RegisterHistory, type RegisterOperation } from './register.ts'

/** Columns of a bar: each moment at which something happened has its own while they suffice. */
const WIDTH = 60

export function timelineText(history: RegisterHistory, stuck?: RegisterOperation): string {
  const operations = history.toSorted((a, b) => a.calledAt - b.calledAt)
  const moments = [...new Set(operations.flatMap(({ calledAt, answer }) => [calledAt, ...(answer === undefined ? [] : [answer.at])]))]
  moments.sort((a, b) => a - b)
  const start = moments[0] ?? 0
  const step = Math.max(1, moments.length / WIDTH)
  const columnOf = new Map(moments.map((moment, at) => [moment, Math.floor(at / step)]))
  const width = Math.min(WIDTH, moments.length)
  const rows = operations.map((operation) => {
    const { client, calledAt, answer } = operation
    const from = columnOf.get(calledAt) ?? 0
    const to = answer === undefined ? width - 1 : (columnOf.get(answer.at) ?? from)
    const bar = `${' '.repeat(from)}[${'-'.repeat(Math.max(0, to - from - 1))}${answer === undefined ? '...' : ']'}`
    return {
      cells: [
        `client ${client}`,
        (calledAt - start).toFixed(3),
        answer === undefined ? '' : (answer.at - start).toFixed(3),
        wordsOf(operation),
        bar,
      ],
      mark: operation === stuck ? '<- no place for this one' : '',
    }
  })
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(0, ...rows.map(({ cells }) => (cells[column] ?? '').length)))
  return rows
    .map(({ cells, mark }) => `  ${cells.map((cell, at) => (at < 4 ? cell.padEnd(widths[at] ?? 0) : cell)).join('  ')}  ${mark}`.trimEnd())
    .join('\n')
}

function wordsOf({ input, answer }: RegisterOperation): string {
  const text = (value: string | null): string => value ?? '(none)'
  const outcome = answer === undefined ? 'unknown' : undefined
  switch (input.kind) {
    case 'read':
      return `read ${input.key}: ${outcome ?? (answer?.output.kind === 'value' ? text(answer.output.value) : answer?.output.kind)}`
    case 'write':
      return `write ${input.key} = ${input.value}: ${outcome ?? 'done'}`
    case 'cas': {
      const asked = `cas ${input.key} ${text(input.expected)} -> ${input.value}`
      if (answer?.output.kind !== 'differed') return `${asked}: ${outcome ?? 'done'}`
      const { found } = answer.output
      return `${asked}: ${found === undefined ? 'not equal' : `found ${text(found)}`}`
    }
  }
}
