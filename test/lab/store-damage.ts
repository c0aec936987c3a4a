// Damage to the stores of a stopped agent, as disks do it: torn tails, flipped bytes, an old copy put back.
import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { present } from '../../src/base/assert.ts'
import { between, type Random } from '../../src/base/random.ts'

/** Where the stores of the member lie that the data directory remembers. */
export function storesIn(dataDir: string): string {
  const { member }: { member: number } = JSON.parse(readFileSync(join(dataDir, 'member.json'), 'utf8'))
  return join(dataDir, 'raft', String(member))
}

/** Changes one byte of what both stores hold, every byte as likely as any other; returns where. */
export function flipByte(stores: string, random: Random): string {
  const files = filesIn(stores).map((file) => ({ file, size: statSync(file).size }))
  let at = between(random, 0, files.reduce((sum, { size }) => sum + size, 0) - 1)
  for (const { file, size } of files) {
    if (at < size) {
      const bytes = readFileSync(file)
      bytes[at] = (bytes[at] ?? 0) ^ between(random, 1, 255)
      writeFileSync(file, bytes)
      return `${file.slice(stores.length + 1)} at ${at} of ${size}`
    }
    at -= size
  }
  throw new Error(`${stores} is empty`)
}

/** Cuts the last `bytes` from the file that LevelDB wrote to last; returns where. */
export function tearTail(stores: string, store: 'log' | 'inventory', bytes: number): string {
  const logs = filesIn(join(stores, store)).filter((file) => file.endsWith('.log'))
  const file = present(logs.toSorted().at(-1), `LevelDB log in ${stores}`)
  const { size } = statSync(file)
  truncateSync(file, Math.max(0, size - bytes))
  return `${file.slice(stores.length + 1)}: ${Math.min(bytes, size)} of ${size} bytes cut`
}

/** An old copy takes the place of the stores, as when a backup of the directory is put back. */
export function putBack(stores: string, copy: string): void {
  rmSync(stores, { recursive: true })
  cpSync(copy, stores, { recursive: true })
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((file) => statSync(file).isFile() && statSync(file).size > 0)
    .toSorted()
}
