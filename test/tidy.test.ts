// The house rules over the whole tree, and for each rule a planted fault, so that a rule that sees nothing is itself seen.
import { describe, expect, it } from 'vitest'
import {
  dependencyFaults,
  firstLineFaults,
  layerFaults,
  nameFaults,
  orphanFaults,
  packageFaults,
  purityFaults,
  readmeFaults,
  styleFaults,
  testFaults,
  wardenFaults,
} from './tidy/rules.ts'
import { readProjectFile, readSourceTree, sourceFile } from './tidy/source-tree.ts'

const { files, paths } = readSourceTree()
const lock = parseLock(readProjectFile('package-lock.json'))

describe('the tree', () => {
  it('imports along the table', () => expect(layerFaults(files)).toEqual([]))
  it('imports packages only where they belong', () => expect(packageFaults(files)).toEqual([]))
  it('keeps the warden small', () => expect(wardenFaults(files)).toEqual([]))
  it('asks nowhere for time, chance or locale', () => expect(purityFaults(files)).toEqual([]))
  it('names files after what they hold', () => expect(nameFaults(paths)).toEqual([]))
  it('says in every first line what the file is for', () => expect(firstLineFaults(files)).toEqual([]))
  it('explains every folder', () => expect(readmeFaults(paths, readProjectFile)).toEqual([]))
  it('has no file that nothing reaches', () => expect(orphanFaults(files)).toEqual([]))
  it('keeps the style of the house', () => expect(styleFaults(files)).toEqual([]))
  it('tests without sleeps and replaced modules', () => expect(testFaults(files)).toEqual([]))
  it('depends on what it imports', () => expect(dependencyFaults(files, lock.dependencies)).toEqual([]))
})

describe('the lock file', () => {
  it('holds one version of @libp2p/interface, so that all parts of libp2p mean the same types and symbols', () => {
    const copies = lock.packages.filter(({ path }) => path.endsWith('node_modules/@libp2p/interface'))
    expect(copies.map(({ path }) => path)).toEqual(['node_modules/@libp2p/interface'])
  })
  it('names no registry', () => {
    expect(lock.packages.filter(({ resolved }) => resolved !== undefined).map(({ path }) => path)).toEqual([])
  })
  it('pins every dependency exactly', () => {
    const loose = Object.entries({ ...lock.dependencies, ...lock.devDependencies }).filter(
      ([, range]) => !/^(npm:.+@)?\d+\.\d+\.\d+$/.test(range),
    )
    expect(loose).toEqual([])
  })
})

describe('a planted fault is found:', () => {
  const source = (path: string, ...lines: readonly string[]) => sourceFile(path, ['// What this file is for.', ...lines].join('\n'))
  const HOUSE = [
    ['an import against the table', layerFaults, source('src/vm/driver.ts', `import { replica } from '../consensus/replica.ts'`)],
    ['a lazy import against the table', layerFaults, source('src/vm/driver.ts', `const late = import('../mesh/rpc.ts')`)],
    ['an import over several lines', layerFaults, source('src/base/ids.ts', 'import {', '  type Vm,', `} from '../inventory/model.ts'`)],
    ['a part that is not in the table', layerFaults, source('src/cloud/driver.ts')],
    ['an import from the tests', layerFaults, source('src/vm/driver.ts', `import { fake } from '../../test/fixture/fake.ts'`)],
    ['more of host than its methods', layerFaults, source('src/leader/jobs.ts', `import { reconcile } from '../host/reconcile.ts'`)],
    ['the transport outside mesh', packageFaults, source('src/host/observe.ts', `import { createLibp2p } from 'libp2p'`)],
    ['a module of Node in a pure part', packageFaults, source('src/scheduler/place.ts', `import { cpus } from 'node:os'`)],
    ['a module of Node by its old name', packageFaults, source('src/scheduler/place.ts', `import { readFileSync } from 'fs'`)],
    ['the store in the core of consensus', packageFaults, source('src/consensus/election.ts', `import { Level } from 'level'`)],
    ['time without a clock', purityFaults, source('src/api/server.ts', 'const started = new Date()')],
    ['an order that depends on the locale', purityFaults, source('src/inventory/view.ts', 'a.localeCompare(b)')],
    ['an import that the table cannot see', purityFaults, source('src/api/server.ts', 'await import(name)')],
    ['a missing first line', firstLineFaults, sourceFile('src/base/ids.ts', 'export const x = 1')],
    ['a barrel', styleFaults, source('src/base/all.ts', `export * from './ids.ts'`)],
    ['inheritance', styleFaults, source('src/vm/driver.ts', 'export class Driver extends Base {}')],
    ['a private keyword', styleFaults, source('src/vm/driver.ts', 'class A {', '  private x = 1', '}')],
    ['a silenced compiler', styleFaults, source('src/vm/driver.ts', '// @ts-ignore')],
    ['a silenced linter', styleFaults, source('src/vm/driver.ts', '// oxlint-disable-next-line no-console')],
    ['a sleep', testFaults, source('test/vm/driver.test.ts', 'await new Promise((done) => setTimeout(done, 100))')],
    ['a sleep by promise', testFaults, source('test/vm/driver.test.ts', `import { setTimeout as nap } from 'node:timers/promises'`)],
    ['a replaced module', testFaults, source('test/vm/driver.test.ts', `vi.mock('../src/vm/driver.ts')`)],
    ['a file that nothing reaches', orphanFaults, source('src/vm/forgotten.ts')],
    ['a fixture that no test uses', orphanFaults, source('test/fixture/forgotten.ts')],
  ] as const

  it.each(HOUSE)('%s', (_name, rule, file) => expect(rule([file])).toHaveLength(1))

  it('a package under the warden, however deep', () => {
    const warden = source('src/warden.ts', `import { qmp } from './vm/qmp.ts'`)
    const qmp = source('src/vm/qmp.ts', `import { log } from '../system/log.ts'`)
    const log = source('src/system/log.ts', `import { pino } from 'pino'`)
    expect(wardenFaults([warden, qmp, log])).toEqual([
      'src/system/log.ts: reached from warden.ts, which may not hold it',
      'src/system/log.ts: reached from warden.ts, imports pino',
    ])
  })

  it.each(['src/vm/Driver.ts', 'src/vm/qemu_args.ts', 'src/vm/utils.ts', 'src/base/index.ts', 'src/api/a/b/deep.ts'])(
    'the name %s',
    (path) => expect(nameFaults([path])).toHaveLength(1),
  )

  it('a folder without README, and one of more than a screen', () => {
    const tree = ['src/vm/driver.ts', 'src/mesh/rpc.ts', 'src/mesh/README.md']
    expect(readmeFaults(tree, () => 'line\n'.repeat(61))).toEqual([
      'src/vm/README.md: is missing',
      'src/mesh/README.md: has 61 lines, a screen holds 60',
    ])
  })

  it('a package imported and not named, and one named and not imported', () => {
    const file = source('src/mesh/rpc.ts', `import { tcp } from '@libp2p/tcp/deep'`, `import { readFile } from 'node:fs/promises'`)
    expect(dependencyFaults([file], { yaml: '2.0.0' })).toEqual([
      'package.json: yaml is a dependency that src does not import',
      'package.json: @libp2p/tcp is imported by src and no dependency',
    ])
  })
})

describe('what is right passes:', () => {
  it('a part that imports along its row', () => {
    const file = sourceFile(
      'src/leader/jobs.ts',
      `// Jobs.\nimport { ping } from '../host/methods-ping.ts'\nimport { x } from './x.ts'\nimport { readFile } from 'node:fs'`,
    )
    expect([...layerFaults([file]), ...packageFaults([file])]).toEqual([])
  })
  it('a file that is started as a program, and what it imports', () => {
    const test = sourceFile('test/a.test.ts', `// A test.\nspawn(join(import.meta.dirname, 'lab/agent.ts'))`)
    const agent = sourceFile('test/lab/agent.ts', `// A program.\nimport { x } from './part.ts'`)
    expect(orphanFaults([test, agent, sourceFile('test/lab/part.ts', '// A part.')])).toEqual([])
  })
  it('the log and the loop of consensus, with store and modules of Node', () => {
    const file = sourceFile('src/consensus/level-log.ts', `// The log.\nimport { Level } from 'level'\nimport { crc32 } from 'node:zlib'`)
    expect(packageFaults([file])).toEqual([])
  })
})

interface Lock {
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly packages: readonly { readonly path: string; readonly resolved: unknown }[]
}

function parseLock(text: string): Lock {
  const packages = Object.entries(record(record(JSON.parse(text))['packages']))
  const root = record(new Map(packages).get(''))
  return {
    dependencies: strings(root['dependencies']),
    devDependencies: strings(root['devDependencies']),
    packages: packages.map(([path, entry]) => ({ path, resolved: record(entry)['resolved'] })),
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function strings(value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(record(value)).map(([key, text]) => [key, String(text)]))
}
