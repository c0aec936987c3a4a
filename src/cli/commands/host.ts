// `hostmesh host …`: the hosts of the mesh.
import { buildCommand, buildRouteMap } from '@stricli/core'
import type { HostAnswer } from '../../api/types.ts'
import { OperationError } from '../../base/errors.ts'
import { change, writeQuery } from '../change.ts'
import { type Paint, stateColor } from '../color.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags, type WriteFlags, writeFlags } from '../flags.ts'
import { objectName } from '../names.ts'
import { show } from '../show.ts'
import { list, table } from '../table.ts'
import { formatMHz, formatMiB, formatShare, formatTime } from '../units-text.ts'

const hostArgument = objectName('host', 'HOST', 'Name, id or beginning of the id')

const listHosts = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'All hosts' },
  parameters: { flags: commonFlags, aliases: commonAliases },
  func(flags) {
    return show(this, flags, { route: 'hostList', input: {}, text: hostTable })
  },
})

const showHost = buildCommand<CommonFlags, [string], CliContext>({
  docs: { brief: 'Everything about one host' },
  parameters: { flags: commonFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [hostArgument] } },
  func(flags, name) {
    return show(this, flags, { route: 'hostShow', input: { params: { host: name } }, text: hostText })
  },
})

interface SetFlags extends WriteFlags {
  readonly name?: string
  readonly label?: readonly (readonly [string, string | null])[]
}

const set = buildCommand<SetFlags, [string], CliContext>({
  docs: { brief: 'Rename a host, or label it' },
  parameters: {
    flags: {
      ...writeFlags,
      name: { kind: 'parsed', parse: String, optional: true, placeholder: 'NAME', brief: 'Its new name' },
      label: {
        kind: 'parsed',
        parse: parseLabel,
        variadic: true,
        optional: true,
        placeholder: 'KEY=VALUE',
        brief: 'Set a label; KEY= takes it away',
      },
    },
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [hostArgument] },
  },
  func(flags, host) {
    const { name, label = [] } = flags
    const body = { ...(name === undefined ? {} : { name }), ...(label.length === 0 ? {} : { labels: Object.fromEntries(label) }) }
    return change(this, flags, {
      route: 'hostSet',
      input: { params: { host }, query: writeQuery(flags), body },
      title: `change host ${host}`,
      done: () => `host ${host} is changed`,
    })
  },
})

const remove = buildCommand<WriteFlags, [string], CliContext>({
  docs: { brief: 'Take a host out of the mesh; it needs a new token to come back' },
  parameters: { flags: writeFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [hostArgument] } },
  func(flags, host) {
    return change(this, flags, {
      route: 'hostRemove',
      input: { params: { host }, query: writeQuery(flags) },
      title: `remove host ${host}`,
      done: () => `host ${host} is no member any more`,
    })
  },
})

export const host = buildRouteMap({
  routes: { list: listHosts, show: showHost, set, remove },
  docs: { brief: 'Hosts of the mesh' },
})

function parseLabel(text: string): readonly [string, string | null] {
  const match = /^([^=]+)=(.*)$/s.exec(text)
  if (match === null) throw new OperationError('usage', `label "${text}" is not KEY=VALUE`)
  return [match[1] ?? '', match[2] === '' ? null : (match[2] ?? '')]
}

function hostTable(hosts: readonly HostAnswer[], paint: Paint): string {
  return table<HostAnswer>(
    [
      { title: 'HOST', cell: ({ name }) => name },
      { title: 'STATE', cell: ({ state }) => state, color: ({ state }) => stateColor(state) },
      { title: 'RAFT', cell: ({ raft }) => raft ?? '-' },
      { title: 'CORES', right: true, cell: ({ cpu }) => String(cpu.cores) },
      { title: 'CPU', right: true, cell: ({ usage }) => formatShare(usage.cpu) },
      { title: 'MEMORY', right: true, cell: ({ memoryMiB }) => formatMiB(memoryMiB) },
      { title: 'USED', right: true, cell: ({ usage }) => formatShare(usage.memory) },
      { title: 'VMS', right: true, cell: ({ vms }) => String(vms) },
      { title: 'ADDRESS', cell: ({ addresses }) => addresses[0] ?? '-' },
      { title: 'VERSION', cell: ({ version }) => version },
    ],
    hosts,
    paint,
  )
}

function hostText(about: HostAnswer, paint: Paint): string {
  const { cpu, usage } = about
  return list([
    ['host', about.name],
    ['id', about.id],
    ['state', paint(stateColor(about.state), about.state)],
    ['role', about.raft === null ? about.role : `${about.role}, ${about.raft}`],
    ['addresses', about.addresses.join(', ')],
    ['CPU', `${cpu.cores} cores of ${formatMHz(cpu.mhz)}, ${cpu.model} (${cpu.level}), ${formatShare(usage.cpu)} in use`],
    ['memory', `${formatMiB(about.memoryMiB)}, ${formatShare(usage.memory)} in use`],
    ['VMs', String(about.vms)],
    ['QEMU', about.qemuVersion === null ? 'none' : `${about.qemuVersion} with ${about.accelerator}, up to ${about.machineTypes[0] ?? '-'}`],
    ['version', about.version],
    [
      'labels',
      Object.entries(about.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(', '),
    ],
    ['joined', formatTime(about.joinedAt)],
  ])
}
