// The binary form of what both lies on disk and travels in messages: entries, configurations, snapshot points.
import { present } from '../base/assert.ts'
import { type ByteReader, type ByteWriter } from './bytes.ts'
import { type ConfState, type Entry, type EntryKind, type NodeId, type SnapshotMeta } from './types.ts'

/** Length u32, kind u8, three zero bytes, index u64, term u64; the data follows. */
export const ENTRY_HEADER_BYTES = 24

// Codes are for ever: they lie on disks. New kinds go to the end.
const ENTRY_KINDS: readonly EntryKind[] = ['normal', 'config']

export function entrySize(entry: Entry): number {
  return ENTRY_HEADER_BYTES + entry.data.length
}

/** The same bytes on disk and on the wire. */
export function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.u32(entry.data.length)
  writer.u32(codeOf(ENTRY_KINDS, entry.kind) << 24)
  writer.u64(entry.index)
  writer.u64(entry.term)
  writer.bytes(entry.data)
}

/** `data` is a view of the reader's bytes: an entry pins the record that it came in. */
export function readEntry(reader: ByteReader): Entry {
  const length = reader.u32('entry length')
  const kind = readEntryKind(reader)
  if (reader.u8('entry padding') + reader.u8('entry padding') + reader.u8('entry padding') !== 0) {
    throw reader.malformed('entry padding', 'it is not zero')
  }
  const index = readPositive(reader, 'entry index')
  const term = readPositive(reader, 'entry term')
  return { index, term, kind, data: reader.bytes(length, 'entry data') }
}

export function writeEntryKind(writer: ByteWriter, kind: EntryKind): void {
  writer.u8(codeOf(ENTRY_KINDS, kind))
}

export function readEntryKind(reader: ByteReader): EntryKind {
  return kindOf(reader, ENTRY_KINDS, 'entry kind')
}

export function confStateSize(conf: ConfState): number {
  return 4 * 4 + 1 + 8 * (conf.voters.length + conf.outgoing.length + conf.learners.length + conf.learnersNext.length)
}

export function writeConfState(writer: ByteWriter, conf: ConfState): void {
  writer.u8(conf.autoLeave ? 1 : 0)
  for (const nodes of [conf.voters, conf.outgoing, conf.learners, conf.learnersNext]) {
    writer.u32(nodes.length)
    for (const node of nodes) writer.u64(node)
  }
}

export function readConfState(reader: ByteReader): ConfState {
  const autoLeave = readFlag(reader, 'auto-leave')
  const voters = readNodes(reader, 'voters')
  const outgoing = readNodes(reader, 'outgoing voters')
  const learners = readNodes(reader, 'learners')
  return { voters, outgoing, learners, learnersNext: readNodes(reader, 'next learners'), autoLeave }
}

export function snapshotMetaSize(meta: SnapshotMeta): number {
  return 16 + confStateSize(meta.conf)
}

export function writeSnapshotMeta(writer: ByteWriter, meta: SnapshotMeta): void {
  writer.u64(meta.index)
  writer.u64(meta.term)
  writeConfState(writer, meta.conf)
}

export function readSnapshotMeta(reader: ByteReader): SnapshotMeta {
  const index = reader.u64('snapshot index')
  const term = reader.u64('snapshot term')
  return { index, term, conf: readConfState(reader) }
}

/** The code of `kind` in a table whose order never changes; 0 stays unused, so that zeroed bytes are no record. */
export function codeOf<K>(table: readonly K[], kind: K): number {
  return table.indexOf(kind) + 1
}

export function kindOf<K>(reader: ByteReader, table: readonly K[], field: string): K {
  const code = reader.u8(field)
  if (code === 0 || code > table.length) throw reader.malformed(field, `unknown code ${code}`)
  return present(table[code - 1], field)
}

export function readFlag(reader: ByteReader, field: string): boolean {
  const value = reader.u8(field)
  if (value > 1) throw reader.malformed(field, `${value} is neither 0 nor 1`)
  return value === 1
}

export function readPositive(reader: ByteReader, field: string): number {
  const value = reader.u64(field)
  if (value === 0) throw reader.malformed(field, 'it is 0')
  return value
}

function readNodes(reader: ByteReader, field: string): NodeId[] {
  const nodes: NodeId[] = []
  for (let left = reader.count(8, field); left > 0; left -= 1) nodes.push(readPositive(reader, field))
  return nodes
}
