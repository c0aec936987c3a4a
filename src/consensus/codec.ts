// Raft messages as frames of bytes: fixed layout, no JSON, no BigInt. Hostile or damaged bytes end in an OperationError, never worse.
import { assert, unreachable } from '../base/assert.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { type Holding } from './holdings.ts'
import {
  codeOf,
  ENTRY_HEADER_BYTES,
  entrySize,
  kindOf,
  readEntry,
  readEntryKind,
  readPositive,
  readSnapshotMeta,
  snapshotMetaSize,
  writeEntry,
  writeEntryKind,
  writeSnapshotMeta,
} from './records.ts'
import { type Entry, type Message, type Told } from './types.ts'

/** A message and the generation of the mesh that its sender lives in: a mesh restored from a backup has a new one and hears no old member. */
export interface Frame {
  readonly message: Message
  /** 0 to 2^32 - 1. */
  readonly generation: number
}

const FORMAT = 1
/** Format, kind, flag, zero, generation u32, then from, to, term (u64 each). */
const HEADER_BYTES = 32
const PROPOSAL_HEADER_BYTES = 5
const HOLDING_BYTES = 16

// Codes are for ever: members of two versions talk to each other. New kinds go to the end.
const MESSAGE_KINDS: readonly Message['kind'][] = [
  'pre-vote',
  'pre-vote-response',
  'vote',
  'vote-response',
  'append',
  'append-response',
  'heartbeat',
  'heartbeat-response',
  'snapshot',
  'propose',
  'read-index',
  'read-index-response',
  'transfer-leader',
  'timeout-now',
]

export function encodeMessage(message: Message, generation: number): Uint8Array {
  assert(Number.isInteger(generation) && generation >= 0 && generation <= 0xffff_ffff, `generation ${generation} is not a uint32`)
  const writer = new ByteWriter(HEADER_BYTES + bodySize(message))
  writer.u8(FORMAT)
  writer.u8(codeOf(MESSAGE_KINDS, message.kind))
  writer.u8(flagOf(message) ? 1 : 0)
  writer.u8(0)
  writer.u32(generation)
  writer.u64(message.from)
  writer.u64(message.to)
  writer.u64(message.term)
  writeBody(writer, message)
  return writer.finish()
}

/**
 * Throws `failed` with data.kind `malformed` unless `bytes` are exactly what encodeMessage writes. Nothing in the result points into `bytes`:
 * entries of one message share one copy, so an entry that stays in memory never pins a socket's buffer.
 */
export function decodeMessage(bytes: Uint8Array): Frame {
  const reader = new ByteReader(bytes, 'Raft frame')
  const format = reader.u8('format')
  if (format !== FORMAT) throw reader.malformed('format', `${format} instead of ${FORMAT}`)
  const kind = kindOf(reader, MESSAGE_KINDS, 'message kind')
  const flags = reader.u8('flags')
  if (flags > (carriesFlag(kind) ? 1 : 0)) throw reader.malformed('flags', `${flags} has no meaning for ${kind}`)
  if (reader.u8('padding') !== 0) throw reader.malformed('padding', 'it is not zero')
  const generation = reader.u32('generation')
  const from = readPositive(reader, 'from')
  const to = readPositive(reader, 'to')
  const term = reader.u64('term')
  const message = { from, to, term, ...readBody(reader, kind, flags === 1) }
  reader.end()
  return { message, generation }
}

function carriesFlag(kind: Message['kind']): boolean {
  switch (kind) {
    case 'pre-vote':
    case 'vote':
    case 'pre-vote-response':
    case 'vote-response':
    case 'append-response':
      return true
    case 'append':
    case 'heartbeat':
    case 'heartbeat-response':
    case 'snapshot':
    case 'propose':
    case 'read-index':
    case 'read-index-response':
    case 'transfer-leader':
    case 'timeout-now':
      return false
    default:
      return unreachable(kind, 'message kind')
  }
}

/** The one yes-or-no that some kinds carry: `force` of a request for votes, `reject` of a response. */
function flagOf(message: Message): boolean {
  if ('force' in message) return message.force
  return 'reject' in message && message.reject
}

function bodySize(message: Message): number {
  switch (message.kind) {
    case 'pre-vote':
    case 'vote':
      return 40
    case 'append':
      return 28 + message.entries.reduce((sum, entry) => sum + entrySize(entry), 0)
    case 'append-response':
    case 'pre-vote-response':
    case 'vote-response':
      return 24
    case 'heartbeat':
      return 28 + HOLDING_BYTES * message.holdings.length
    case 'read-index-response':
      return 16
    case 'heartbeat-response':
    case 'read-index':
    case 'transfer-leader':
      return 8
    case 'snapshot':
      return snapshotMetaSize(message.snapshot)
    case 'propose':
      return 4 + message.entries.reduce((sum, entry) => sum + PROPOSAL_HEADER_BYTES + entry.data.length, 0)
    case 'timeout-now':
      return 0
    default:
      return unreachable(message, 'message')
  }
}

function writeBody(writer: ByteWriter, message: Message): void {
  switch (message.kind) {
    case 'pre-vote':
    case 'vote':
      writer.u64(message.index)
      writer.u64(message.logTerm)
      writeTold(writer, message)
      return
    case 'pre-vote-response':
    case 'vote-response':
      writeTold(writer, message)
      return
    case 'append':
      writer.u64(message.index)
      writer.u64(message.logTerm)
      writer.u64(message.commit)
      writer.u32(message.entries.length)
      for (const entry of message.entries) writeEntry(writer, entry)
      return
    case 'append-response':
      writer.u64(message.index)
      writer.u64(message.hintIndex)
      writer.u64(message.hintTerm)
      return
    case 'heartbeat':
      writer.u64(message.commit)
      writer.u64(message.readContext)
      writer.u64(message.held)
      writer.u32(message.holdings.length)
      for (const { node, index } of message.holdings) {
        writer.u64(node)
        writer.u64(index)
      }
      return
    case 'heartbeat-response':
      writer.u64(message.readContext)
      return
    case 'snapshot':
      writeSnapshotMeta(writer, message.snapshot)
      return
    case 'propose':
      writer.u32(message.entries.length)
      for (const entry of message.entries) {
        writeEntryKind(writer, entry.kind)
        writer.u32(entry.data.length)
        writer.bytes(entry.data)
      }
      return
    case 'read-index':
      writer.u64(message.requestId)
      return
    case 'read-index-response':
      writer.u64(message.requestId)
      writer.u64(message.index)
      return
    case 'transfer-leader':
      writer.u64(message.target)
      return
    case 'timeout-now':
      return
    default:
      unreachable(message, 'message')
  }
}

function writeTold(writer: ByteWriter, { held, commit, commitTerm }: Told): void {
  writer.u64(held)
  writer.u64(commit)
  writer.u64(commitTerm)
}

function readTold(reader: ByteReader): Told {
  return { held: reader.u64('held'), commit: reader.u64('commit'), commitTerm: reader.u64('commit term') }
}

type Body<M> = M extends Message ? Omit<M, 'from' | 'to' | 'term'> : never

function readBody(reader: ByteReader, kind: Message['kind'], flag: boolean): Body<Message> {
  switch (kind) {
    case 'pre-vote':
    case 'vote':
      return { kind, index: reader.u64('index'), logTerm: reader.u64('log term'), force: flag, ...readTold(reader) }
    case 'pre-vote-response':
    case 'vote-response':
      return { kind, reject: flag, ...readTold(reader) }
    case 'append':
      return readAppend(reader)
    case 'append-response':
      return { kind, index: reader.u64('index'), reject: flag, hintIndex: reader.u64('hint index'), hintTerm: reader.u64('hint term') }
    case 'heartbeat':
      return {
        kind,
        commit: reader.u64('commit'),
        readContext: reader.u64('read context'),
        held: reader.u64('held'),
        holdings: readHoldings(reader),
      }
    case 'heartbeat-response':
      return { kind, readContext: reader.u64('read context') }
    case 'snapshot':
      return { kind, snapshot: readSnapshotMeta(reader) }
    case 'propose':
      return { kind, entries: readProposals(reader) }
    case 'read-index':
      return { kind, requestId: reader.u64('request id') }
    case 'read-index-response':
      return { kind, requestId: reader.u64('request id'), index: reader.u64('index') }
    case 'transfer-leader':
      return { kind, target: readPositive(reader, 'target') }
    case 'timeout-now':
      return { kind }
    default:
      return unreachable(kind, 'message kind')
  }
}

/** Entries must follow `index` without a gap and never fall back in term: the core takes that for granted. */
function readAppend(reader: ByteReader): Body<Message> & { readonly kind: 'append' } {
  const index = reader.u64('index')
  const logTerm = reader.u64('log term')
  const commit = reader.u64('commit')
  const count = reader.count(ENTRY_HEADER_BYTES, 'number of entries')
  const copy = new ByteReader(reader.bytes(reader.remaining, 'entries').slice(), 'Raft frame, entries')
  const entries: Entry[] = []
  let term = logTerm
  while (entries.length < count) {
    const entry = readEntry(copy)
    if (entry.index !== index + entries.length + 1) throw copy.malformed('entry index', `${entry.index} after ${index + entries.length}`)
    if (entry.term < term) throw copy.malformed('entry term', `${entry.term} after ${term}`)
    term = entry.term
    entries.push(entry)
  }
  copy.end()
  return { kind: 'append', index, logTerm, commit, entries }
}

function readHoldings(reader: ByteReader): Holding[] {
  const holdings: Holding[] = []
  for (let left = reader.count(HOLDING_BYTES, 'number of holdings'); left > 0; left -= 1) {
    holdings.push({ node: readPositive(reader, 'holder'), index: reader.u64('holding') })
  }
  return holdings
}

function readProposals(reader: ByteReader): Pick<Entry, 'kind' | 'data'>[] {
  const entries: Pick<Entry, 'kind' | 'data'>[] = []
  for (let left = reader.count(PROPOSAL_HEADER_BYTES, 'number of proposals'); left > 0; left -= 1) {
    const kind = readEntryKind(reader)
    entries.push({ kind, data: reader.bytes(reader.u32('proposal length'), 'proposal data').slice() })
  }
  return entries
}
