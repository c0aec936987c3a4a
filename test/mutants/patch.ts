// Unified diffs, read and applied to files held in memory. A hunk is found by its text, so that a patch outlives what moves around it.
import { assert, present } from '../../src/base/assert.ts'

export interface Patch {
  /** `# Name: text` lines before the first file. */
  readonly head: ReadonlyMap<string, string>
  readonly files: readonly FilePatch[]
}

export interface FilePatch {
  /** From the repository's root. */
  readonly path: string
  readonly hunks: readonly Hunk[]
}

interface Hunk {
  /** Line of the old file, from 1; says which one is meant where the text stands several times. */
  readonly line: number
  readonly before: readonly string[]
  readonly after: readonly string[]
}

export function parsePatch(text: string): Patch {
  const head = new Map<string, string>()
  const files: { path: string; hunks: { line: number; before: string[]; after: string[] }[] }[] = []
  for (const line of text.trimEnd().split('\n')) {
    // The old name of the next file, not a line that goes away.
    if (line.startsWith('--- a/')) continue
    const named = /^# ([A-Z][\w ]*): (.+)$/.exec(line)
    const place = /^@@ -(\d+)/.exec(line)
    if (named !== null && files.length === 0) head.set(present(named[1], 'name'), present(named[2], 'text'))
    else if (line.startsWith('+++ ')) files.push({ path: line.slice(4).replace(/^b\//, '').replace(/\t.*/, ''), hunks: [] })
    else if (place !== null) present(files.at(-1), 'file of a hunk').hunks.push({ line: Number(place[1]), before: [], after: [] })
    else addLine(files.at(-1)?.hunks.at(-1), line)
  }
  return { head, files }
}

/** The file's text with all hunks applied, or which hunk does not fit: its text is nowhere in the file. */
export function applyHunks(text: string, { hunks }: FilePatch): { readonly text: string } | { readonly misfit: string } {
  const lines = text.split('\n')
  let shift = 0
  for (const { line, before, after } of hunks) {
    const at = nearest(placesOf(lines, before), line - 1 + shift)
    if (at === undefined) return { misfit: before.join('\n') }
    lines.splice(at, before.length, ...after)
    shift = at - (line - 1) + after.length - before.length
  }
  return { text: lines.join('\n') }
}

/** The same change without what surrounds it, for files where only that has changed. Undefined where it removes nothing that could be found. */
export function withoutContext(file: FilePatch): FilePatch | undefined {
  const hunks = file.hunks.map(bare)
  return hunks.every(({ before }) => before.length > 0) ? { path: file.path, hunks } : undefined
}

function bare({ line, before, after }: Hunk): Hunk {
  const shorter = Math.min(before.length, after.length)
  let head = 0
  while (head < shorter && before[head] === after[head]) head++
  let tail = 0
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++
  return { line: line + head, before: before.slice(head, before.length - tail), after: after.slice(head, after.length - tail) }
}

function addLine(hunk: { before: string[]; after: string[] } | undefined, line: string): void {
  if (hunk === undefined || line.startsWith('\\')) return
  const kind = line[0] ?? ' '
  assert(kind === ' ' || kind === '-' || kind === '+', `patch: a line begins with ${kind}`)
  if (kind !== '+') hunk.before.push(line.slice(1))
  if (kind !== '-') hunk.after.push(line.slice(1))
}

function placesOf(lines: readonly string[], wanted: readonly string[]): number[] {
  const places: number[] = []
  for (let at = 0; at + wanted.length <= lines.length; at++)
    if (wanted.every((line, offset) => lines[at + offset] === line)) places.push(at)
  return places
}

function nearest(places: readonly number[], wanted: number): number | undefined {
  return places.toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted))[0]
}
