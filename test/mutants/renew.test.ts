// Patches made anew, in a small project of their own with a history.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { applyPatch, type BrokenCopy, brokenCopy } from './broken-copy.ts'
import { parsePatch } from './patch.ts'

const PROGRAM = join(import.meta.dirname, 'renew.ts')
const OLD = ['a', 'b', 'c', 'd', 'e', 'f', ''].join('\n')
const HEAD = '# Breaks: d\n# Found by: a look\n'

describe('patches are made anew', () => {
  const copies: BrokenCopy[] = []

  afterEach(async () => {
    for (const copy of copies.splice(0)) await copy.remove()
  })

  async function project(patch: string): Promise<string> {
    const copy = await brokenCopy(undefined, [
      'test/mutants/renew.ts',
      'test/mutants/patch.ts',
      'test/mutants/broken-copy.ts',
      'test/fixture/scratch-folder.ts',
      'src/base',
    ])
    copies.push(copy)
    const git = (...args: string[]): void => void execFileSync('git', args, { cwd: copy.root, stdio: 'pipe' })
    writeFileSync(join(copy.root, 'src/one.ts'), OLD)
    writeFileSync(join(copy.root, 'test/mutants/one.patch'), patch)
    git('init', '-q')
    git('add', 'src')
    git('-c', 'user.name=t', '-c', 'user.email=t@t', 'commit', '-qm', 'first')
    return copy.root
  }

  function renew(root: string, ...args: string[]): string {
    return execFileSync(process.execPath, [join(root, 'test/mutants/renew.ts'), ...args], { encoding: 'utf8', stdio: 'pipe' })
  }

  it('by merging what they did to the version they fitted into the present one', async () => {
    const root = await project(`${HEAD}--- a/src/one.ts\n+++ b/src/one.ts\n@@ -3,3 +3,3 @@\n c\n-d\n+D\n e\n`)
    writeFileSync(join(root, 'src/one.ts'), OLD.replace('a\n', 'a\nA\n').replace('f\n', 'F\n'))
    // Moved only: the patch fits as it is.
    expect(renew(root)).toBe('')
    writeFileSync(join(root, 'test/mutants/one.patch'), `${HEAD}--- a/src/one.ts\n+++ b/src/one.ts\n@@ -1,4 +1,4 @@\n a\n b\n c\n-d\n+D\n`)
    expect(renew(root)).toBe('one: made anew\n')
    const patch = readFileSync(join(root, 'test/mutants/one.patch'), 'utf8')
    expect(patch).toBe(`${HEAD}--- a/src/one.ts\n+++ b/src/one.ts\n@@ -4,3 +4,3 @@\n c\n-d\n+D\n e\n`)
    await applyPatch(parsePatch(patch), root)
    expect(readFileSync(join(root, 'src/one.ts'), 'utf8')).toBe(['a', 'A', 'b', 'c', 'D', 'e', 'F', ''].join('\n'))
  })

  it('by surrounding them anew, where only what stands next to them has changed', async () => {
    const root = await project(`${HEAD}--- a/src/one.ts\n+++ b/src/one.ts\n@@ -3,3 +3,3 @@\n c\n-d\n+D\n e\n`)
    writeFileSync(join(root, 'src/one.ts'), OLD.replace('c\n', 'C\n').replace('e\n', 'E\n'))
    expect(renew(root)).toBe('one: made anew\n')
    expect(readFileSync(join(root, 'test/mutants/one.patch'), 'utf8')).toContain('\n C\n-d\n+D\n E\n')
  })

  it('from a copy that was changed by hand, where the same lines have changed', async () => {
    const root = await project(`${HEAD}--- a/src/one.ts\n+++ b/src/one.ts\n@@ -3,3 +3,3 @@\n c\n-d\n+D\n e\n`)
    writeFileSync(join(root, 'src/one.ts'), OLD.replace('d\n', '4\n'))
    expect(() => renew(root)).toThrow('Command failed')
    mkdirSync(join(root, 'copy'))
    cpSync(join(root, 'src'), join(root, 'copy/src'), { recursive: true })
    writeFileSync(join(root, 'copy/src/one.ts'), OLD.replace('d\n', 'four\n'))
    renew(root, 'one', '--from', join(root, 'copy'))
    expect(readFileSync(join(root, 'test/mutants/one.patch'), 'utf8')).toContain('\n-4\n+four\n')
  })

  it('or not at all, and whoever applies one that does not fit is told how', async () => {
    const root = await project(HEAD)
    const patch = parsePatch('--- a/src/one.ts\n+++ b/src/one.ts\n@@ -1 +1 @@\n-gone\n+x\n')
    await expect(applyPatch(patch, root)).rejects.toThrow('make it anew: ./dev run node test/mutants/renew.ts')
    expect(readFileSync(PROGRAM, 'utf8')).toContain('./dev run node test/mutants/renew.ts')
  })
})
