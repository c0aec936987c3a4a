// Yamux with fewer and larger writes: a frame leaves in one piece, and room in a window is told once it is worth a frame.
import { type MessageStream, type StreamMuxerFactory } from '@libp2p/interface'

/**
 * A quarter of the smallest window. Yamux tells of every few bytes that were taken, so each message of a peer costs a frame back: a record of
 * TLS, a write, and a process woken up for it.
 */
const WORTH_TELLING_BYTES = 64 * 1024

// github.com/hashicorp/yamux/blob/master/spec.md: version u8, type u8, flags u16, stream u32, length u32.
const HEADER_BYTES = 12
const WINDOW_UPDATE = 1
const FIN_OR_RESET = 4 | 8

export function thriftyMuxer(muxer: () => StreamMuxerFactory): () => StreamMuxerFactory {
  return () => {
    const factory = muxer()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection) => create(thrifty(connection))
    return factory
  }
}

/** The muxer sends one frame a call, as a list of header and data. Handed on so, each would be a write of its own, one after the other. */
export function thrifty<C extends Pick<MessageStream, 'send'>>(connection: C): C {
  const send = connection.send.bind(connection)
  const untold = new Map<number, number>()
  connection.send = (data) => {
    const frame = data instanceof Uint8Array ? data : data.subarray()
    if (frame.length < HEADER_BYTES) return send(frame)
    const header = new DataView(frame.buffer, frame.byteOffset, HEADER_BYTES)
    const [type, flags, stream] = [header.getUint8(1), header.getUint16(2), header.getUint32(4)]
    if ((flags & FIN_OR_RESET) !== 0) untold.delete(stream)
    if (type !== WINDOW_UPDATE || flags !== 0) return send(frame)
    const room = (untold.get(stream) ?? 0) + header.getUint32(8)
    untold.set(stream, room < WORTH_TELLING_BYTES ? room : 0)
    if (room < WORTH_TELLING_BYTES) return true
    header.setUint32(8, room)
    return send(frame)
  }
  return connection
}
