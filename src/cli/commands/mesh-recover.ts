// `hostmesh mesh recover`: what going on without a lost majority would mean, doing it, and coming over to where others went on.
import { buildCommand } from '@stricli/core'
import type { RecoveryPlanAnswer } from '../../api/types.ts'
import { within } from '../../base/deadline.ts'
import { OperationError, refusal } from '../../base/errors.ts'
import type { Paint } from '../color.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags } from '../flags.ts'
import { clientFor, paintFor, printJson } from '../show.ts'
import { list, table } from '../table.ts'

/** All hosts are asked at the same time, for three seconds at most; a recovery rewrites the state of the mesh once. */
const TIMEOUT_S = 90

interface RecoverFlags extends CommonFlags {
  readonly plan: boolean
  readonly confirm?: string
  readonly rejoin?: string
}

export const recover = buildCommand<RecoverFlags, [], CliContext>({
  docs: {
    brief: 'Go on without voters that are lost for good',
    fullDescription:
      'Only when more than half of the voters will never come back. --plan asks every host that can be reached, shows what would be kept and ' +
      'what may be lost, and changes nothing. --confirm carries out the plan that was read, on the host that it names. Hosts that come back ' +
      'later are let in again by themselves; --rejoin sends this host over where its own old quorum still stands.',
  },
  parameters: {
    flags: {
      ...commonFlags,
      plan: { kind: 'boolean', default: false, withNegated: false, brief: 'Show what would be done (also without this flag)' },
      confirm: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'PLAN',
        brief: 'Do it: the eight characters that the plan ends with',
      },
      rejoin: {
        kind: 'parsed',
        parse: String,
        optional: true,
        placeholder: 'HOST',
        brief: 'Go over to the later generation that HOST lives in',
      },
    },
    aliases: commonAliases,
  },
  async func(flags) {
    const { plan, confirm, rejoin } = flags
    if (Number(plan) + Number(confirm !== undefined) + Number(rejoin !== undefined) > 1)
      throw new OperationError('usage', '--plan, --confirm and --rejoin exclude each other')
    if (confirm !== undefined) return carryOut(this, flags, confirm)
    if (rejoin !== undefined) return goOver(this, flags, rejoin)
    return showPlan(this, flags)
  },
})

function limited<T>({ io }: CliContext, flags: CommonFlags, what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return within({ clock: io.clock, ms: (flags.timeout ?? TIMEOUT_S) * 1000, what }, work)
}

/** Printed whatever it says; the reasons against it are the error, so that a script sees them by the exit code. */
async function showPlan(context: CliContext, flags: CommonFlags): Promise<void> {
  const { answer, json } = await limited(context, flags, 'planning the recovery', (signal) =>
    clientFor(context, flags).call('recoveryPlan', {}, { signal }),
  )
  if (flags.output === 'json') printJson(context, json)
  else context.io.stdout.write(planText(answer, paintFor(context, flags)))
  if (answer.reasons.length === 0) return
  const reasons = answer.reasons.map(({ fix, ...reason }) => (fix === undefined ? reason : { ...reason, fix }))
  throw refusal(`mesh ${answer.mesh.name} cannot be recovered from ${answer.self.name}`, reasons)
}

async function carryOut(context: CliContext, flags: CommonFlags, digest: string): Promise<void> {
  const { answer, json } = await limited(context, flags, 'recovering the mesh', (signal) =>
    clientFor(context, flags).call('recover', { body: { digest } }, { signal }),
  )
  if (flags.output === 'json') return printJson(context, json)
  const done = answer.already ? 'was recovered by this plan already, and' : 'is recovered: it'
  context.io.stdout.write(
    `mesh ${answer.mesh} ${done} goes on in generation ${answer.generation}, with this host as its only voter\n` +
      'hosts that can reach it come in again by themselves, and vote once they have caught up and stayed up for 10 s\n' +
      'the former log of this host stays in its data directory, under raft/, until you remove it\n' +
      'see: hostmesh status\n',
  )
}

async function goOver(context: CliContext, flags: CommonFlags, host: string): Promise<void> {
  const { answer, json } = await limited(context, flags, 'going over', (signal) =>
    clientFor(context, flags).call('rejoin', { body: { host } }, { signal }),
  )
  if (flags.output === 'json') return printJson(context, json)
  const { mesh, generation, already } = answer
  context.io.stdout.write(
    already
      ? `this host is in generation ${generation} of mesh ${mesh} already, as ${host} is: nothing was done\n`
      : `this host is a learner of mesh ${mesh} in generation ${generation} now\n`,
  )
}

function planText(plan: RecoveryPlanAnswer, paint: Paint): string {
  const { mesh, self, chosen, reasons, digest } = plan
  const head = `${paint('bold', `recovery of mesh ${mesh.name}`)}, planned by ${self.name}; nothing was changed\n\n`
  const body = `${head}${hostsText(plan, paint)}`
  if (reasons.length > 0 || chosen === null) return body
  const away = plan.hosts.filter(({ part }) => part === 'away').map(({ name }) => name)
  const vouch =
    away.length === 0
      ? ''
      : `By confirming you say that ${names(away)} ${away.length === 1 ? 'is' : 'are'} off, or cut off from every datastore.\n`
  return `${body}\n${effectsText(plan, chosen.name, away)}\n${vouch}on ${chosen.name}: ${paint('bold', `hostmesh mesh recover --confirm ${digest}`)}\n`
}

function hostsText({ hosts }: RecoveryPlanAnswer, paint: Paint): string {
  type Row = RecoveryPlanAnswer['hosts'][number]
  const number = (pick: (log: NonNullable<Row['log']>) => number) => (row: Row) => (row.log === null ? '-' : String(pick(row.log)))
  return table<Row>(
    [
      { title: 'HOST', cell: ({ name }) => name },
      { title: 'VOTED', cell: ({ voted }) => (voted ? 'yes' : 'no') },
      { title: 'TERM', right: true, cell: number(({ lastTerm }) => lastTerm) },
      { title: 'LAST', right: true, cell: number(({ lastIndex }) => lastIndex) },
      { title: 'COMMITTED', right: true, cell: number(({ commitIndex }) => commitIndex) },
      { title: 'APPLIED', right: true, cell: number(({ appliedIndex }) => appliedIndex) },
      { title: 'THEN', cell: partText, color: ({ part }) => (part === 'goes-on' ? 'green' : part === 'away' ? 'yellow' : 'dim') },
    ],
    hosts,
    paint,
  )
}

function partText({ part, why }: RecoveryPlanAnswer['hosts'][number]): string {
  switch (part) {
    case 'goes-on':
      return 'goes on, votes alone'
    case 'rejoins':
      return 'comes in again as a learner'
    case 'stays':
      return 'stays as it is'
    case 'away':
      return `no answer${why === null ? '' : ` (${why})`}`
  }
}

function effectsText({ generation, kept, mayLoseMore, running }: RecoveryPlanAnswer, chosen: string, away: readonly string[]): string {
  const { lastIndex, lastTerm, commitIndex, unsure } = kept
  const beyond =
    unsure === 0
      ? `all of them known to be committed`
      : `known to be committed up to ${commitIndex}; the ${unsure} above may have been, and count as if they were`
  return list([
    ['generation', `${generation.from} ends, ${generation.to} begins`],
    ['kept', `entries up to ${lastIndex} (term ${lastTerm}) of ${chosen}, ${beyond}`],
    [
      'may be lost',
      mayLoseMore ? `what ${names(away)} agreed on after entry ${lastIndex}, if anything: nobody who answered knows` : 'nothing',
    ],
    [
      'running',
      running.length === 0
        ? ''
        : `${running.map(({ host, vms }) => `${vms.join(', ')} on ${host}`).join('; ')}, perhaps: they stay VMs of their hosts, none is started elsewhere`,
    ],
  ])
}

function names(all: readonly string[]): string {
  const last = all.at(-1) ?? ''
  return all.length < 2 ? last : `${all.slice(0, -1).join(', ')} and ${last}`
}
