// `hostmesh vm console`: a person, or a script, at the serial console of a VM.
import { buildCommand } from '@stricli/core'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags, parseCount } from '../flags.ts'
import { objectName } from '../names.ts'
import { ask, clientFor, printJson } from '../show.ts'

interface ConsoleFlags extends CommonFlags {
  readonly log: boolean
  readonly bytes?: number
}

export const console = buildCommand<ConsoleFlags, [string], CliContext>({
  docs: {
    brief: 'Serial console of a VM; Ctrl-] leaves it',
    fullDescription:
      'On a terminal every key goes to the guest. Otherwise the input is sent, and the output followed until the console closes or --timeout.',
  },
  parameters: {
    flags: {
      ...commonFlags,
      log: { kind: 'boolean', default: false, withNegated: false, brief: 'Print what the guest wrote last, and end' },
      bytes: { kind: 'parsed', parse: parseCount, optional: true, placeholder: 'N', brief: 'With --log: how much (default: 65536)' },
    },
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [objectName('vm', 'NAME', 'Name, id or beginning of the id')] },
  },
  async func(flags, vm) {
    if (flags.log) {
      const query = flags.bytes === undefined ? {} : { bytes: String(flags.bytes) }
      const { answer } = await ask(this, flags, { route: 'consoleLog', input: { params: { vm }, query } })
      const text = Buffer.from(answer.base64, 'base64').toString('utf8')
      if (flags.output === 'json') printJson(this, { vm: answer.vm, text })
      else this.io.stdout.write(text)
      return
    }
    const { attach } = await import('../attach.ts')
    await attach(this.io, clientFor(this, flags).target, vm, flags.timeout)
  },
})
