// `hostmesh version`: of this command, and of the agent that it would talk to.
import { buildCommand } from '@stricli/core'
import { within } from '../../base/deadline.ts'
import { VERSION } from '../../version.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags } from '../flags.ts'
import { clientFor, printJson } from '../show.ts'

/** Whether an agent runs is beside the point here: nobody waits long for it. */
const AGENT_MS = 1_000

export const version = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'Versions of this command and of its agent' },
  parameters: { flags: commonFlags, aliases: commonAliases },
  async func(flags) {
    const { io } = this
    const agent = await agentVersion(this, flags)
    if (flags.output === 'json') printJson(this, { version: VERSION, agent })
    else io.stdout.write(`hostmesh ${VERSION}${agent === null ? '' : `, agent of ${agent.host} ${agent.version}`}\n`)
  },
})

async function agentVersion(context: CliContext, flags: CommonFlags): Promise<{ readonly host: string; readonly version: string } | null> {
  const client = clientFor(context, flags)
  try {
    const { answer } = await within({ clock: context.io.clock, ms: AGENT_MS, what: 'the version of the agent' }, (signal) =>
      client.call('version', {}, { signal }),
    )
    return { host: answer.self.name, version: answer.version }
  } catch {
    return null
  }
}
