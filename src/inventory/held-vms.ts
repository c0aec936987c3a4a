// Why a VM stays off until a person starts it: the mesh went on without knowing what became of it, so it may run elsewhere.
import { type Reason } from '../base/errors.ts'

/**
 * `restored`: only a backup knows of its ownership. `ended-unseen`: its host saw it end, and told that to a generation that is over, which may
 * have given it to another host.
 */
export type HeldCause = 'restored' | 'ended-unseen'

const WHY: Record<HeldCause, string> = {
  restored: 'the mesh was restored from a backup, and the VM may run elsewhere',
  'ended-unseen': 'it ended in a generation of the mesh that was given up, and may have been started elsewhere since',
}

export function heldWhy(cause: HeldCause): string {
  return WHY[cause]
}

export function heldReason(cause: HeldCause, vm: string): Reason {
  return { code: cause, message: WHY[cause], fix: `make sure that it runs nowhere, then hostmesh vm start ${vm}` }
}
