// From what a person typed to the object that is meant: by name, id, or unique id prefix. Pure.
import { OperationError } from '../base/errors.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Datastore, type Disk, type Host, type Job, type Token, type Vm } from '../inventory/model.ts'

interface Row {
  readonly id: string
  readonly name?: string
}

export function findHost({ hosts }: Inventory, text: string): Host {
  return find('host', hosts.values(), text)
}

export function findVm({ vms }: Inventory, text: string): Vm {
  return find('vm', vms.values(), text)
}

export function findDatastore({ datastores }: Inventory, text: string): Datastore {
  return find('datastore', datastores.values(), text)
}

export function findJob({ jobs }: Inventory, text: string): Job {
  // A job carries the name of its object: only its id names it.
  return find('job', [...jobs.values()].map((job) => ({ id: job.id, job })).values(), text).job
}

export function findToken({ tokens }: Inventory, text: string): Token {
  return find('token', tokens.values(), text)
}

/** `DATASTORE/NAME`, an id, or a name alone where only one datastore has it. */
export function findDisk(inventory: Inventory, text: string): Disk {
  const slash = text.indexOf('/')
  if (slash < 0) return find('disk', inventory.disks.values(), text)
  const datastore = findDatastore(inventory, text.slice(0, slash))
  return findDiskOn(inventory, datastore, text.slice(slash + 1))
}

export function findDiskOn({ disks }: Inventory, datastore: Datastore, text: string): Disk {
  return find(
    'disk',
    [...disks.values()].filter((disk) => disk.datastore === datastore.id).values(),
    text,
    ` on datastore ${datastore.name}`,
  )
}

function find<R extends Row>(noun: string, rows: Iterable<R>, text: string, where = ''): R {
  const all = [...rows]
  const exact = all.filter((row) => row.name === text || row.id === text)
  const found = exact.length > 0 ? exact : text === '' ? [] : all.filter((row) => row.id.startsWith(text))
  const [first, second] = found
  if (first === undefined) throw missing(noun, all, text, where)
  if (second === undefined) return first
  const message = `"${text}" means ${found.length} ${noun}s${where}: ${found.slice(0, 5).map(labelOf).join(', ')}`
  throw new OperationError('conflict', message, { reasons: [{ code: 'ambiguous', message, fix: `use one of the ids` }] })
}

function missing(noun: string, rows: readonly Row[], text: string, where: string): OperationError {
  const names = rows.flatMap(({ name }) => name ?? []).toSorted()
  const known = names.length === 0 ? `there is none yet` : `there are: ${names.slice(0, 10).join(', ')}${names.length > 10 ? ', …' : ''}`
  const message = `there is no ${noun} "${text}"${where}`
  return new OperationError('not-found', message, {
    data: { noun, text },
    reasons: [{ code: 'not-found', message: known, fix: `hostmesh ${noun} list` }],
  })
}

function labelOf({ id, name }: Row): string {
  return name === undefined ? id : `${name} (${id})`
}
