// What the completion scripts ask: the words so far, to what they may go on to. Never fails, never writes anything else.
import { proposeCompletions } from '@stricli/core'
import { buildApp, isNoun } from './app.ts'
import { socketOf } from './connect.ts'
import type { CliContext } from './context.ts'
import type { Io } from './io.ts'
import { hoistGlobals } from './words.ts'

export async function complete(argv: readonly string[], io: Io): Promise<void> {
  const [shell = '', ...typed] = argv
  const partial = typed.at(-1) ?? ''
  const words = [...hoistGlobals(typed.slice(0, -1)), partial]
  const [first] = words
  const context: CliContext = {
    process: { stdout: io.stdout, stderr: io.stderr, env: io.env },
    io: { ...io, env: { ...io.env, ...agentNamedIn(typed) } },
    outcome: { exitCode: 0 },
  }
  const app = await buildApp(words.length > 1 && isNoun(first) ? first : null, {
    name: 'hostmesh',
    scanner: { caseStyle: 'allow-kebab-for-camel' },
  })
  const found = await proposeCompletions(app, words, context)
  for (const { completion, brief } of found) io.stdout.write(`${lineFor(shell, completion, brief)}\n`)
}

/** A line that names its agent is completed with that agent's names. */
function agentNamedIn(words: readonly string[]): Record<string, string> {
  const after = (flag: string): string | undefined => (words.includes(flag) ? words[words.indexOf(flag) + 1] : undefined)
  const dataDir = after('--data-dir')
  const socket = after('--socket') ?? (dataDir === undefined ? undefined : socketOf(dataDir))
  return socket === undefined ? {} : { HOSTMESH_SOCKET: socket }
}

function lineFor(shell: string, completion: string, brief: string): string {
  switch (shell) {
    case 'zsh':
      return `${completion.replaceAll(':', '\\:')}:${brief}`
    case 'fish':
      return `${completion}\t${brief}`
    default:
      return completion
  }
}
