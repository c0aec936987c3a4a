// Words of VM commands that carry more than one thing: disks, and what is booted. Pure.
import type { Body } from '../api/contract.ts'
import type { VmAnswer } from '../api/types.ts'
import { OperationError } from '../base/errors.ts'
import { parseSizeBytes } from '../base/units.ts'

type DiskWish = NonNullable<Body<'vmCreate'>['disks']>[number]
type Boot = NonNullable<Body<'vmCreate'>['boot']>

/** `DATASTORE/NAME[:SIZE][,format=qcow2|raw]`: with a size a new disk, without one that exists. */
export function parseDisk(text: string): DiskWish {
  const match = /^([^/:,]+)\/([^/:,]+)(?::([^,]+))?(?:,format=(qcow2|raw))?$/.exec(text)
  if (match === null) {
    throw new OperationError('usage', `disk "${text}" is not DATASTORE/NAME[:SIZE][,format=qcow2|raw], for example images/root:10G`)
  }
  const [, datastore = '', name = '', size, format] = match
  if (size === undefined && format !== undefined)
    throw new OperationError('usage', `disk "${text}" names a format but no size: only a new disk gets one`)
  return {
    datastore,
    name,
    ...(size === undefined ? {} : { sizeBytes: parseSizeBytes(size) }),
    ...(format === 'qcow2' || format === 'raw' ? { format } : {}),
  }
}

export interface BootFlags {
  readonly kernel?: string
  readonly initrd?: string
  readonly append?: string
}

/** What a new VM boots: undefined is its disk. */
export function bootOf({ kernel, initrd, append }: BootFlags): Boot | undefined {
  if (kernel !== undefined) return { kernel, ...(initrd === undefined ? {} : { initrd }), ...(append === undefined ? {} : { append }) }
  const lone = initrd !== undefined ? '--initrd' : append !== undefined ? '--append' : null
  if (lone === null) return undefined
  throw new OperationError('usage', `${lone} belongs to a direct boot: name the kernel too`, {
    reasons: [{ code: 'usage', message: 'no --kernel was given', fix: `hostmesh vm create … --kernel DATASTORE/FILE ${lone} …` }],
  })
}

/** What a VM boots from now on: `--kernel none` is its disk again; what is not named stays. */
export function changedBoot(before: VmAnswer['boot'], { kernel, initrd, append }: BootFlags): Boot | null {
  if (kernel === 'none') return null
  const file = kernel ?? before?.kernel
  if (file === undefined)
    return bootOf({ ...(initrd === undefined ? {} : { initrd }), ...(append === undefined ? {} : { append }) }) ?? null
  return { kernel: file, initrd: initrd === 'none' ? null : (initrd ?? before?.initrd ?? null), append: append ?? before?.append ?? '' }
}
