// Files that survive a power cut: written beside their place, flushed, renamed, and the folder flushed after it.
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Only the agent's own user reads and writes what it keeps. */
export const PRIVATE_FILE = 0o600
export const PRIVATE_DIRECTORY = 0o700

/** Makes the directory (and its parents) unless it exists, and closes it to others. */
export async function makePrivateDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: PRIVATE_DIRECTORY })
  // mkdir leaves an existing directory as it is, whoever may read it.
  await chmod(path, PRIVATE_DIRECTORY)
}

/**
 * Replaces the file as a whole: after a crash it holds the old or the new content, never a part, and once this resolved the new one. One
 * writer at a time for one path.
 */
export async function writeAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const scratch = `${path}.new`
  await rm(scratch, { force: true })
  const file = await open(scratch, 'wx', PRIVATE_FILE)
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(scratch, path)
  await syncDirectory(dirname(path))
}

/** Makes names durable: files created, renamed or removed in the directory stay so after a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** The file's text, or undefined where there is none. */
export async function readTextIfExists(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** At most the last `maxBytes` of a file; empty where there is none. */
export async function readTail(path: string, maxBytes: number): Promise<Uint8Array> {
  let file
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return new Uint8Array()
    throw error
  }
  try {
    const { size } = await file.stat()
    const wanted = Math.min(maxBytes, size)
    const { buffer, bytesRead } = await file.read(new Uint8Array(wanted), 0, wanted, size - wanted)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** `ENOENT` and its kin of an error of the operating system; undefined for all else. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
