// `hostmesh status` and `hostmesh mesh …`: how the mesh is, and who it is made of.
import { buildCommand, buildRouteMap } from '@stricli/core'
import type { MeshAnswer, StatusAnswer } from '../../api/types.ts'
import { type Paint, stateColor } from '../color.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags } from '../flags.ts'
import { ask, paintFor, printJson, show } from '../show.ts'
import { list, table } from '../table.ts'
import { backup, restore } from './mesh-backup.ts'
import { leader } from './mesh-leader.ts'
import { recover } from './mesh-recover.ts'

const parameters = { flags: commonFlags, aliases: commonAliases }

export const status = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'The mesh on one screen: quorum, hosts, VMs, what it survives now, alarms' },
  parameters,
  func(flags) {
    return show(this, flags, { route: 'status', input: {}, text: statusText })
  },
})

const meshStatus = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'The log that the members agree on, and how they reach each other' },
  parameters,
  func(flags) {
    return show(this, flags, {
      route: 'meshStatus',
      input: {},
      text: (answer, paint) => meshText(answer, paint) + membersText(answer, paint),
    })
  },
})

const members = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'Members of the mesh and their parts in it' },
  parameters,
  async func(flags) {
    const reply = await ask(this, flags, { route: 'meshStatus', input: {} })
    if (flags.output === 'json') printJson(this, reply.answer.members)
    else this.io.stdout.write(membersText(reply.answer, paintFor(this, flags)))
  },
})

export const mesh = buildRouteMap({
  routes: { status: meshStatus, members, leader, recover, backup, restore },
  docs: { brief: 'Members, leader, and the log that they agree on' },
})

function statusText(
  { mesh: name, self, leader: first, term, appliedIndex, quorum, hosts, vms, survives, alarms }: StatusAnswer,
  paint: Paint,
): string {
  const led = first === null ? 'no leader' : `led by ${first.name}`
  const unseated = survives.unseated.length === 0 ? '' : `; no place elsewhere for ${survives.unseated.join(', ')}`
  const lines = list([
    ['mesh', `${name.name} (seen from ${self.name})`],
    ['quorum', `${paint(stateColor(quorum), quorum)}, ${led}, term ${term}, index ${appliedIndex}`],
    ['hosts', `${hosts.up} of ${hosts.total} up`],
    ['VMs', `${vms.running} of ${vms.total} running`],
    ['survives', `${survivesText(survives.hosts)}${unseated}`],
    ['alarms', alarms.length === 0 ? 'none' : String(alarms.length)],
  ])
  const told = alarms.flatMap(({ severity, message, fix }) => [
    `  ${paint(severity === 'critical' ? 'red' : 'yellow', `${severity}:`)} ${message}`,
    `    ${paint('dim', 'mend:')} ${fix}`,
  ])
  return lines + told.map((line) => `${line}\n`).join('')
}

/** In words, how many voters may still be lost. */
function survivesText(spare: number): string {
  if (spare === 0) return 'no further loss of a voter'
  return `the loss of ${spare} more voter${spare === 1 ? '' : 's'}`
}

function meshText(
  { mesh: about, self, leader: first, term, commitIndex, appliedIndex, firstIndex, lastIndex, quorum }: MeshAnswer,
  paint: Paint,
): string {
  return `${list([
    ['mesh', `${about.name} (${about.id}), generation ${about.generation}`],
    ['seen from', self.name],
    ['quorum', paint(stateColor(quorum), quorum)],
    ['leader', `${first?.name ?? 'none'}, term ${term}`],
    ['log', `entries ${firstIndex} to ${lastIndex}, committed ${commitIndex}, applied ${appliedIndex}`],
  ])}\n`
}

type MemberRow = MeshAnswer['members'][number]

function membersText({ members: rows, voters }: MeshAnswer, paint: Paint): string {
  const seats = `\n${voters.total} voter${voters.total === 1 ? '' : 's'}, survives ${survivesText(voters.spare)}\n`
  return membersTable(rows, paint) + seats
}

function membersTable(rows: readonly MemberRow[], paint: Paint): string {
  return table<MemberRow>(
    [
      { title: 'HOST', cell: ({ name }) => name },
      { title: 'ROLE', cell: ({ role, leaving }) => (leaving ? `${role}, leaving` : role) },
      { title: 'ZONE', cell: ({ zone }) => zone ?? '-' },
      { title: 'ACTIVE', cell: ({ active }) => (active === null ? '-' : active ? 'yes' : 'no') },
      { title: 'STORES', cell: ({ stores }) => (stores === 'unknown' ? '-' : stores) },
      { title: 'MATCH', right: true, cell: ({ matchIndex }) => (matchIndex === null ? '-' : String(matchIndex)) },
      { title: 'LAG', right: true, cell: ({ lag }) => (lag === null ? '-' : String(lag)) },
      { title: 'LINK', cell: ({ connected }) => (connected === null ? '-' : connected ? 'up' : 'down') },
      { title: 'ADDRESS', cell: ({ address }) => address ?? '-' },
      { title: 'RTT', right: true, cell: ({ rttMs }) => (rttMs === null ? '-' : `${rttMs.toFixed(1)} ms`) },
    ],
    rows,
    paint,
  )
}
