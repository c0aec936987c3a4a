// Datastores of kind `dir`: a path that all hosts see. Disks are files in it, named by their id, made whole or not at all.
import { access, constants, link, mkdir, open, readdir, realpath, rm, stat, statfs } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { type Clock } from '../base/clock.ts'
import { errorText, OperationError, refusal } from '../base/errors.ts'
import { newId, type DiskId } from '../base/ids.ts'
import { type Random } from '../base/random.ts'
import { formatBytes } from '../base/units.ts'
import { type Datastore, type Disk } from '../inventory/model.ts'
import { errnoOf, syncDirectory } from '../system/files.ts'
import { createImage, growImage, imageInfo, type ImageInfo } from './image.ts'

export interface DirDatastoresOptions {
  readonly clock: Clock
  readonly random: Random
}

/** Files on this host's view of its datastores. Calls that change something may be repeated after a crash, also by another host. */
export interface DirDatastores {
  /** Absolute path of a disk's file. */
  disk(datastore: Datastore, disk: Disk): string
  /** Absolute path of a file that exists inside the datastore. Throws `not-found`, or `refused` where the path leads outside. */
  file(datastore: Datastore, relativePath: string): Promise<string>
  create(datastore: Datastore, disk: Disk, signal: AbortSignal): Promise<void>
  resize(datastore: Datastore, disk: Disk, toBytes: number, signal: AbortSignal): Promise<void>
  /** A disk that is not there is removed already. */
  remove(datastore: Datastore, disk: Disk, signal: AbortSignal): Promise<void>
  inspect(datastore: Datastore, disk: Disk, signal: AbortSignal): Promise<ImageInfo>
  /** Rejects with `refused` and the reason why this host cannot use the datastore. */
  check(datastore: Datastore): Promise<void>
}

/** Below the datastore's path: what else lies there is people's own. */
const DISKS = join('hostmesh', 'disks')

export function dirDatastores(options: DirDatastoresOptions): DirDatastores {
  const { clock, random } = options
  return {
    disk: diskPath,
    file: insideFile,
    check: checkUsable,
    async create(datastore, disk, signal) {
      await checkUsable(datastore)
      await createDisk(datastore, disk, { clock, random, signal })
    },
    async resize(datastore, disk, toBytes, signal) {
      const path = diskPath(datastore, disk)
      const { sizeBytes } = await imageInfo(path, disk.format, { clock, signal })
      // Already done by a call before a crash.
      if (sizeBytes === toBytes) return
      await growImage(path, disk.format, toBytes, { clock, signal })
    },
    async remove(datastore, disk, signal) {
      await checkUsable(datastore)
      signal.throwIfAborted()
      await removeDisk(datastore, disk)
    },
    inspect: (datastore, disk, signal) => imageInfo(diskPath(datastore, disk), disk.format, { clock, signal }),
  }
}

/** `PATH/hostmesh/disks/NAME-ID.qcow2`: the name for people, the id because a disk made again under an old name must never meet its writer. */
function diskPath(datastore: Datastore, disk: Disk): string {
  return join(datastore.path, DISKS, `${disk.name}-${disk.id}.${disk.format}`)
}

/**
 * Made under a scratch name, then linked into place: link refuses where the disk stands already, so a host that comes late with the same
 * work can never replace a disk that a guest uses by now.
 */
async function createDisk(
  datastore: Datastore,
  disk: Disk,
  call: { readonly clock: Clock; readonly random: Random; readonly signal: AbortSignal },
): Promise<void> {
  const folder = join(datastore.path, DISKS)
  const path = diskPath(datastore, disk)
  if (await exists(path)) {
    await checkSize(path, disk, call)
    return
  }
  await mkdir(folder, { recursive: true })
  await removeScratch(folder, disk.id)
  const scratch = join(folder, `${scratchPrefix(disk.id)}${newId((length) => call.random.bytes(length))}`)
  try {
    await demandSpace(datastore, disk)
    await createImage(scratch, disk.format, disk.sizeBytes, call)
    await syncFile(scratch)
    await link(scratch, path).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error
    })
  } finally {
    await rm(scratch, { force: true })
  }
  await syncDirectory(folder)
}

/** The same id is the same disk: a file of another size is damage, not a leftover. */
async function checkSize(path: string, disk: Disk, call: { readonly clock: Clock; readonly signal: AbortSignal }): Promise<void> {
  const { sizeBytes } = await imageInfo(path, disk.format, call)
  if (sizeBytes === disk.sizeBytes) return
  throw new OperationError('failed', `${path} has ${sizeBytes} bytes, disk ${disk.name} must have ${disk.sizeBytes}`)
}

async function removeDisk(datastore: Datastore, disk: Disk): Promise<void> {
  const folder = join(datastore.path, DISKS)
  if (!(await exists(folder))) return
  await removeScratch(folder, disk.id)
  await rm(diskPath(datastore, disk), { force: true })
  await syncDirectory(folder)
}

/** What a crash left of earlier attempts, here or on another host; one that is at work just now finds its link refused and is repeated. */
async function removeScratch(folder: string, id: DiskId): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(scratchPrefix(id))) await rm(join(folder, name), { force: true })
  }
}

function scratchPrefix(id: DiskId): string {
  return `.new-${id}-`
}

/** A sparse image needs little at first; a datastore that is full now can't even hold that. */
const LEAST_FREE_BYTES = 64 * 1024 * 1024

async function demandSpace(datastore: Datastore, disk: Disk): Promise<void> {
  const freeBytes = await freeSpaceBytes(datastore.path)
  if (freeBytes >= LEAST_FREE_BYTES) return
  throw refusal(`disk ${disk.name} cannot be made`, [
    {
      code: 'datastore-full',
      message: `datastore ${datastore.name} has ${formatBytes(freeBytes)} free, a new disk needs ${formatBytes(LEAST_FREE_BYTES)}`,
      fix: `make room under ${datastore.path}, or choose another datastore`,
    },
  ])
}

async function freeSpaceBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}

/** Links inside the datastore may lead anywhere inside it, and nowhere else. */
async function insideFile(datastore: Datastore, relativePath: string): Promise<string> {
  const reference = `${datastore.name}/${relativePath}`
  if (relativePath.split('/').includes('..')) throw outside(datastore, reference)
  const root = await realpath(datastore.path).catch((error: unknown) => {
    throw unusable(datastore, `${datastore.path} cannot be reached: ${errorText(error)}`)
  })
  const path = await realpath(join(root, relativePath)).catch((cause: unknown) => {
    throw new OperationError('not-found', `there is no file ${reference} (${join(datastore.path, relativePath)}): ${errorText(cause)}`, {
      cause,
      reasons: [{ code: 'file-missing', message: `there is no file ${reference}`, fix: `put it at ${join(datastore.path, relativePath)}` }],
    })
  })
  if (!path.startsWith(root + sep)) throw outside(datastore, reference)
  if (!(await stat(path)).isFile())
    throw refusal(`${reference} is no file`, [{ code: 'not-a-file', message: `${path} is not a regular file` }])
  return path
}

function outside(datastore: Datastore, reference: string): OperationError {
  const reason = {
    code: 'outside-datastore',
    message: `${reference} leads out of ${datastore.path}`,
    fix: 'copy the file into the datastore',
  }
  return refusal(`file ${reference} is not in its datastore`, [reason])
}

async function checkUsable(datastore: Datastore): Promise<void> {
  let facts
  try {
    facts = await stat(datastore.path)
    // W and X: files can be made in it.
    await access(datastore.path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw unusable(datastore, `${datastore.path} cannot be used: ${errorText(error)}`)
  }
  if (!facts.isDirectory()) throw unusable(datastore, `${datastore.path} is no directory`)
}

function unusable(datastore: Datastore, message: string): OperationError {
  const fix = `mount it at ${datastore.path} on this host, writable`
  return refusal(`datastore ${datastore.name} cannot be used on this host: ${message}`, [{ code: 'datastore-unusable', message, fix }])
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return false
      throw error
    },
  )
}

/** qemu-img leaves what it wrote to the kernel. */
async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
