// Builds that are broken on purpose, each by one patch of folder `broken`: the judge has to find them out.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BrokenCopy, brokenCopy } from '../mutants/broken-copy.ts'
import { parsePatch } from '../mutants/patch.ts'

const FOLDER = join(import.meta.dirname, 'broken')

export function brokenBuilds(): readonly string[] {
  return readdirSync(FOLDER).map((file) => file.replace('.patch', ''))
}

/** What it does wrong, as the patch says. */
export function faultOf(name: string): string {
  return patchOf(name).head.get('Breaks') ?? name
}

/** A copy of all that a raft-node is made of, with the patch applied. `program` is its raft-node.ts. */
export async function brokenBuild(name: string): Promise<BrokenCopy & { readonly program: string }> {
  const copy = await brokenCopy(patchOf(name), ['src', 'test/fixture'])
  return { ...copy, program: join(copy.root, 'test/fixture/raft-node.ts') }
}

function patchOf(name: string) {
  return parsePatch(readFileSync(join(FOLDER, `${name}.patch`), 'utf8'))
}
