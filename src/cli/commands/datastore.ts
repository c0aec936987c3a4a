// `hostmesh datastore …`: where disks and files lie.
import { buildCommand, buildRouteMap } from '@stricli/core'
import type { DatastoreAnswer } from '../../api/types.ts'
import { change, writeQuery } from '../change.ts'
import type { Paint } from '../color.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags, type WriteFlags, writeFlags } from '../flags.ts'
import { objectName } from '../names.ts'
import { show } from '../show.ts'
import { list, table } from '../table.ts'
import { formatTime } from '../units-text.ts'

const datastoreArgument = objectName('datastore', 'NAME', 'Name, id or beginning of the id')

const add = buildCommand<WriteFlags, [string, string], CliContext>({
  docs: { brief: 'Use a directory that all hosts see under the same path' },
  parameters: {
    flags: writeFlags,
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [
        { parse: String, placeholder: 'NAME', brief: 'Its name: a-z, 0-9 and -' },
        { parse: String, placeholder: 'PATH', brief: 'Absolute path, the same on every host' },
      ],
    },
  },
  func(flags, name, path) {
    return change(this, flags, {
      route: 'datastoreAdd',
      input: { query: writeQuery(flags), body: { name, path } },
      title: `add datastore ${name}`,
      done: () => `datastore ${name} is ${path}`,
    })
  },
})

const listDatastores = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'All datastores' },
  parameters: { flags: commonFlags, aliases: commonAliases },
  func(flags) {
    return show(this, flags, { route: 'datastoreList', input: {}, text: datastoreTable })
  },
})

const showDatastore = buildCommand<CommonFlags, [string], CliContext>({
  docs: { brief: 'Everything about one datastore' },
  parameters: { flags: commonFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [datastoreArgument] } },
  func(flags, name) {
    return show(this, flags, { route: 'datastoreShow', input: { params: { datastore: name } }, text: datastoreText })
  },
})

const remove = buildCommand<WriteFlags, [string], CliContext>({
  docs: { brief: 'Forget a datastore that no VM uses; its files stay' },
  parameters: { flags: writeFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [datastoreArgument] } },
  func(flags, name) {
    return change(this, flags, {
      route: 'datastoreRemove',
      input: { params: { datastore: name }, query: writeQuery(flags) },
      title: `remove datastore ${name}`,
      done: () => `datastore ${name} is forgotten; its files are where they were`,
    })
  },
})

export const datastore = buildRouteMap({
  routes: { add, list: listDatastores, show: showDatastore, remove },
  docs: { brief: 'Places for disks and files that all hosts see' },
})

function datastoreTable(datastores: readonly DatastoreAnswer[], paint: Paint): string {
  return table<DatastoreAnswer>(
    [
      { title: 'DATASTORE', cell: ({ name }) => name },
      { title: 'KIND', cell: ({ kind }) => kind },
      { title: 'DISKS', right: true, cell: ({ disks }) => String(disks) },
      { title: 'PATH', cell: ({ path }) => path },
    ],
    datastores,
    paint,
  )
}

function datastoreText({ id, name, kind, path, disks, addedAt }: DatastoreAnswer): string {
  return list([
    ['datastore', name],
    ['id', id],
    ['kind', kind],
    ['path', path],
    ['disks', String(disks)],
    ['added', formatTime(addedAt)],
  ])
}
