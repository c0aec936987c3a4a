// Routes of datastores and disks.
import { formatBytes } from '../base/units.ts'
import { fileHost } from './file-host.ts'
import { freshId } from './fresh-id.ts'
import { type ReadHandlers, type WriteHandlers } from './handler.ts'
import { findDatastore, findDisk } from './resolve.ts'
import { byName, datastoreAnswer, diskAnswer } from './shapes.ts'
import { sightOf } from './sight.ts'

export const storageReads: ReadHandlers<'datastoreList' | 'datastoreShow' | 'diskList' | 'diskShow'> = {
  datastoreList: ({ inventory }) => byName(inventory.datastores.values()).map((datastore) => datastoreAnswer(inventory, datastore)),
  datastoreShow: ({ inventory, params }) => datastoreAnswer(inventory, findDatastore(inventory, params.datastore)),
  diskList({ inventory, query }) {
    const only = query.datastore === undefined ? null : findDatastore(inventory, query.datastore).id
    const disks = byName(inventory.disks.values()).filter((disk) => only === null || disk.datastore === only)
    return disks.map((disk) => diskAnswer(inventory, disk))
  },
  diskShow: ({ inventory, params }) => diskAnswer(inventory, findDisk(inventory, params.disk)),
}

export const storageWrites: WriteHandlers<'datastoreAdd' | 'datastoreRemove' | 'diskCreate' | 'diskResize' | 'diskDelete'> = {
  datastoreAdd: ({ context, body: { name, path } }) => ({
    what: `add datastore ${name}`,
    command: { kind: 'datastore-add', id: freshId(context), name, path },
    steps: [`use ${path} as datastore ${name} on every host`],
  }),
  datastoreRemove({ inventory, params }) {
    const { id, name, path } = findDatastore(inventory, params.datastore)
    const steps = [`forget datastore ${name}; files in ${path} stay as they are`]
    return { what: `remove datastore ${name}`, command: { kind: 'datastore-remove', id }, steps }
  },
  diskCreate({ context, inventory, body }) {
    const { name, sizeBytes, format = 'qcow2' } = body
    const datastore = findDatastore(inventory, body.datastore)
    const worker = fileHost(sightOf(context, inventory), context.self.id, [datastore.id])
    return {
      what: `create disk ${datastore.name}/${name}`,
      command: {
        kind: 'disk-create',
        id: freshId(context),
        name,
        datastore: datastore.id,
        format,
        sizeBytes,
        host: worker.id,
        job: freshId(context),
      },
      steps: [`make a ${format} image of ${formatBytes(sizeBytes)} on datastore ${datastore.name}, by host ${worker.name}`],
    }
  },
  diskResize({ context, inventory, params, body: { sizeBytes } }) {
    const disk = findDisk(inventory, params.disk)
    const worker = fileHost(sightOf(context, inventory), context.self.id, [disk.datastore])
    return {
      what: `resize disk ${disk.name}`,
      command: { kind: 'disk-resize', id: disk.id, sizeBytes, host: worker.id, job: freshId(context) },
      steps: [`grow disk ${disk.name} from ${formatBytes(disk.sizeBytes)} to ${formatBytes(sizeBytes)}, by host ${worker.name}`],
    }
  },
  diskDelete({ context, inventory, params }) {
    const disk = findDisk(inventory, params.disk)
    const worker = fileHost(sightOf(context, inventory), context.self.id, [disk.datastore])
    return {
      what: `delete disk ${disk.name}`,
      command: { kind: 'disk-delete', id: disk.id, host: worker.id, job: freshId(context) },
      steps: [`delete the ${formatBytes(disk.sizeBytes)} of disk ${disk.name}, by host ${worker.name}`],
    }
  },
}
