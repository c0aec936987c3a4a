// What the command line touches of the machine, as arguments: tests run it in their own process.
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'

export interface Output {
  write(text: string | Uint8Array): void
  /** Whether a person looks at it: colors and progress are for people. */
  readonly isTTY: boolean
  readonly columns: number
}

export interface Input {
  readonly isTTY: boolean
  /** Bytes as they come; ends with the input. */
  bytes(signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined>
  /** Raw: every key at once, none handled by the terminal. */
  setRaw(raw: boolean): void
}

export interface Io {
  readonly stdout: Output
  readonly stderr: Output
  readonly stdin: Input
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly random: Random
  /** Goes on as the agent, in this process; resolves once it has begun. */
  becomeAgent(args: readonly string[]): Promise<void>
}
