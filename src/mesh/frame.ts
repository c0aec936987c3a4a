// Frames on a stream: 4 bytes length of the payload, 1 byte type, payload. Incomplete and hostile bytes are expected.
import { OperationError } from '../base/errors.ts'

/** For ever: hosts of two versions talk to each other. */
export const FRAME = {
  hello: 1,
  welcome: 2,
  refused: 3,
  beat: 4,
  probe: 5,
  proof: 6,
  mail: 7,
  request: 8,
  reply: 9,
  failure: 10,
  cancel: 11,
  open: 12,
  opened: 13,
  data: 14,
  joinAsk: 15,
  joinNonce: 16,
  joinProof: 17,
  joinReply: 18,
} as const

export type FrameType = (typeof FRAME)[keyof typeof FRAME]

export interface Frame {
  /** What the other side wrote; a type this version does not know is the reader's to judge. */
  readonly type: number
  /** A copy of its own. */
  readonly payload: Uint8Array
}

export const FRAME_HEADER_BYTES = 5

/** One buffer for all of them. */
export function encodeFrames(frames: readonly Frame[]): Uint8Array {
  let length = 0
  for (const { payload } of frames) length += FRAME_HEADER_BYTES + payload.length
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const { type, payload } of frames) {
    view.setUint32(at, payload.length)
    bytes[at + 4] = type
    bytes.set(payload, at + FRAME_HEADER_BYTES)
    at += FRAME_HEADER_BYTES + payload.length
  }
  return bytes
}

/** Cuts a stream of bytes into frames, wherever its chunks begin and end. */
export class FrameReader {
  readonly #maxBytes: number
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES)
  #headerFilled = 0
  #payload: Uint8Array | undefined
  #payloadFilled = 0

  /** `maxBytes`: the longest payload that is accepted. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The frames that `chunk` completes, in order. Throws `too-large` for a longer payload; nothing can be read after that. */
  read(chunk: Uint8Array): Frame[] {
    const frames: Frame[] = []
    let at = 0
    while (at < chunk.length) {
      at += this.#payload === undefined ? this.#takeHeader(chunk, at) : this.#takePayload(this.#payload, chunk, at)
      if (this.#payload !== undefined && this.#payloadFilled === this.#payload.length) frames.push(this.#finish(this.#payload))
    }
    return frames
  }

  #takeHeader(chunk: Uint8Array, at: number): number {
    const taken = Math.min(FRAME_HEADER_BYTES - this.#headerFilled, chunk.length - at)
    this.#header.set(chunk.subarray(at, at + taken), this.#headerFilled)
    this.#headerFilled += taken
    if (this.#headerFilled === FRAME_HEADER_BYTES) {
      const length = new DataView(this.#header.buffer).getUint32(0)
      if (length > this.#maxBytes) {
        throw new OperationError('too-large', `a frame of ${length} bytes was announced, at most ${this.#maxBytes} are allowed here`)
      }
      this.#payload = new Uint8Array(length)
      this.#payloadFilled = 0
    }
    return taken
  }

  #takePayload(payload: Uint8Array, chunk: Uint8Array, at: number): number {
    const taken = Math.min(payload.length - this.#payloadFilled, chunk.length - at)
    payload.set(chunk.subarray(at, at + taken), this.#payloadFilled)
    this.#payloadFilled += taken
    return taken
  }

  #finish(payload: Uint8Array): Frame {
    this.#payload = undefined
    this.#headerFilled = 0
    return { type: this.#header[4] ?? 0, payload }
  }
}
