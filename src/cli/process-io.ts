// The real machine behind the command line.
import { assert } from '../base/assert.ts'
import { foregroundClock } from '../base/clock.ts'
import { realRandom } from '../base/random.ts'
import type { Input, Io, Output } from './io.ts'

/** Where a terminal does not tell its width. */
const COLUMNS = 80

/** `loadAgent` runs the daemon, which reads its words from process.argv. */
export function processIo(loadAgent: () => Promise<unknown>): Io {
  return {
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    stdin: processInput,
    env: process.env,
    clock: foregroundClock,
    random: realRandom,
    async becomeAgent(args) {
      // Not a new process image: a second start of Node costs the agent more than the little that is loaded by now.
      process.argv.splice(2, Infinity, ...args)
      await loadAgent()
    },
  }
}

function outputOf(stream: NodeJS.WriteStream): Output {
  stream.on('error', (error: Error & { readonly code?: string }) => {
    // A reader that goes away (`hostmesh event watch | head`) wants no more: there is nobody to tell.
    if (error.code === 'EPIPE') process.exit(0)
  })
  return {
    write: (text) => void stream.write(text),
    get isTTY() {
      return stream.isTTY
    },
    get columns() {
      return stream.columns || COLUMNS
    },
  }
}

/** Touches process.stdin only when it is used: opening it costs, and keeps the process alive. */
const processInput: Input = {
  get isTTY() {
    return process.stdin.isTTY
  },
  setRaw(raw) {
    if (process.stdin.isTTY) process.stdin.setRawMode(raw)
  },
  async *bytes(signal) {
    const end = (): void => void process.stdin.destroy()
    signal.addEventListener('abort', end, { once: true })
    try {
      for await (const chunk of process.stdin) {
        assert(chunk instanceof Uint8Array, 'input without encoding comes as bytes')
        yield chunk
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      signal.removeEventListener('abort', end)
    }
  },
}
