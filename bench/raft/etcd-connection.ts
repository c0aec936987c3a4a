// One client of etcd in its native protocol, gRPC, written by hand down to the frames of HTTP/2: a general client would cost more than the server.
import { connect, type Socket } from 'node:net'

/** Any number of requests at a time on one connection. */
export interface Connection {
  /** True: done, and more bytes came than those of the value wanted. Rejects when the connection ends first. */
  ask(request: Buffer): Promise<boolean>
  close(): void
}

export type EtcdMethod = 'Put' | 'Range'

// RFC 9113, section 6: types and flags of frames.
const FRAME_HEADER_BYTES = 9
const DATA = 0
const HEADERS = 1
const RESET = 3
const SETTINGS = 4
const PING = 6
const GOAWAY = 7
const WINDOW_UPDATE = 8
const END_STREAM = 1
const ACK = 1
const END_HEADERS = 4
const MAX_WINDOW = 2 ** 31 - 1
const DEFAULT_WINDOW = 65_535

/** Field 1 is the key, field 2 the value: the same in PutRequest and, without value, in RangeRequest (linearizable, unless it says otherwise). */
export function etcdRequest(key: string, value?: Uint8Array): Buffer {
  const fields = [field(1, Buffer.from(key)), ...(value === undefined ? [] : [field(2, value)])]
  const message = Buffer.concat(fields)
  // gRPC: not compressed, length.
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

export async function connectEtcd(address: string, method: EtcdMethod, valueBytes: number): Promise<Connection> {
  const socket = await connected(address)
  const line = new Line(socket)
  const received = new Map<number, number>()
  let nextStream = 1
  /** What etcd takes before it says more; requests beyond it wait. */
  let window = DEFAULT_WINDOW
  let held: { readonly stream: number; readonly request: Buffer }[] = []
  const send = (stream: number, request: Buffer): void => {
    window -= request.length
    const headers = stream === 1 ? headersOnce(method, address) : HEADERS_AGAIN
    line.write(frame(HEADERS, END_HEADERS, stream, headers), frame(DATA, END_STREAM, stream, request))
  }
  const onFrame = (type: number, flags: number, stream: number, payload: Buffer): void => {
    if (type === SETTINGS && (flags & ACK) === 0) line.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)))
    else if (type === PING && (flags & ACK) === 0) line.write(frame(PING, ACK, 0, payload))
    else if (type === GOAWAY) socket.destroy(new Error('etcd says go away'))
    else if (type === WINDOW_UPDATE && stream === 0) {
      window += payload.readUInt32BE()
      const waiting = held
      held = []
      for (const { stream: id, request } of waiting) ask(id, request)
    } else if (type === DATA) received.set(stream, (received.get(stream) ?? 0) + payload.length)
    else if (type === RESET || (type === HEADERS && (flags & END_STREAM) !== 0)) {
      // The trailers say more, but data comes only with success.
      line.answered(stream, type === HEADERS && (received.get(stream) ?? 0) > valueBytes)
      received.delete(stream)
    }
  }
  const ask = (stream: number, request: Buffer): void => {
    if (request.length <= window) send(stream, request)
    else held.push({ stream, request })
  }
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = takeFrames(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]), onFrame)
  })
  socket.write(PREFACE)
  return {
    ask(request) {
      const stream = nextStream
      nextStream += 2
      ask(stream, request)
      return line.answerTo(stream)
    },
    close: () => socket.destroy(),
  }
}

/** The requests under way on a socket, and one write for all that is sent at a time. */
export class Line {
  readonly #socket: Socket
  readonly #waiting = new Map<number, PromiseWithResolvers<boolean>>()
  #unsent: Uint8Array[] = []

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', (error) => this.#end(error))
    socket.on('close', () => this.#end(new Error('the connection closed')))
  }

  write(...pieces: readonly Uint8Array[]): void {
    if (this.#unsent.length === 0) queueMicrotask(() => this.#flush())
    this.#unsent.push(...pieces)
  }

  answerTo(id: number): Promise<boolean> {
    const answer = Promise.withResolvers<boolean>()
    this.#waiting.set(id, answer)
    return answer.promise
  }

  answered(id: number, ok: boolean): void {
    this.#waiting.get(id)?.resolve(ok)
    this.#waiting.delete(id)
  }

  #flush(): void {
    this.#socket.write(this.#unsent.length === 1 ? (this.#unsent[0] ?? '') : Buffer.concat(this.#unsent))
    this.#unsent = []
  }

  #end(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
  }
}

export function connected(address: string): Promise<Socket> {
  const colon = address.lastIndexOf(':')
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.removeListener('error', reject)
      resolve(socket)
    })
  })
}

/** Windows as wide as they get, so that nothing has to be said of them later. */
const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(SETTINGS, 0, 0, Buffer.concat([setting(2, 0), setting(4, MAX_WINDOW)])),
  frame(WINDOW_UPDATE, 0, 0, u32(MAX_WINDOW - DEFAULT_WINDOW)),
])

/** HPACK (RFC 7541): two fields of the static table, four that enter the dynamic table, where the last one in is number 62. */
function headersOnce(method: EtcdMethod, authority: string): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Uint8Array.of(value.length), Buffer.from(value)])
  const path = [Uint8Array.of(0x40 | 4), text(`/etcdserverpb.KV/${method}`)]
  const host = [Uint8Array.of(0x40 | 1), text(authority)]
  const contentType = [Uint8Array.of(0x40 | 31), text('application/grpc')]
  const te = [Uint8Array.of(0x40), text('te'), text('trailers')]
  return Buffer.concat([Uint8Array.of(0x83, 0x86), ...path, ...host, ...contentType, ...te])
}

const HEADERS_AGAIN = Uint8Array.of(0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62)

/** What is left of an incomplete frame. */
function takeFrames(bytes: Buffer, onFrame: (type: number, flags: number, stream: number, payload: Buffer) => void): Buffer {
  let at = 0
  while (bytes.length - at >= FRAME_HEADER_BYTES) {
    const end = at + FRAME_HEADER_BYTES + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    onFrame(bytes.readUInt8(at + 3), bytes.readUInt8(at + 4), bytes.readUInt32BE(at + 5), bytes.subarray(at + FRAME_HEADER_BYTES, end))
    at = end
  }
  return bytes.subarray(at)
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES)
  header.writeUIntBE(payload.length, 0, 3)
  header.writeUInt8(type, 3)
  header.writeUInt8(flags, 4)
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, payload])
}

function setting(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6)
  bytes.writeUInt16BE(id)
  bytes.writeUInt32BE(value, 2)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A length-delimited field of protobuf. */
function field(number: number, value: Uint8Array): Buffer {
  const length: number[] = []
  for (let left = value.length; ; left >>= 7) {
    length.push(left < 128 ? left : (left & 127) | 128)
    if (left < 128) break
  }
  return Buffer.concat([Uint8Array.of((number << 3) | 2, ...length), value])
}
