// The project's own files as data for the tidy rules: text, imports, and which file reaches which.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

export interface Import {
  /** A program is not imported, but started by the path of its file. */
  readonly kind: 'import' | 'program'
  /** As written. */
  readonly specifier: string
  /** Path from the repository's root where the specifier is relative. */
  readonly target?: string
  readonly line: number
}

export interface SourceFile {
  /** From the repository's root, with slashes. */
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
}

const ROOT = join(import.meta.dirname, '../..')
const FOLDERS = ['src', 'test', 'bench', 'demo']
const FILES = ['vitest.config.ts']

/** Every TypeScript file of the project, and the folders they lie in (empty ones too). */
export function readSourceTree(): { readonly files: readonly SourceFile[]; readonly paths: ReadonlySet<string> } {
  const paths = [...FILES, ...FOLDERS.filter((folder) => existsSync(join(ROOT, folder))).flatMap((folder) => walk(join(ROOT, folder)))]
  const files = paths.filter((path) => path.endsWith('.ts')).map((path) => sourceFile(path, readFileSync(join(ROOT, path), 'utf8')))
  return { files, paths: new Set(paths) }
}

/** A file of the project that is not TypeScript, as text. */
export function readProjectFile(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export function sourceFile(path: string, text: string): SourceFile {
  return { path, text, imports: importsOf(path, text) }
}

/** The part of src that a file belongs to: its folder, or itself where it lies at the top. */
export function partOf(path: string): string {
  return path.split('/')[1] ?? path
}

/** All files that these reach by static and lazy imports and as programs, themselves included. */
export function reachable(files: readonly SourceFile[], from: readonly string[]): ReadonlySet<string> {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const seen = new Set<string>()
  const open = [...from]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const file = byPath.get(path)
    if (file === undefined || seen.has(path)) continue
    seen.add(path)
    for (const { target } of file.imports) if (target !== undefined) open.push(target)
  }
  return seen
}

function walk(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
}

// oxfmt puts every import and export at the start of a line and quotes with ': that is what makes these expressions exact.
const STATIC = /^(?:import|export)\b[^'"`;]*?\bfrom '([^']+)'|^import '([^']+)'/gm
const LAZY = /\bimport\(\s*'([^']+)'/g
const PROGRAM = /\bimport\.meta\.dirname,\s*'([^']+\.ts)'/g

function importsOf(path: string, text: string): Import[] {
  const found = (kind: Import['kind'], pattern: RegExp): Import[] =>
    [...text.matchAll(pattern)].map((match) => {
      const specifier = match[1] ?? match[2] ?? ''
      const line = text.slice(0, match.index).split('\n').length
      const target = normalize(join(dirname(path), specifier))
      return kind === 'program' || specifier.startsWith('.') ? { kind, specifier, line, target } : { kind, specifier, line }
    })
  return [...found('import', STATIC), ...found('import', LAZY), ...found('program', PROGRAM)]
}
