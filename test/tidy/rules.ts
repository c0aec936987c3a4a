// The rules of the house that no compiler or linter checks; each takes files and answers with its faults, one a line.
import { ENTRY_POINTS, IMPURE_FILES, LAYERS, type Layer } from './layers.ts'
import { partOf, reachable, type SourceFile } from './source-tree.ts'

type Files = readonly SourceFile[]

/** Imports between the parts of src, against the table. */
export function layerFaults(files: Files): string[] {
  return inSource(files).flatMap((file) => {
    const layer = layerOf(file.path)
    if (layer === undefined) return [`${file.path}: no row in the import table`]
    return file.imports
      .filter(({ kind, target }) => kind === 'import' && target !== undefined && !mayImport(layer, target))
      .map(({ target, line }) => `${file.path}:${line}: ${layer.part} may not import ${target}`)
  })
}

/** Packages and modules of Node that a part of src imports, against the table. */
export function packageFaults(files: Files): string[] {
  return inSource(files).flatMap((file) => {
    const layer = layerOf(file.path)
    if (layer === undefined) return []
    return file.imports
      .filter(({ specifier, target }) => target === undefined && !mayUse(layer, file.path, specifier))
      .map(({ specifier, line }) => `${file.path}:${line}: ${layer.part} may not import ${specifier}`)
  })
}

/** What the warden is made of, down to the last file: little enough to be read whole, and nothing beyond Node. */
export function wardenFaults(files: Files): string[] {
  const layer = LAYERS.find(({ part }) => part === 'warden.ts')
  const byPath = new Map(files.map((file) => [file.path, file]))
  return [...reachable(files, ['src/warden.ts'])].flatMap((path) => {
    const packages =
      byPath.get(path)?.imports.filter(({ specifier, target }) => target === undefined && !specifier.startsWith('node:')) ?? []
    const far = layer !== undefined && !mayImport(layer, path) ? [`${path}: reached from warden.ts, which may not hold it`] : []
    return [...far, ...packages.map(({ specifier }) => `${path}: reached from warden.ts, imports ${specifier}`)]
  })
}

/** Ways round the argument of time, and what differs from machine to machine, where the linter has no rule. */
export function purityFaults(files: Files): string[] {
  return inSource(files).flatMap((file) => [
    ...(file.path === 'src/base/clock.ts' ? [] : matches(file, /\bnew Date\(\)|(?<!new )\bDate\(/g, 'asks the machine for the time')),
    ...(isPure(file.path) ? matches(file, /\.(localeCompare|toLocale\w*)\(/g, 'depends on the locale of the host') : []),
    ...matches(file, /\bimport\((?!\s*')/g, 'imports what only the run decides'),
    ...matches(file, /\b(createRequire|require)\(/g, 'imports around the table'),
  ])
}

/** Names and places: kebab-case, no drawers for anything, at most two folders below src. */
export function nameFaults(paths: Iterable<string>): string[] {
  const drawer = /^(index|utils?|helpers?|common|misc|types\.d)\.ts$/
  return [...paths].flatMap((path) => {
    const segments = path.split('/')
    const name = segments.at(-1) ?? path
    const faults: string[] = []
    if (!segments.every((segment) => /^([a-z0-9]+(-[a-z0-9]+)*)(\.[a-z0-9]+)*$|^README\.md$/.test(segment)))
      faults.push('is not kebab-case')
    if (drawer.test(name)) faults.push('says nothing about what it holds')
    if (segments[0] === 'src' && segments.length > 4) faults.push('lies deeper than two folders below src')
    return faults.map((fault) => `${path}: ${fault}`)
  })
}

/** The first line of every file says what it is for. */
export function firstLineFaults(files: Files): string[] {
  return files
    .filter((file) => !/^\/\/ \S.{10,}/.test(file.text))
    .map((file) => `${file.path}: the first line is no comment that says what it is for`)
}

/** A screen, generously. */
const README_LINES = 60

/** Every folder of src explains itself on one screen. */
export function readmeFaults(paths: Iterable<string>, readmeOf: (path: string) => string): string[] {
  const folders = new Set([...paths].filter((path) => /^src\/[^/]+\/.*\.ts$/.test(path)).map(partOf))
  const known = new Set(paths)
  return [...folders].flatMap((folder) => {
    const path = `src/${folder}/README.md`
    if (!known.has(path)) return [`${path}: is missing`]
    const lines = readmeOf(path).trimEnd().split('\n').length
    return lines > README_LINES ? [`${path}: has ${lines} lines, a screen holds ${README_LINES}`] : []
  })
}

/** Files that nothing reaches: of src from the entry points, of the tests from any test, bench or demo. */
export function orphanFaults(files: Files): string[] {
  const reachedBySource = reachable(files, ENTRY_POINTS)
  const starts = files.map(({ path }) => path).filter((path) => /\.(test|config)\.ts$|^(bench|demo)\/[^/]+\.ts$/.test(path))
  const reachedByTests = reachable(files, starts)
  return files
    .filter(({ path }) => !(path.startsWith('src/') ? reachedBySource : reachedByTests).has(path))
    .map(({ path }) => `${path}: nothing imports it`)
}

/** Style that only a look at the text shows. */
export function styleFaults(files: Files): string[] {
  return inSource(files).flatMap((file) => [
    ...matches(file, /^export \*|^export \{[^}]*\} from/gm, 'is a barrel: import from where it is defined'),
    ...matches(file, /^ +(private(?! constructor)|protected|public) /gm, 'hides by convention: use #private'),
    ...matches(file, /\bclass \w+(<[^>]*>)? extends (?!\w*Error\b)/g, 'inherits: compose instead'),
    ...matches(file, /@ts-(ignore|nocheck|expect-error)/g, 'silences the compiler'),
    ...matches(file, /(oxlint|eslint)-disable(?!.* -- \S)/g, 'silences the linter without a reason (-- why)'),
  ])
}

/** Tests wait for conditions; they never sleep, and never replace modules of ours. */
export function testFaults(files: Files): string[] {
  return files
    .filter(({ path }) => path.startsWith('test/') && path !== 'test/lab/wait-for.ts' && !path.startsWith('test/tidy'))
    .flatMap((file) => [
      ...matches(
        file,
        /(?<!\.)\bsetTimeout\(|\bsetTimeout\b[^}]*\} from 'node:timers\/promises'|\bsleep\(realClock\b/g,
        'sleeps: wait for a condition (test/lab/wait-for.ts)',
      ),
      ...matches(file, /\bvi\.(mock|doMock)\(/g, 'replaces a module: give it a fake through its arguments'),
    ])
}

/** What the package names against what the code imports. */
export function dependencyFaults(files: Files, dependencies: Readonly<Record<string, string>>): string[] {
  const used = new Set(
    inSource(files).flatMap((file) =>
      file.imports.filter(({ target }) => target === undefined).map(({ specifier }) => packageOf(specifier)),
    ),
  )
  const unused = Object.keys(dependencies).filter((name) => !used.has(name))
  const missing = [...used].filter((name) => !name.startsWith('node:') && !Object.hasOwn(dependencies, name))
  return [
    ...unused.map((name) => `package.json: ${name} is a dependency that src does not import`),
    ...missing.map((name) => `package.json: ${name} is imported by src and no dependency`),
  ]
}

function inSource(files: Files): SourceFile[] {
  return files.filter(({ path }) => path.startsWith('src/'))
}

function layerOf(path: string): Layer | undefined {
  return LAYERS.find(({ part }) => part === partOf(path))
}

function isPure(path: string): boolean {
  return layerOf(path)?.pure === true && !IMPURE_FILES.test(path)
}

function mayImport(layer: Layer, target: string): boolean {
  if (!target.startsWith('src/')) return false
  const part = partOf(target)
  if (part === layer.part) return true
  return layer.imports.some((allowed) =>
    allowed.endsWith('*') ? target.startsWith(`src/${allowed.slice(0, -1)}`) : allowed === part || target === `src/${allowed}`,
  )
}

function mayUse(layer: Layer, path: string, specifier: string): boolean {
  if (layer.pure === true && !isPure(path)) return specifier.startsWith('node:') || layer.packages.includes(specifier)
  if (specifier.startsWith('node:')) return layer.pure !== true
  if (layer.pure === true) return false
  const name = packageOf(specifier)
  return layer.packages.some((allowed) => (allowed.endsWith('/*') ? name.startsWith(allowed.slice(0, -1)) : allowed === name))
}

function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function matches(file: SourceFile, pattern: RegExp, fault: string): string[] {
  return [...file.text.matchAll(pattern)].map((match) => {
    const line = file.text.slice(0, match.index).split('\n').length
    return `${file.path}:${line}: ${match[0].trim()} ${fault}`
  })
}
