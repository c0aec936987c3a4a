// How much an unprivileged process may still write to the file system that a directory lies on.
import { statfs } from 'node:fs/promises'

const MIB = 1024 * 1024

/** In whole MiB, rounded down. What is reserved for root does not count. */
export async function freeSpaceMiB(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return Math.floor((bavail * bsize) / MIB)
}
