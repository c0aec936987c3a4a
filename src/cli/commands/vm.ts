// `hostmesh vm …`: virtual machines. Their power is in vm-power.ts, their console in vm-console.ts.
import { buildCommand, buildRouteMap } from '@stricli/core'
import { type CommonFlags, commonAliases, commonFlags, type WriteFlags, writeFlags } from '../flags.ts'
import { change, writeQuery } from '../change.ts'
import type { CliContext } from '../context.ts'
import { objectName } from '../names.ts'
import { show } from '../show.ts'
import { vmTable, vmText } from '../vm-text.ts'
import { console } from './vm-console.ts'
import { create, set } from './vm-define.ts'
import { pause, reboot, resume, shutdown, start, stop } from './vm-power.ts'

const vmArgument = objectName('vm', 'NAME', 'Name, id or beginning of the id')

const list = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'All VMs' },
  parameters: { flags: commonFlags, aliases: commonAliases },
  func(flags) {
    return show(this, flags, { route: 'vmList', input: {}, text: vmTable })
  },
})

const showVm = buildCommand<CommonFlags, [string], CliContext>({
  docs: { brief: 'Everything about one VM' },
  parameters: { flags: commonFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [vmArgument] } },
  func(flags, vm) {
    return show(this, flags, { route: 'vmShow', input: { params: { vm } }, text: vmText })
  },
})

interface DeleteFlags extends WriteFlags {
  readonly keepDisks: boolean
}

const remove = buildCommand<DeleteFlags, [string], CliContext>({
  docs: { brief: 'Delete a VM that is off, with its disks' },
  parameters: {
    flags: { ...writeFlags, keepDisks: { kind: 'boolean', default: false, withNegated: false, brief: 'Leave its disks as they are' } },
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [vmArgument] },
  },
  func(flags, vm) {
    return change(this, flags, {
      route: 'vmDelete',
      input: { params: { vm }, query: { ...writeQuery(flags), ...(flags.keepDisks ? { keepDisks: '1' } : {}) } },
      title: `delete VM ${vm}`,
      done: () => `VM ${vm} is deleted`,
    })
  },
})

export const vm = buildRouteMap({
  routes: { create, list, show: showVm, set, start, shutdown, stop, reboot, pause, resume, console, delete: remove },
  docs: { brief: 'Virtual machines' },
})
