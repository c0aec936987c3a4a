// What every command gets as `this`: the machine that it runs on, and the exit code that it may set.
import type { CommandContext, StricliProcess } from '@stricli/core'
import type { Io } from './io.ts'

export interface CliContext extends CommandContext {
  readonly process: StricliProcess
  readonly io: Io
  /** For outcomes that are no errors: 5 after a stale answer. */
  readonly outcome: { exitCode: number }
}
