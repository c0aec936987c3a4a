// Builds that are broken on purpose, each by one patch: the judge has to find them out.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BrokenCopy, brokenCopy } from '../mutants/broken-copy.ts'
import { parsePatch, type Patch } from '../mutants/patch.ts'

/** What clients of a real group can be expected to see. All but the first are mutants of the core, hunted in virtual time too. */
const PATCHES = {
  'reads-without-read-index': 'broken/reads-without-read-index.patch',
  'follower-reads-by-itself': '../mutants/follower-reads-by-itself.patch',
  'read-without-quorum': '../mutants/read-without-quorum.patch',
  'acknowledged-before-persisted': '../mutants/acknowledged-before-persisted.patch',
} as const

export type BrokenBuildName = keyof typeof PATCHES

export const BROKEN_BUILDS = Object.keys(PATCHES).filter(isBrokenBuild)

export function isBrokenBuild(name: string): name is BrokenBuildName {
  return Object.hasOwn(PATCHES, name)
}

/** What it does wrong, as the patch says. */
export function faultOf(name: BrokenBuildName): string {
  return patchOf(name).head.get('Breaks') ?? name
}

/** A copy of all that a raft-node is made of, with the patch applied. `program` is its raft-node.ts. */
export async function brokenBuild(name: BrokenBuildName): Promise<BrokenCopy & { readonly program: string }> {
  const copy = await brokenCopy(patchOf(name), ['src', 'test/fixture'])
  return { ...copy, program: join(copy.root, 'test/fixture/raft-node.ts') }
}

function patchOf(name: BrokenBuildName): Patch {
  return parsePatch(readFileSync(join(import.meta.dirname, PATCHES[name]), 'utf8'))
}
