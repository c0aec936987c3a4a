// Makes patches anew after the code has moved on: ./dev run node test/mutants/renew.ts [NAME...], or one from a changed copy: NAME --from FOLDER
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { errorText } from '../../src/base/errors.ts'
import { PROJECT } from './broken-copy.ts'
import { applyHunks, type FilePatch, parsePatch, withoutContext } from './patch.ts'

const FOLDER = import.meta.dirname

/** How far back a version is looked for that a patch still fits. */
const MAX_COMMITS = 200

/** A file as it is, and as the mutant has it. */
interface Changed {
  readonly path: string
  readonly now: string
  readonly broken: string
}

function main(): void {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { from: { type: 'string' } } })
  const names = positionals.length > 0 ? positionals : allNames()
  const copy = values.from
  if (copy === undefined) for (const name of names) renewOrSay(name)
  else for (const name of names) write(name, changedIn(copy))
}

function allNames(): string[] {
  const patches = readdirSync(FOLDER).filter((file) => file.endsWith('.patch'))
  return patches.map((file) => file.replace('.patch', ''))
}

/**
 * Where the lines that it replaces still stand, it is enough to surround them anew. Else what the patch did to the last version that it fitted is
 * done to the present one, as far as the two do not touch the same lines.
 */
function renew(name: string): void {
  const { files } = parsePatch(readFileSync(join(FOLDER, `${name}.patch`), 'utf8'))
  if (files.every((file) => 'text' in applyHunks(present(file.path), file))) return
  const merged = files.map((file) => mergeOver(file))
  if (merged.every(({ broken }) => !broken.includes('<<<<<<<'))) return write(name, merged)
  const folder = mkdtempSync(join(tmpdir(), `renew-${name}-`))
  for (const { path, broken } of merged) put(join(folder, path), broken)
  console.log(
    `${name}: the same lines have changed. Break ${merged.map(({ path }) => join(folder, path)).join(', ')} by hand, then\n` +
      `  ./dev run node test/mutants/renew.ts ${name} --from ${folder}`,
  )
  process.exitCode = 1
}

function renewOrSay(name: string): void {
  try {
    renew(name)
  } catch (error) {
    console.log(`${name}: ${errorText(error)}`)
    process.exitCode = 1
  }
}

function mergeOver(file: FilePatch): Changed {
  const { path } = file
  const now = present(path)
  const applied = applyHunks(now, file)
  if ('text' in applied) return { path, now, broken: applied.text }
  const bare = withoutContext(file)
  const moved = bare && applyHunks(now, bare)
  if (moved !== undefined && 'text' in moved) return { path, now, broken: moved.text }
  for (const commit of git('log', `-${MAX_COMMITS}`, '--format=%H', '--', path).trim().split('\n')) {
    const base = git('show', `${commit}:${path}`)
    const broken = applyHunks(base, file)
    if ('text' in broken) return { path, now, broken: merge({ now, base, broken: broken.text }) }
  }
  throw new Error(`no version of ${path} in the last ${MAX_COMMITS} commits fits the patch: make it anew with --from, or remove it`)
}

/** With conflict marks where both sides changed the same lines. */
function merge(versions: { readonly now: string; readonly base: string; readonly broken: string }): string {
  return inScratch((scratch) => {
    for (const [name, text] of Object.entries(versions)) writeFileSync(join(scratch, name), text)
    try {
      return execFileSync('git', ['merge-file', '-p', 'now', 'base', 'broken'], { cwd: scratch, encoding: 'utf8' })
    } catch (error) {
      // Its exit code is the number of conflicts.
      if (error instanceof Error && 'stdout' in error && typeof error.stdout === 'string' && error.stdout !== '') return error.stdout
      throw error
    }
  })
}

function changedIn(copy: string): Changed[] {
  const files = readdirSync(join(copy, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const changed = files.map((file) => {
    const path = join('src', file)
    return { path, now: present(path), broken: readFileSync(join(copy, path), 'utf8') }
  })
  return changed.filter(({ now, broken }) => now !== broken)
}

/** The head of the patch stays; a new one gets a head to be filled in. */
function write(name: string, changed: readonly Changed[]): void {
  const path = join(FOLDER, `${name}.patch`)
  const head = existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('# '))
    : ['# Breaks: say what', '# Found by: say which check']
  writeFileSync(path, `${[...head, ...diff(changed)].join('\n')}\n`)
  console.log(`${name}: made anew`)
}

function diff(changed: readonly Changed[]): string[] {
  return inScratch((scratch) => {
    for (const { path, now, broken } of changed) {
      put(join(scratch, 'a', path), now)
      put(join(scratch, 'b', path), broken)
    }
    try {
      execFileSync('git', ['diff', '--no-index', '--no-color', '-U1', 'a', 'b'], { cwd: scratch, encoding: 'utf8', stdio: 'pipe' })
    } catch (error) {
      // Exit code 1 says that they differ.
      if (error instanceof Error && 'stdout' in error && typeof error.stdout === 'string') {
        return error.stdout
          .trimEnd()
          .split('\n')
          .filter((line) => !/^(diff --git|index) /.test(line))
          .map(withoutSides)
      }
      throw error
    }
    throw new Error('the copy does not differ from the project')
  })
}

/** The scratch folders are called a and b as well: a/a/src becomes a/src; what follows the place of a hunk is only for the eye. */
function withoutSides(line: string): string {
  return line.replace(/^(---|\+\+\+) [ab]\/(?=[ab]\/)/, '$1 ').replace(/^(@@ .* @@).*/, '$1')
}

function inScratch<T>(work: (folder: string) => T): T {
  const scratch = mkdtempSync(join(tmpdir(), 'hostmesh-renew-'))
  try {
    return work(scratch)
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

function present(path: string): string {
  return readFileSync(join(PROJECT, path), 'utf8')
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: PROJECT, encoding: 'utf8' })
}

main()
