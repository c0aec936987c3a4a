// What leader and follower say to each other on the stream of a snapshot: frames with a length and a CRC32 over all of each.
import { unreachable } from '../base/assert.ts'
import { OperationError } from '../base/errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { crc32 } from './checksum.ts'
import { decodeMessage, encodeMessage } from './codec.ts'
import { offerSize, readOffer, writeOffer } from './level-state-records.ts'
import { codeOf, kindOf, readFlag } from './records.ts'
import { type Message, type SnapshotOffer, type StatePair } from './types.ts'

export type SnapshotMessage = Extract<Message, { kind: 'snapshot' }>

/** Why a follower does not take a snapshot: it is in a later term, or what it received is not what was offered. */
export type Refusal = 'stale' | 'not-what-was-offered'

/** `bytes`: of keys and values that are staged so far. */
export type SnapshotFrame =
  /** Leader: `message` is for the follower's core once the state is there. */
  | { readonly kind: 'offer'; readonly message: SnapshotMessage; readonly offer: SnapshotOffer }
  /** Follower: send what comes behind `after`. */
  | { readonly kind: 'resume'; readonly bytes: number; readonly after: string | undefined }
  /** Leader: pairs that follow the first `bytes` bytes. */
  | { readonly kind: 'chunk'; readonly bytes: number; readonly pairs: readonly StatePair[] }
  /** Follower: staged so far; said again while it works on what is complete. */
  | { readonly kind: 'staged'; readonly bytes: number }
  /** Follower: its state is at least that of the offer. */
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly why: Refusal }

/** Length of what follows the header u32, CRC32 of it u32. */
const HEADER_BYTES = 8
/** Longer frames are not accepted: a chunk ends with the pair that fills it, and a pair has up to 2 MiB (state-tally.ts). */
const MAX_BODY_BYTES = 4 * 1024 * 1024

// Codes are for ever: members of two versions talk to each other. New kinds go to the end.
const KINDS: readonly SnapshotFrame['kind'][] = ['offer', 'resume', 'chunk', 'staged', 'done', 'refused']
const REFUSALS: readonly Refusal[] = ['stale', 'not-what-was-offered']

export function encodeSnapshotFrame(frame: SnapshotFrame): Uint8Array {
  const body = encodeBody(frame)
  const bytes = new Uint8Array(HEADER_BYTES + body.length)
  const header = new DataView(bytes.buffer)
  header.setUint32(0, body.length)
  header.setUint32(4, crc32(body))
  bytes.set(body, HEADER_BYTES)
  return bytes
}

/** Puts frames together from pieces as they come. Throws `failed` with data.kind `malformed` for bytes that are no frame. */
export class SnapshotFrameReader {
  #pieces: Uint8Array[] = []
  #size = 0

  push(piece: Uint8Array): readonly SnapshotFrame[] {
    this.#pieces.push(piece)
    this.#size += piece.length
    const frames: SnapshotFrame[] = []
    for (let body = this.#take(); body !== undefined; body = this.#take()) frames.push(decodeBody(body))
    return frames
  }

  #take(): Uint8Array | undefined {
    if (this.#size < HEADER_BYTES) return undefined
    if ((this.#pieces[0]?.length ?? 0) < HEADER_BYTES) this.#join()
    const head = this.#pieces[0] ?? new Uint8Array(0)
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
    const length = view.getUint32(0)
    if (length > MAX_BODY_BYTES) throw malformed(`a frame of ${length} bytes, ${MAX_BODY_BYTES} are allowed`)
    if (this.#size < HEADER_BYTES + length) return undefined
    const sum = view.getUint32(4)
    const all = this.#join()
    const body = all.subarray(HEADER_BYTES, HEADER_BYTES + length)
    this.#pieces = [all.subarray(HEADER_BYTES + length)]
    this.#size -= HEADER_BYTES + length
    if (crc32(body) !== sum) throw malformed('the checksum of a frame is wrong')
    return body
  }

  #join(): Uint8Array {
    const [first] = this.#pieces
    if (first !== undefined && this.#pieces.length === 1) return first
    const all = new Uint8Array(this.#size)
    let at = 0
    for (const piece of this.#pieces) {
      all.set(piece, at)
      at += piece.length
    }
    this.#pieces = [all]
    return all
  }
}

function encodeBody(frame: SnapshotFrame): Uint8Array {
  switch (frame.kind) {
    case 'offer': {
      const message = encodeMessage(frame.message, 0)
      return write(frame, offerSize(frame.offer) + message.length, (writer) => {
        writeOffer(writer, frame.offer)
        writer.bytes(message)
      })
    }
    case 'resume': {
      const after = new TextEncoder().encode(frame.after ?? '')
      return write(frame, 9 + after.length, (writer) => {
        writer.u64(frame.bytes)
        writer.u8(frame.after === undefined ? 0 : 1)
        writer.bytes(after)
      })
    }
    case 'chunk':
      return encodeChunk(frame)
    case 'staged':
      return write(frame, 8, (writer) => writer.u64(frame.bytes))
    case 'done':
      return write(frame, 0, () => {})
    case 'refused':
      return write(frame, 1, (writer) => writer.u8(codeOf(REFUSALS, frame.why)))
    default:
      return unreachable(frame, 'snapshot frame')
  }
}

function encodeChunk(frame: Extract<SnapshotFrame, { kind: 'chunk' }>): Uint8Array {
  const encoder = new TextEncoder()
  const keys = frame.pairs.map(({ key }) => encoder.encode(key))
  const size = frame.pairs.reduce((sum, { value }, at) => sum + 8 + (keys[at]?.length ?? 0) + value.length, 12)
  return write(frame, size, (writer) => {
    writer.u64(frame.bytes)
    writer.u32(frame.pairs.length)
    frame.pairs.forEach(({ value }, at) => {
      const key = keys[at] ?? new Uint8Array(0)
      writer.u32(key.length)
      writer.u32(value.length)
      writer.bytes(key)
      writer.bytes(value)
    })
  })
}

function write({ kind }: SnapshotFrame, size: number, fill: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter(1 + size)
  writer.u8(codeOf(KINDS, kind))
  fill(writer)
  return writer.finish()
}

function decodeBody(body: Uint8Array): SnapshotFrame {
  const reader = new ByteReader(body, 'snapshot frame')
  const frame = readBody(reader, kindOf(reader, KINDS, 'kind'))
  reader.end()
  return frame
}

function readBody(reader: ByteReader, kind: SnapshotFrame['kind']): SnapshotFrame {
  switch (kind) {
    case 'offer': {
      const offer = readOffer(reader)
      const { message } = decodeMessage(reader.bytes(reader.remaining, 'message'))
      if (message.kind !== 'snapshot') throw reader.malformed('message', `it is ${message.kind}`)
      return { kind, offer, message }
    }
    case 'resume': {
      const bytes = reader.u64('bytes')
      const isAfter = readFlag(reader, 'after')
      const after = text(reader.bytes(reader.remaining, 'after'))
      return { kind, bytes, after: isAfter ? after : undefined }
    }
    case 'chunk':
      return { kind, bytes: reader.u64('bytes'), pairs: readPairs(reader) }
    case 'staged':
      return { kind, bytes: reader.u64('bytes') }
    case 'done':
      return { kind }
    case 'refused':
      return { kind, why: kindOf(reader, REFUSALS, 'refusal') }
    default:
      return unreachable(kind, 'snapshot frame')
  }
}

function readPairs(reader: ByteReader): StatePair[] {
  const pairs: StatePair[] = []
  for (let left = reader.count(8, 'number of pairs'); left > 0; left -= 1) {
    const keyLength = reader.u32('key length')
    const valueLength = reader.u32('value length')
    pairs.push({ key: text(reader.bytes(keyLength, 'key')), value: reader.bytes(valueLength, 'value') })
  }
  return pairs
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function malformed(problem: string): OperationError {
  return new OperationError('failed', `the stream of a snapshot is malformed: ${problem}`, { data: { kind: 'malformed' } })
}
