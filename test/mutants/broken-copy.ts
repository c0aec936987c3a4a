// A copy of parts of the project with one patch applied, to be run in the place of the original: this is how a mutant is made, and thrown away.
import { cp, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { scratchFolder } from '../fixture/scratch-folder.ts'
import { applyHunks, type Patch } from './patch.ts'

export const PROJECT = join(import.meta.dirname, '../..')

export interface BrokenCopy {
  /** Its root: paths below are those of the project. */
  readonly root: string
  remove(): Promise<void>
}

/**
 * Copies `paths` (files or folders, from the project's root) and breaks the copy. Packages are the project's own. Throws where the patch does not
 * fit the present code.
 */
export async function brokenCopy(patch: Patch | undefined, paths: readonly string[]): Promise<BrokenCopy> {
  const folder = scratchFolder('hostmesh-broken-')
  const root = folder.path
  try {
    await cp(join(PROJECT, 'package.json'), join(root, 'package.json'))
    for (const path of paths) await cp(join(PROJECT, path), join(root, path), { recursive: true })
    await symlink(join(PROJECT, 'node_modules'), join(root, 'node_modules'))
    if (patch !== undefined) await applyPatch(patch, root)
    return { root, remove: async () => folder.remove() }
  } catch (error) {
    folder.remove()
    throw error
  }
}

/** Throws an Error that says what to do where a hunk does not fit. */
export async function applyPatch(patch: Patch, root: string): Promise<void> {
  for (const file of patch.files) {
    const path = join(root, file.path)
    const broken = applyHunks(await readFile(path, 'utf8'), file)
    if ('misfit' in broken) {
      throw new Error(
        `a patch does not fit ${file.path} any more; nothing there reads\n${broken.misfit}\n` +
          'make it anew: ./dev run node test/mutants/renew.ts',
      )
    }
    await writeFile(path, broken.text)
  }
}
