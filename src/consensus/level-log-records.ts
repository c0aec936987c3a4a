// The records of the log on LevelDB and their keys: entries with a chained checksum, the snapshot point, the head.
import { crc32 } from 'node:zlib'
import { ByteReader, ByteWriter } from './bytes.ts'
import { readU32, seal, SEAL_BYTES, writeU32 } from './level-db.ts'
import { entrySize, readEntry, readSnapshotMeta, snapshotMetaSize, writeEntry, writeSnapshotMeta } from './records.ts'
import { type Entry, type HardState, type SnapshotMeta } from './types.ts'

// 'e' + index (8 bytes, big-endian, so that LevelDB sorts them), 'h' head, 's' snapshot point.
const ENTRY_PREFIX = 0x65
export const HEAD_KEY = Uint8Array.of(0x68)
export const POINT_KEY = Uint8Array.of(0x73)
const HEAD_BYTES = 5 * 8 + 4 + SEAL_BYTES

/** An entry as it was found, to be checked against the one before it. */
export interface StoredEntry {
  readonly entry: Entry
  /** The entry's bytes, over which the chain runs. */
  readonly body: Uint8Array
  readonly chain: number
}

/** Where the log starts, and the chain up to there. */
export interface Point {
  readonly meta: SnapshotMeta
  readonly chain: number
}

/** The record beside each group. It says how the log must look when it is loaded again. */
export interface Head {
  readonly hardState: HardState
  readonly lastIndex: number
  readonly lastTerm: number
  readonly chain: number
}

export function entryKey(index: number): Uint8Array {
  const writer = new ByteWriter(9)
  writer.u8(ENTRY_PREFIX)
  writer.u64(index)
  return writer.finish()
}

/** The entry as it travels, then the chain. */
export function encodeStored(entry: Entry, chainBefore: number): { readonly value: Uint8Array; readonly chain: number } {
  const size = entrySize(entry)
  const writer = new ByteWriter(size + SEAL_BYTES)
  writeEntry(writer, entry)
  writer.u32(0)
  const value = writer.finish()
  const chain = nextChain(value.subarray(0, size), chainBefore)
  writeU32(value, size, chain)
  return { value, chain }
}

export function decodeStored(value: Uint8Array): StoredEntry {
  const reader = new ByteReader(value, 'log entry')
  const entry = readEntry(reader)
  reader.u32('chain')
  reader.end()
  const size = value.length - SEAL_BYTES
  return { entry, body: value.subarray(0, size), chain: readU32(value, size) }
}

/** CRC32 of an entry, continued from the entry before it: it stands for all entries up to this one. */
export function nextChain(body: Uint8Array, chainBefore: number): number {
  return crc32(body, chainBefore)
}

export function encodePoint(point: Point): Uint8Array {
  const writer = new ByteWriter(snapshotMetaSize(point.meta) + 4 + SEAL_BYTES)
  writeSnapshotMeta(writer, point.meta)
  writer.u32(point.chain)
  writer.u32(0)
  return seal(writer.finish())
}

export function decodePoint(record: Uint8Array): Point {
  const reader = new ByteReader(record, 'snapshot point')
  const meta = readSnapshotMeta(reader)
  const chain = reader.u32('chain')
  reader.end()
  return { meta, chain }
}

export function encodeHead(head: Head): Uint8Array {
  const writer = new ByteWriter(HEAD_BYTES)
  writer.u64(head.hardState.term)
  writer.u64(head.hardState.vote)
  writer.u64(head.hardState.commit)
  writer.u64(head.lastIndex)
  writer.u64(head.lastTerm)
  writer.u32(head.chain)
  writer.u32(0)
  return seal(writer.finish())
}

export function decodeHead(record: Uint8Array): Head {
  const reader = new ByteReader(record, 'head')
  const hardState = { term: reader.u64('term'), vote: reader.u64('vote'), commit: reader.u64('commit') }
  const lastIndex = reader.u64('last index')
  const lastTerm = reader.u64('last term')
  const chain = reader.u32('chain')
  reader.end()
  return { hardState, lastIndex, lastTerm, chain }
}
