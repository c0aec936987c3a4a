// Why a VM stays off after a restore until a person starts it.
import { type Reason } from '../base/errors.ts'

export const HELD = 'the mesh was restored from a backup, and the VM may run elsewhere'

export function heldReason(vm: string): Reason {
  const fix = `make sure that it runs nowhere, then hostmesh vm start ${vm}`
  return { code: 'restored', message: HELD, fix }
}
