// `hostmesh mesh leader …`: who leads, and another one in its place.
import { buildCommand, buildRouteMap } from '@stricli/core'
import { deadline } from '../../base/deadline.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags, type WriteFlags, writeFlags } from '../flags.ts'
import { objectName } from '../names.ts'
import { startProgress } from '../progress.ts'
import { ask, clientFor, printJson } from '../show.ts'
import { lastStep } from '../steps.ts'

/** The hand-over takes half a second, or is given up; a busy mesh may need longer to answer. */
const TRANSFER_TIMEOUT_S = 30

const show = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'The host that leads' },
  parameters: { flags: commonFlags, aliases: commonAliases },
  async func(flags) {
    const { answer } = await ask(this, flags, { route: 'meshStatus', input: {} })
    if (flags.output === 'json') printJson(this, { leader: answer.leader, term: answer.term })
    else this.io.stdout.write(`${answer.leader?.name ?? 'no leader is known'}\n`)
  },
})

type TransferFlags = Omit<WriteFlags, 'wait'>
const { wait: _, ...transferFlags } = writeFlags

const transfer = buildCommand<TransferFlags, [string], CliContext>({
  docs: {
    brief: 'Hand leadership to another voter',
    fullDescription: 'Ends when the other host leads; meanwhile, half a second at most, nothing can be changed. VMs do not notice.',
  },
  parameters: {
    flags: transferFlags,
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [objectName('host', 'HOST', 'Who is to lead')] },
  },
  async func(flags, host) {
    const { io } = this
    const title = `hand leadership to ${host}`
    const limit = deadline(io.clock, (flags.timeout ?? TRANSFER_TIMEOUT_S) * 1000, `to ${title}`)
    const progress = startProgress(io.stderr, io.clock, title)
    try {
      const { dryRun, reason } = flags
      const body = { host, ...(dryRun ? { dryRun } : {}), ...(reason === undefined ? {} : { reason }) }
      const messages = clientFor(this, flags).follow('leaderTransfer', { body }, { signal: limit.signal })
      const { kind: __, ...end } = await lastStep(messages, progress, {
        code: 'transfer-unknown',
        message: 'leadership may have gone over',
        fix: 'hostmesh mesh leader',
      })
      progress.end()
      if (flags.output === 'json') printJson(this, end)
      else if (end.dryRun) io.stdout.write(`plan:\n${end.plan.map((step) => `  - ${step}\n`).join('')}nothing was changed (--dry-run)\n`)
      else io.stdout.write(`host ${end.leader?.name ?? host} leads (term ${end.term})\n`)
    } finally {
      progress.end()
      limit.done()
    }
  },
})

export const leader = buildRouteMap({
  routes: { show, transfer },
  defaultCommand: 'show',
  docs: { brief: 'Who leads, and another one in its place' },
})
