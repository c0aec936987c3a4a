// `hostmesh config …`: the settings of the mesh.
import { buildCommand, buildRouteMap } from '@stricli/core'
import type { SettingAnswer } from '../../api/types.ts'
import { change, writeQuery } from '../change.ts'
import type { Paint } from '../color.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags, type WriteFlags, writeFlags } from '../flags.ts'
import { objectName } from '../names.ts'
import { show } from '../show.ts'
import { table } from '../table.ts'

const keyArgument = objectName('setting', 'KEY', 'Name of the setting')

const list = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'All settings with their values and meanings' },
  parameters: { flags: commonFlags, aliases: commonAliases },
  func(flags) {
    return show(this, flags, { route: 'configList', input: {}, text: settingTable })
  },
})

const get = buildCommand<CommonFlags, [string], CliContext>({
  docs: { brief: 'The value of one setting' },
  parameters: { flags: commonFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [keyArgument] } },
  func(flags, key) {
    return show(this, flags, { route: 'configShow', input: { params: { key } }, text: ({ value }) => `${value}\n` })
  },
})

const set = buildCommand<WriteFlags, [string, string], CliContext>({
  docs: { brief: 'Change a setting; the value default takes it back' },
  parameters: {
    flags: writeFlags,
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [keyArgument, { parse: String, placeholder: 'VALUE', brief: 'Its new value, or default' }] },
  },
  func(flags, key, text) {
    return change(this, flags, {
      route: 'configSet',
      input: { params: { key }, query: writeQuery(flags), body: { value: parseValue(text) } },
      title: `set ${key}`,
      done: () => `${key} is ${text === 'default' ? 'its default again' : text}`,
    })
  },
})

export const config = buildRouteMap({ routes: { list, get, set }, docs: { brief: 'Settings of the mesh' } })

/** Whether it suits the setting is for the mesh to say. */
function parseValue(text: string): string | number | boolean | null {
  if (text === 'default') return null
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text
}

function settingTable(settings: readonly SettingAnswer[], paint: Paint): string {
  return table<SettingAnswer>(
    [
      { title: 'SETTING', cell: ({ key }) => key },
      { title: 'VALUE', right: true, cell: ({ value }) => String(value) },
      { title: 'DEFAULT', right: true, cell: (setting) => String(setting.default) },
      { title: 'MEANING', cell: ({ help }) => help },
    ],
    settings,
    paint,
  )
}
