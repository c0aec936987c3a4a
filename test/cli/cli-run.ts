// The command line in the test's own process: words in, exit code and text out, against a fake agent.
import { realClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/random.ts'
import { type Io } from '../../src/cli/io.ts'
import { runCli } from '../../src/cli/run.ts'

export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface RunWishes {
  readonly socketPath?: string
  readonly env?: Readonly<Record<string, string>>
  /** Output goes to a terminal of 80 columns. */
  readonly terminal?: boolean
  /** Pieces of input; it ends after them. */
  readonly input?: AsyncIterable<Uint8Array> | readonly Uint8Array[]
  /** Seed of the idempotency keys. */
  readonly seed?: number
  readonly io?: Partial<Io>
}

export async function hostmesh(words: readonly string[], wishes: RunWishes = {}): Promise<Outcome> {
  let out = ''
  let err = ''
  const isTTY = wishes.terminal ?? false
  const io: Io = {
    stdout: { write: (text) => void (out += textOf(text)), isTTY, columns: 80 },
    stderr: { write: (text) => void (err += textOf(text)), isTTY, columns: 80 },
    stdin: {
      isTTY,
      setRaw: () => undefined,
      async *bytes() {
        yield* wishes.input ?? []
      },
    },
    env: { ...(wishes.socketPath === undefined ? {} : { HOSTMESH_SOCKET: wishes.socketPath }), ...wishes.env },
    clock: realClock,
    random: seededRandom(wishes.seed ?? 7),
    becomeAgent: () => {
      throw new Error('no other program is expected here')
    },
    ...wishes.io,
  }
  const code = await runCli(words, io)
  return { code, out, err }
}

function textOf(text: string | Uint8Array): string {
  return typeof text === 'string' ? text : Buffer.from(text).toString()
}
