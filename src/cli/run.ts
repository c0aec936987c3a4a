// One run of the command line: from its words to an exit code. The only place that turns errors into text.
import {
  type ApplicationText,
  ArgumentScannerError,
  formatMessageForArgumentScannerError,
  type PartialApplicationConfiguration,
  run,
  text_en,
} from '@stricli/core'
import { exitCode, OperationError } from '../base/errors.ts'
import { buildApp, isNoun } from './app.ts'
import { painter, wantsColor } from './color.ts'
import { COMPLETE } from './complete-word.ts'
import type { CliContext } from './context.ts'
import { errorJson, errorText } from './error-text.ts'
import type { Io } from './io.ts'
import { hoistGlobals, wantsJson } from './words.ts'

/** Resolves with the exit code. Never rejects: what went wrong is told on stderr. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  if (argv[0] === COMPLETE) {
    await (await import('./complete.ts')).complete(argv.slice(1), io)
    return 0
  }
  const words = hoistGlobals(argv)
  const colored = !words.includes('--no-color')
  const tell = (error: unknown): string => {
    if (wantsJson(words)) return errorJson(error).trimEnd()
    return errorText(error, painter(wantsColor(io, io.stderr, colored))).trimEnd()
  }
  const [first] = words
  const app = await buildApp(isNoun(first) ? first : null, configOf(words, tell, wantsColor(io, io.stdout, colored)))
  const context: CliContext = {
    process: { stdout: io.stdout, stderr: io.stderr, env: io.env, exitCode: null },
    io,
    outcome: { exitCode: 0 },
  }
  await run(app, words, context)
  return shellCode(Number(context.process.exitCode)) || context.outcome.exitCode
}

/** stricli's own codes are negative: wrong words are a usage error, anything else of its own is a failure. */
function shellCode(code: number): number {
  if (code >= 0) return code
  return code === UNKNOWN_COMMAND || code === INVALID_ARGUMENT ? exitCode('usage') : exitCode('failed')
}

const UNKNOWN_COMMAND = -5
const INVALID_ARGUMENT = -4

function configOf(words: readonly string[], tell: Tell, colored: boolean): PartialApplicationConfiguration {
  return {
    name: 'hostmesh',
    scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
    documentation: { caseStyle: 'convert-camel-to-kebab', disableAnsiColor: !colored, onlyRequiredInUsageLine: true },
    localization: { text: textOf(words, tell) },
    determineExitCode: (error) => exitCode(error instanceof OperationError ? error.code : 'failed'),
  }
}

/** The text of an error, for whoever reads it. */
type Tell = (error: unknown) => string

function textOf(words: readonly string[], tell: Tell): ApplicationText {
  const failed = (error: unknown): string => tell(error)
  return {
    ...text_en,
    noCommandRegisteredForInput: ({ input, corrections }) => tell(unknownCommand(input, corrections)),
    exceptionWhileParsingArguments: (error) => tell(wrongArgument(error, words)),
    exceptionWhileLoadingCommandFunction: failed,
    exceptionWhileLoadingCommandContext: failed,
    exceptionWhileRunningCommand: failed,
    commandErrorResult: failed,
  }
}

function unknownCommand(input: string, corrections: readonly string[]): OperationError {
  const message = `there is no command "${input}"`
  const nearest = corrections.map((word) => word.replaceAll('`', '')).join(' or ')
  return usage(nearest === '' ? message : `${message}; did you mean ${nearest}?`, 'hostmesh --help')
}

/** What stricli says about flags and arguments, and what our own parsers say about values. */
function wrongArgument(error: unknown, words: readonly string[]): OperationError {
  const message = error instanceof ArgumentScannerError ? scannerMessage(error) : messageOf(error)
  // The help of `join TOKEN` is that of `join`: an argument in the second place does no harm.
  const verb = words.slice(0, 2).filter((word) => !word.startsWith('-'))
  return usage(message, `hostmesh ${verb.join(' ')} --help`)
}

function usage(message: string, fix: string): OperationError {
  return new OperationError('usage', message, { reasons: [{ code: 'usage', message, fix }] })
}

function scannerMessage(error: ArgumentScannerError): string {
  return formatMessageForArgumentScannerError(error, {
    ArgumentParseError: ({ externalFlagNameOrPlaceholder, exception }) =>
      `${labelOf(externalFlagNameOrPlaceholder)}: ${messageOf(exception)}`,
    FlagNotFoundError: ({ input, corrections }) => `there is no flag --${input}${didYouMean(corrections)}`,
    UnsatisfiedFlagError: ({ externalFlagName }) => `${labelOf(externalFlagName)} is missing, or has no value`,
    UnsatisfiedPositionalError: ({ placeholder }) => `${placeholder} is missing`,
    UnexpectedPositionalError: ({ expectedCount, input }) => `"${input}" is one argument too many: the command takes ${expectedCount}`,
    EnumValidationError: ({ externalFlagName, input, values }) =>
      `${labelOf(externalFlagName)} is "${input}", it must be ${values.join(', ')}`,
  })
}

function didYouMean(flags: readonly string[]): string {
  return flags.length === 0 ? '' : `; did you mean ${flags.map(labelOf).join(' or ')}?`
}

/** Arguments are written in capitals, flags with dashes. */
function labelOf(name: string): string {
  return /[a-z]/.test(name) ? `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}` : name
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
