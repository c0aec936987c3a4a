// `hostmesh status` and `hostmesh mesh …`: how the mesh is, and who it is made of.
import { buildCommand, buildRouteMap } from '@stricli/core'
import type { MeshAnswer, StatusAnswer } from '../../api/types.ts'
import { type Paint, stateColor } from '../color.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags } from '../flags.ts'
import { ask, paintFor, printJson, show } from '../show.ts'
import { list, table } from '../table.ts'
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

const leader = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'The host that leads' },
  parameters,
  async func(flags) {
    const { answer } = await ask(this, flags, { route: 'meshStatus', input: {} })
    if (flags.output === 'json') printJson(this, { leader: answer.leader, term: answer.term })
    else this.io.stdout.write(`${answer.leader?.name ?? 'no leader is known'}\n`)
  },
})

export const mesh = buildRouteMap({
  routes: { status: meshStatus, members, leader, recover },
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
    [
      'survives',
      `${survives.hosts === 0 ? 'no further loss of a voter' : `the loss of ${survives.hosts} more voter${survives.hosts === 1 ? '' : 's'}`}${unseated}`,
    ],
    ['alarms', alarms.length === 0 ? 'none' : String(alarms.length)],
  ])
  const told = alarms.flatMap(({ severity, message, fix }) => [
    `  ${paint(severity === 'critical' ? 'red' : 'yellow', `${severity}:`)} ${message}`,
    `    ${paint('dim', 'mend:')} ${fix}`,
  ])
  return lines + told.map((line) => `${line}\n`).join('')
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

function membersText({ members: rows }: MeshAnswer, paint: Paint): string {
  return table<MeshAnswer['members'][number]>(
    [
      { title: 'HOST', cell: ({ name }) => name },
      { title: 'ROLE', cell: ({ role }) => role },
      { title: 'MATCH', right: true, cell: ({ matchIndex }) => (matchIndex === null ? '-' : String(matchIndex)) },
      { title: 'LINK', cell: ({ connected }) => (connected === null ? '-' : connected ? 'up' : 'down') },
      { title: 'ADDRESS', cell: ({ address }) => address ?? '-' },
      { title: 'RTT', right: true, cell: ({ rttMs }) => (rttMs === null ? '-' : `${rttMs.toFixed(1)} ms`) },
    ],
    rows,
    paint,
  )
}
