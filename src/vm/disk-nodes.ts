// The block nodes of one disk, as data for -blockdev and blockdev-reopen: file, format, and the dummy that fencing swaps in. Pure.
//
// Source: qapi/block-core.json of QEMU (BlockdevOptions*).
import { type Fields } from '../base/parse.ts'
import { type DiskFormat } from '../inventory/model.ts'

export interface DiskSpec {
  /** 16 characters; QEMU's names of nodes hold 31. */
  readonly id: string
  readonly path: string
  readonly format: DiskFormat
  readonly sizeBytes: number
}

/** Opens the image's file. Without a user it lets go of the image's locks. */
export function fileNode(disk: DiskSpec): Fields {
  return {
    driver: 'file',
    'node-name': fileNodeName(disk),
    filename: disk.path,
    // Never `auto`: where the file system has no locks the start must fail, or two hosts write one image.
    locking: 'on',
    // Threads wait for slow storage; with native AIO QEMU's main loop would, and with it every order to pause.
    aio: 'threads',
    cache: CACHE_NONE,
    discard: 'unmap',
    'read-only': false,
    'auto-read-only': false,
  }
}

/**
 * The node that the guest's device uses. `over`: the node below. To fence, blockdev-reopen gets this node over the dummy, to unfence over
 * the file again; both times with every option, because what is left out falls back to QEMU's default.
 */
export function formatNode(disk: DiskSpec, over: string): Fields {
  const common = {
    'node-name': formatNodeName(disk),
    file: over,
    cache: CACHE_NONE,
    discard: 'unmap',
    'read-only': false,
    'auto-read-only': false,
  }
  // No image of ours has a backing file; what a header may name instead is not opened.
  return disk.format === 'qcow2' ? { driver: 'qcow2', ...common, backing: null } : { driver: 'raw', ...common }
}

/**
 * The dummy, made beforehand because a QEMU that hangs on its storage makes nothing new: of the same size, failing whatever the guest asks.
 * Its device stops the guest at the first failure (werror, rerror), so no error reaches it.
 */
export function fenceNodes(disk: DiskSpec): readonly Fields[] {
  const below = `null-${disk.id}`
  return [
    { driver: 'null-co', 'node-name': below, size: disk.sizeBytes, 'read-zeroes': true },
    {
      driver: 'blkdebug',
      'node-name': fenceNodeName(disk),
      image: below,
      'inject-error': REQUESTS.map((iotype) => ({ event: 'none', iotype, errno: EIO })),
    },
  ]
}

export function fileNodeName(disk: DiskSpec): string {
  return `file-${disk.id}`
}

export function formatNodeName(disk: DiskSpec): string {
  return `disk-${disk.id}`
}

export function fenceNodeName(disk: DiskSpec): string {
  return `fence-${disk.id}`
}

/** Past the host's page cache, which another host would not see; flushes of the guest reach the disk. */
const CACHE_NONE = { direct: true, 'no-flush': false }

/** All that changes or shows content. A flush may pass: on the way to the dummy QEMU flushes what it holds. */
const REQUESTS = ['read', 'write', 'write-zeroes', 'discard']
const EIO = 5
