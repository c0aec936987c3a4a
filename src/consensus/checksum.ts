// The checksum of everything that this folder writes and sends: CRC32, by Node's own code.
import { crc32 as nodeCrc32 } from 'node:zlib'

/** Uint32; `before` continues the checksum of what came before. A pure function in spite of where it comes from. */
export function crc32(bytes: Uint8Array, before = 0): number {
  return nodeCrc32(bytes, before)
}
