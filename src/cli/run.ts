// One run of the command line: from its words to an exit code. The only place that turns errors into text.
import {
  type ApplicationText,
  ArgumentScannerError,
  formatMessageForArgumentScannerError,
  type PartialApplicationConfiguration,
  run,
  type StricliProcess,
  text_en,
} from '@stricli/core'
import { exitCode, OperationError } from '../base/errors.ts'
import { buildApp, isNoun } from './app.ts'
import { painter, wantsColor } from './color.ts'
import { COMPLETE } from './complete-word.ts'
import { type CliContext } from './context.ts'
import { errorJson, errorText } from './error-text.ts'
import { type Io } from './io.ts'
import { hoistGlobals, wantsJson } from './words.ts'

/** Resolves with the exit code. Never rejects: what went wrong is told on stderr. */
export async function runCli(argv: readonly string[], io: Io): Promise<number> {
  if (argv[0] === COMPLETE) {
    await (await import('./complete.ts')).complete(argv.slice(1), io)
    return 0
  }
  const words = hoistGlobals(argv)
  const [first] = words
  const colored = !words.includes('--no-color')
  const tell = (error: unknown): string => {
    if (wantsJson(words)) return errorJson(error).trimEnd()
    return errorText(error, painter(wantsColor(io, io.stderr, colored))).trimEnd()
  }
  const app = await buildApp(isNoun(first) ? first : null, configOf(tell, wantsColor(io, io.stdout, colored)))
  const outcome = { exitCode: 0 }
  const process: StricliProcess = { stdout: io.stdout, stderr: io.stderr, env: io.env, exitCode: 0 }
  const context: CliContext = { process, io, outcome }
  await run(app, words, context)
  return shellCode(Number(process.exitCode ?? 0)) || outcome.exitCode
}

/** stricli's own codes are negative: wrong words are a usage error, anything else of its own is a failure. */
function shellCode(code: number): number {
  if (code >= 0) return code
  return code === UNKNOWN_COMMAND || code === INVALID_ARGUMENT ? exitCode('usage') : exitCode('failed')
}

const UNKNOWN_COMMAND = -5
const INVALID_ARGUMENT = -4

function configOf(tell: (error: unknown) => string, colored: boolean): PartialApplicationConfiguration {
  return {
    name: 'hostmesh',
    scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
    documentation: { caseStyle: 'convert-camel-to-kebab', disableAnsiColor: !colored, onlyRequiredInUsageLine: true },
    localization: { text: textOf(tell) },
    determineExitCode: (error) => exitCode(error instanceof OperationError ? error.code : 'failed'),
  }
}

function textOf(tell: (error: unknown) => string): ApplicationText {
  const failed = (error: unknown): string => tell(error)
  return {
    ...text_en,
    noCommandRegisteredForInput: ({ input, corrections }) => tell(unknownCommand(input, corrections)),
    exceptionWhileParsingArguments: (error) => tell(wrongArgument(error)),
    exceptionWhileLoadingCommandFunction: failed,
    exceptionWhileLoadingCommandContext: failed,
    exceptionWhileRunningCommand: failed,
    commandErrorResult: failed,
  }
}

function unknownCommand(input: string, corrections: readonly string[]): OperationError {
  const message = `there is no command "${input}"`
  const nearest = corrections.length === 0 ? message : `${message}; did you mean ${corrections.join(' or ')}?`
  return new OperationError('usage', nearest, { reasons: [{ code: 'usage', message: nearest, fix: 'hostmesh --help' }] })
}

/** What stricli says about flags and arguments, and what our own parsers say about values. */
function wrongArgument(error: unknown): OperationError {
  const message = error instanceof ArgumentScannerError ? scannerMessage(error) : error instanceof Error ? error.message : String(error)
  return new OperationError('usage', message, {
    reasons: [{ code: 'usage', message, fix: 'hostmesh … --help shows what the command takes' }],
  })
}

function scannerMessage(error: ArgumentScannerError): string {
  return formatMessageForArgumentScannerError(error, {
    ArgumentParseError: ({ externalFlagNameOrPlaceholder, exception }) =>
      `${externalFlagNameOrPlaceholder}: ${exception instanceof Error ? exception.message : String(exception)}`,
    FlagNotFoundError: ({ input, corrections }) =>
      `there is no flag --${input}${corrections.length === 0 ? '' : `; did you mean ${corrections.map((name) => `--${name}`).join(' or ')}?`}`,
    UnsatisfiedFlagError: ({ externalFlagName }) => `--${externalFlagName} is missing, or has no value`,
    UnsatisfiedPositionalError: ({ placeholder }) => `${placeholder} is missing`,
    UnexpectedPositionalError: ({ expectedCount, input }) => `"${input}" is one argument too many: the command takes ${expectedCount}`,
    EnumValidationError: ({ externalFlagName, input, values }) => `--${externalFlagName} is "${input}", it must be ${values.join(', ')}`,
  })
}
