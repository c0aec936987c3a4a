// Cuts a stream of bytes into lines of text, however the chunks fall, and never holds more than one line's limit.
import { OperationError } from './errors.ts'

export class LineSplitter {
  readonly #limitBytes: number
  readonly #decoder = new TextDecoder()
  #parts: Uint8Array[] = []
  #heldBytes = 0

  /** `limitBytes`: the longest line; the caller knows the longest that an honest peer sends. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** The lines that `chunk` completes, without their line ends (LF or CR LF). Throws `too-large` when one is longer than the limit. */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = []
    let from = 0
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, from)) {
      this.#hold(chunk.subarray(from, at))
      lines.push(this.#take())
      from = at + 1
    }
    this.#hold(chunk.subarray(from))
    return lines
  }

  #hold(bytes: Uint8Array): void {
    this.#heldBytes += bytes.length
    if (this.#heldBytes > this.#limitBytes) {
      throw new OperationError('too-large', `a line is longer than ${this.#limitBytes} bytes`)
    }
    // A copy: the caller may reuse its buffer.
    if (bytes.length > 0) this.#parts.push(bytes.slice())
  }

  #take(): string {
    const line = new Uint8Array(this.#heldBytes)
    let at = 0
    for (const part of this.#parts) {
      line.set(part, at)
      at += part.length
    }
    this.#parts = []
    this.#heldBytes = 0
    return this.#decoder.decode(line.at(-1) === CR ? line.subarray(0, -1) : line)
  }
}

const LF = 10
const CR = 13
