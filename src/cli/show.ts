// Reads: asks, prints for people or scripts, and marks what is stale.
import { type ApiClient, apiClient, type Input, type Reply } from '../api/client.ts'
import type { Answer, Names } from '../api/contract.ts'
import { within } from '../base/deadline.ts'
import { exitCode } from '../base/errors.ts'
import { type Paint, painter, wantsColor } from './color.ts'
import { targetOf } from './connect.ts'
import type { CliContext } from './context.ts'
import type { CommonFlags } from './flags.ts'
import { formatSeconds } from './units-text.ts'

/** An agent answers reads within 2 s, also without a quorum. */
const READ_TIMEOUT_S = 30

export interface Shown<N extends Names<'read' | 'local'>> {
  readonly route: N
  readonly input: Input<N>
  readonly text: (answer: Answer<N>, paint: Paint) => string
}

export async function show<N extends Names<'read' | 'local'>>(context: CliContext, flags: CommonFlags, shown: Shown<N>): Promise<void> {
  const reply = await ask(context, flags, shown)
  if (flags.output === 'json') printJson(context, reply.json)
  else context.io.stdout.write(shown.text(reply.answer, paintFor(context, flags)))
}

/** Asks, and marks the run as stale where the answer is. */
export async function ask<N extends Names<'read' | 'local'>>(
  context: CliContext,
  flags: CommonFlags,
  { route, input }: Pick<Shown<N>, 'route' | 'input'>,
): Promise<Reply<N>> {
  const client = clientFor(context, flags)
  const ms = (flags.timeout ?? READ_TIMEOUT_S) * 1000
  const reply = await within({ clock: context.io.clock, ms, what: 'the answer of the agent' }, (signal) =>
    client.call(route, input, { signal }),
  )
  if (reply.stale !== null) markStale(context, flags, reply.stale.ageMs)
  return reply
}

export function clientFor({ io }: CliContext, flags: CommonFlags): ApiClient {
  return apiClient(targetOf(flags, io.env), io.clock)
}

export function printJson({ io }: CliContext, json: unknown): void {
  io.stdout.write(`${JSON.stringify(json, null, 2)}\n`)
}

export function paintFor({ io }: CliContext, flags: CommonFlags): Paint {
  return painter(wantsColor(io, io.stdout, flags.color))
}

/** On stderr, so that the JSON of a script stays JSON. */
function markStale(context: CliContext, flags: CommonFlags, ageMs: number): void {
  const { io, outcome } = context
  const paint = painter(wantsColor(io, io.stderr, flags.color))
  io.stderr.write(
    `${paint('yellow', 'stale:')} no leader confirmed it; this is what the host knew ${formatSeconds(ageMs / 1000)} ago or longer\n`,
  )
  outcome.exitCode = exitCode('no-quorum')
}
