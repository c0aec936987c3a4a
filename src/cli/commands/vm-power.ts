// `hostmesh vm start|shutdown|stop|reboot|pause|resume`: what a VM is to do.
import { buildCommand, type Command } from '@stricli/core'
import type { Names } from '../../api/contract.ts'
import { change, writeQuery } from '../change.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type WriteFlags, writeFlags } from '../flags.ts'
import { objectName } from '../names.ts'

const vmArgument = objectName('vm', 'NAME', 'Name, id or beginning of the id')

export const start = power({ route: 'vmStart', verb: 'start', after: 'is running', brief: 'Start a VM on the host that suits it best' })
export const shutdown = power({
  route: 'vmShutdown',
  verb: 'shut down',
  after: 'is off',
  brief: 'Press its power button and wait for the guest',
})
export const stop = power({ route: 'vmStop', verb: 'stop', after: 'is off', brief: 'End it at once, as if its power were cut' })
export const pause = power({ route: 'vmPause', verb: 'pause', after: 'is paused', brief: 'Stop its CPUs; its memory stays' })
export const resume = power({ route: 'vmResume', verb: 'resume', after: 'is running', brief: 'Let a paused VM run on' })

interface RebootFlags extends WriteFlags {
  readonly force: boolean
}

export const reboot = buildCommand<RebootFlags, [string], CliContext>({
  docs: { brief: 'Ask the guest to reboot' },
  parameters: {
    flags: {
      ...writeFlags,
      force: { kind: 'boolean', default: false, withNegated: false, brief: 'Reset it at once, the guest is not asked' },
    },
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [vmArgument] },
  },
  func(flags, vm) {
    return change(this, flags, {
      route: 'vmReboot',
      input: { params: { vm }, query: { ...writeQuery(flags), ...(flags.force ? { force: '1' } : {}) } },
      title: `reboot VM ${vm}`,
      done: () => `VM ${vm} has rebooted`,
    })
  },
})

interface Verb {
  readonly route: Extract<Names<'write'>, 'vmStart' | 'vmShutdown' | 'vmStop' | 'vmPause' | 'vmResume'>
  readonly verb: string
  readonly after: string
  readonly brief: string
}

function power({ route, verb, after, brief }: Verb): Command<CliContext> {
  return buildCommand<WriteFlags, [string], CliContext>({
    docs: { brief },
    parameters: { flags: writeFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [vmArgument] } },
    func(flags, vm) {
      const input = { params: { vm }, query: writeQuery(flags) }
      return change(this, flags, { route, input, title: `${verb} VM ${vm}`, done: () => `VM ${vm} ${after}` })
    },
  })
}
