// `hostmesh disk …`: virtual disks.
import { buildCommand, buildRouteMap } from '@stricli/core'
import { formatBytes, parseSizeBytes } from '../../base/units.ts'
import { OperationError } from '../../base/errors.ts'
import { change, writeQuery } from '../change.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags, type WriteFlags, writeFlags } from '../flags.ts'
import { objectName } from '../names.ts'
import { show } from '../show.ts'
import { diskTable } from '../vm-text.ts'

const diskArgument = objectName('disk', 'DISK', 'DATASTORE/NAME, id or beginning of the id')

interface DiskName {
  readonly datastore: string
  readonly name: string
}

interface CreateFlags extends WriteFlags {
  readonly size: number
  readonly format?: 'qcow2' | 'raw'
}

const create = buildCommand<CreateFlags, [DiskName], CliContext>({
  docs: { brief: 'Make a disk that no VM has yet' },
  parameters: {
    flags: {
      ...writeFlags,
      size: { kind: 'parsed', parse: parseSizeBytes, placeholder: 'SIZE', brief: 'As 512M, 10G or 2T' },
      format: { kind: 'enum', values: ['qcow2', 'raw'], optional: true, brief: 'Format of its image (default: qcow2)' },
    },
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [{ parse: parseDiskName, placeholder: 'DATASTORE/NAME', brief: 'Where it lies, and its name' }],
    },
  },
  func(flags, { datastore, name }) {
    const { size, format } = flags
    return change(this, flags, {
      route: 'diskCreate',
      input: { query: writeQuery(flags), body: { datastore, name, sizeBytes: size, ...(format === undefined ? {} : { format }) } },
      title: `create disk ${datastore}/${name}`,
      done: () => `disk ${datastore}/${name} of ${formatBytes(size)} is ready`,
    })
  },
})

interface ListFlags extends CommonFlags {
  readonly datastore?: string
}

const list = buildCommand<ListFlags, [], CliContext>({
  docs: { brief: 'All disks' },
  parameters: {
    flags: {
      ...commonFlags,
      datastore: { kind: 'parsed', parse: String, optional: true, placeholder: 'NAME', brief: 'Only those on this datastore' },
    },
    aliases: commonAliases,
  },
  func(flags) {
    const query = flags.datastore === undefined ? {} : { datastore: flags.datastore }
    return show(this, flags, { route: 'diskList', input: { query }, text: diskTable })
  },
})

const resize = buildCommand<WriteFlags, [string, number], CliContext>({
  docs: { brief: 'Make a disk larger, while its VM is off' },
  parameters: {
    flags: writeFlags,
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [diskArgument, { parse: parseSizeBytes, placeholder: 'SIZE', brief: 'Its new size, as 20G' }],
    },
  },
  func(flags, disk, sizeBytes) {
    return change(this, flags, {
      route: 'diskResize',
      input: { params: { disk }, query: writeQuery(flags), body: { sizeBytes } },
      title: `resize disk ${disk}`,
      done: () => `disk ${disk} has ${formatBytes(sizeBytes)}`,
    })
  },
})

const remove = buildCommand<WriteFlags, [string], CliContext>({
  docs: { brief: 'Delete a disk that no VM has, with its data' },
  parameters: { flags: writeFlags, aliases: commonAliases, positional: { kind: 'tuple', parameters: [diskArgument] } },
  func(flags, disk) {
    return change(this, flags, {
      route: 'diskDelete',
      input: { params: { disk }, query: writeQuery(flags) },
      title: `delete disk ${disk}`,
      done: () => `disk ${disk} is deleted`,
    })
  },
})

export const disk = buildRouteMap({ routes: { create, list, resize, delete: remove }, docs: { brief: 'Virtual disks' } })

function parseDiskName(text: string): DiskName {
  const match = /^([^/]+)\/([^/]+)$/.exec(text)
  if (match === null) throw new OperationError('usage', `"${text}" is not DATASTORE/NAME, for example images/data`)
  return { datastore: match[1] ?? '', name: match[2] ?? '' }
}
