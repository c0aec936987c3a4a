// `hostmesh why-not …`: all reasons against something at once.
import { buildCommand, buildRouteMap } from '@stricli/core'
import type { WhyNotAnswer } from '../../api/types.ts'
import type { Paint } from '../color.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags } from '../flags.ts'
import { objectName } from '../names.ts'
import { show } from '../show.ts'

const vm = buildCommand<CommonFlags, [string, string], CliContext>({
  docs: { brief: 'Why a VM cannot run on a host' },
  parameters: {
    flags: commonFlags,
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [objectName('vm', 'NAME', 'The VM'), objectName('host', 'HOST', 'The host')] },
  },
  func(flags, name, host) {
    return show(this, flags, { route: 'vmWhyNot', input: { params: { vm: name }, query: { host } }, text: whyNotText })
  },
})

export const whyNot = buildRouteMap({ routes: { vm }, docs: { brief: 'Why a VM cannot run on a host: all reasons at once' } })

function whyNotText({ vm: name, host, reasons }: WhyNotAnswer, paint: Paint): string {
  if (reasons.length === 0) return `nothing keeps VM ${name} from ${host}\n`
  const lines = reasons.map(
    ({ code, message, fix }) => `  - ${code}: ${message}\n${fix === undefined ? '' : `    ${paint('dim', 'mend:')} ${fix}\n`}`,
  )
  return `VM ${name} cannot run on ${host}:\n${lines.join('')}`
}
