// The records of the state on LevelDB and their keys: two slots of values, the meta record that says which of them counts, what is staged in the other.
import { ByteReader, ByteWriter } from './bytes.ts'
import { seal, SEAL_BYTES } from './level-db.ts'
import { readSnapshotMeta, snapshotMetaSize, writeSnapshotMeta } from './records.ts'
import { type SnapshotMeta, type SnapshotOffer, type StateDigest } from './types.ts'

// 'm' meta record, 's' what is staged, 'v' or 'w' + key (UTF-8) a value in that slot. 0 is used by none.
export const NO_KEY = Uint8Array.of(0)
export const META_KEY = Uint8Array.of(0x6d)
export const STAGED_KEY = Uint8Array.of(0x73)

/** The first byte of the keys of a slot. */
export type Slot = 0x76 | 0x77
export const FIRST_SLOT: Slot = 0x76

const REPLACED = 1
const OTHER_SLOT = 2

export interface MetaRecord {
  readonly meta: SnapshotMeta
  readonly slot: Slot
  readonly replaced: boolean
  readonly count: number
  readonly sum: number
}

export function otherSlot(slot: Slot): Slot {
  return slot === 0x76 ? 0x77 : 0x76
}

/** All keys of a slot, or those behind `after`. */
export function slotRange(
  slot: Slot,
  after?: string,
): { readonly gt: Uint8Array; readonly lt: Uint8Array } | { gte: Uint8Array; lt: Uint8Array } {
  const lt = Uint8Array.of(slot + 1)
  return after === undefined ? { gte: Uint8Array.of(slot), lt } : { gt: slotKey(slot, new TextEncoder().encode(after)), lt }
}

export function slotKey(slot: Slot, key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(key.length + 1)
  bytes[0] = slot
  bytes.set(key, 1)
  return bytes
}

export function encodeMeta({ meta, slot, replaced, count, sum }: MetaRecord): Uint8Array {
  const writer = new ByteWriter(snapshotMetaSize(meta) + 1 + 4 + 4 + SEAL_BYTES)
  writeSnapshotMeta(writer, meta)
  writer.u8((replaced ? REPLACED : 0) | (slot === FIRST_SLOT ? 0 : OTHER_SLOT))
  writer.u32(count)
  writer.u32(sum)
  writer.u32(0)
  return seal(writer.finish())
}

export function decodeMeta(body: Uint8Array): MetaRecord {
  const reader = new ByteReader(body, 'meta record of the state')
  const meta = readSnapshotMeta(reader)
  const flags = reader.u8('flags')
  if (flags > (REPLACED | OTHER_SLOT)) throw reader.malformed('flags', `${flags} has no meaning`)
  const count = reader.u32('count')
  const sum = reader.u32('sum')
  reader.end()
  const slot = (flags & OTHER_SLOT) === 0 ? FIRST_SLOT : otherSlot(FIRST_SLOT)
  return { meta, slot, replaced: (flags & REPLACED) !== 0, count, sum }
}

export function encodeOffer(offer: SnapshotOffer): Uint8Array {
  const writer = new ByteWriter(offerSize(offer) + SEAL_BYTES)
  writeOffer(writer, offer)
  writer.u32(0)
  return seal(writer.finish())
}

export function decodeOffer(body: Uint8Array): SnapshotOffer {
  const reader = new ByteReader(body, 'record of a staged state')
  const offer = readOffer(reader)
  reader.end()
  return offer
}

export function offerSize({ meta }: SnapshotOffer): number {
  return snapshotMetaSize(meta) + 8 + 4 + 8 + 4
}

export function writeOffer(writer: ByteWriter, { id, meta, digest }: SnapshotOffer): void {
  writer.u64(id)
  writeSnapshotMeta(writer, meta)
  writer.u32(digest.count)
  writer.u64(digest.bytes)
  writer.u32(digest.sum)
}

export function readOffer(reader: ByteReader): SnapshotOffer {
  const id = reader.u64('id')
  const meta = readSnapshotMeta(reader)
  const digest: StateDigest = { count: reader.u32('count'), bytes: reader.u64('bytes'), sum: reader.u32('sum') }
  return { id, meta, digest }
}
