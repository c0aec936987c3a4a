// What a start of the command line costs: nothing heavy is loaded before it is needed, and agent is only a step to the daemon.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { readSourceTree } from '../tidy/source-tree.ts'
import { hostmesh } from './cli-run.ts'

const { files } = readSourceTree()
const byPath = new Map(files.map((file) => [file.path, file]))

/** Files and packages that are loaded before the first line runs: all but lazy imports and `import type`, which Node takes out whole. */
function loadedAtStart(entry: string): { readonly files: ReadonlySet<string>; readonly packages: ReadonlySet<string> } {
  const seen = new Set<string>()
  const packages = new Set<string>()
  const open = [entry]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const file = byPath.get(path)
    if (seen.has(path) || file === undefined) continue
    seen.add(path)
    const lines = file.text.split('\n')
    for (const { specifier, target, line } of file.imports) {
      if (!/^import (?!type )/.test(lines[line - 1] ?? '')) continue
      if (target === undefined) packages.add(specifier)
      else open.push(target)
    }
  }
  return { files: seen, packages }
}

describe('`hostmesh --help`', () => {
  it('loads stricli and nothing else from outside, no module of Node either', () => {
    expect([...loadedAtStart('src/cli.ts').packages]).toEqual(['@stricli/core'])
  })

  it('loads no command, and no client', () => {
    const { files: loaded } = loadedAtStart('src/cli.ts')
    expect([...loaded].filter((path) => path.startsWith('src/cli/commands/') || path.startsWith('src/api/'))).toEqual([])
    expect(loaded.size).toBeLessThan(20)
  })

  it('is not slowed down by what a read needs: a client loads no module of Node, and nothing of the agent', () => {
    const { files: loaded, packages } = loadedAtStart('src/cli/show.ts')
    expect([...packages]).toEqual(['valibot'])
    expect([...loaded].filter((path) => path.startsWith('src/inventory/'))).toEqual([])
  })

  it('names every noun with its line', async () => {
    const { code, out } = await hostmesh(['--help'])
    expect(code).toBe(0)
    for (const noun of ['agent', 'init', 'join', 'status', 'vm', 'why-not', 'completion'])
      expect(out).toMatch(new RegExp(`^ {2}${noun} +[A-Z]`, 'm'))
  })

  it.each([['vm'], ['vm', '--help'], ['vm', 'create', '--help'], ['status', '-h'], ['completion', 'zsh', '--help']])(
    'works everywhere: %s %s %s',
    async (...words) => {
      const { code, out, err } = await hostmesh(words)
      expect([code, err]).toEqual([0, ''])
      expect(out).toContain('USAGE')
    },
  )
})

describe('`hostmesh agent`', () => {
  it('becomes the daemon, with the paths that follow from its data directory', async () => {
    let became: readonly string[] = []
    const becomeAgent = async (args: readonly string[]): Promise<void> => {
      became = args
    }
    const { code } = await hostmesh(
      ['agent', '--listen', '192.0.2.1:7400', '--data-dir', '/data/', '--name', 'h1', '--api', '192.0.2.1:8443'],
      {
        io: { becomeAgent },
      },
    )
    expect(code).toBe(0)
    expect(became).toEqual([
      '--data-dir',
      '/data/',
      '--listen',
      '192.0.2.1:7400',
      '--socket',
      '/data/hostmesh.sock',
      '--name',
      'h1',
      '--api',
      '192.0.2.1:8443',
    ])
  })

  it.each([
    [['--help'], 0, /USAGE[\s\S]*--listen/],
    [['--lisen', '127.0.0.1:1'], 2, /there is no flag --lisen; did you mean --listen/],
    [[], 2, /--listen is missing/],
    [['--listen', 'somewhere:7400'], 2, /somewhere/],
  ])('explains itself by the executable, too: %j', async (words, code, said) => {
    const outcome = await execute(HOSTMESH, ['agent', ...words]).then(
      ({ stdout }) => ({ code: 0, text: stdout }),
      (error: { code: number; stderr: string }) => ({ code: error.code, text: error.stderr }),
    )
    expect(outcome.code, outcome.text).toBe(code)
    expect(outcome.text).toMatch(said)
  })
})

const HOSTMESH = join(import.meta.dirname, '../../bin/hostmesh')
const execute = promisify(execFile)
