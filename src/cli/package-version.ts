// The version of this program: what its package.json says, found upwards from here (checkout and package have different depths).
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export function packageVersion(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const path = join(folder, 'package.json')
    if (existsSync(path)) return versionIn(readFileSync(path, 'utf8'))
    if (folder === dirname(folder)) return 'unknown'
  }
}

function versionIn(text: string): string {
  const found: unknown = JSON.parse(text)
  const version = typeof found === 'object' && found !== null && 'version' in found ? found.version : undefined
  return typeof version === 'string' ? version : 'unknown'
}
