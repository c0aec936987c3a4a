// Arguments that name an object, with the live names of the mesh for shell completion.
import type { TypedPositionalParameter } from '@stricli/core'
import { apiClient } from '../api/client.ts'
import type { Query } from '../api/contract.ts'
import { within } from '../base/deadline.ts'
import { targetOf } from './connect.ts'
import type { CliContext } from './context.ts'

type Kind = Query<'names'>['kind']

/** Whoever presses TAB waits no longer. */
const COMPLETION_MS = 400

export function objectName(kind: Kind, placeholder: string, brief: string): TypedPositionalParameter<string, CliContext> {
  return {
    parse: String,
    placeholder,
    brief,
    async proposeCompletions(partial) {
      return (await liveNames(this, kind)).filter((name) => name.startsWith(partial))
    },
  }
}

/** Silent on failure: completion must never write into the line that somebody types. */
async function liveNames({ io }: CliContext, kind: Kind): Promise<readonly string[]> {
  try {
    const client = apiClient(targetOf({}, io.env), io.clock)
    const { answer } = await within({ clock: io.clock, ms: COMPLETION_MS, what: 'names' }, (signal) =>
      client.call('names', { query: { kind } }, { signal }),
    )
    return answer.names
  } catch {
    return []
  }
}
