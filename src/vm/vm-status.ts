// What QEMU's run state means for a VM, pure.
//
// Source: RunState in qapi/run-state.json of QEMU.
import { type VmStatus } from '../inventory/model.ts'

/** What the driver knows beside QEMU's own word. */
export interface StatusMemory {
  /** The guest's power button was pressed in this run, and it neither went off nor was reset since. */
  readonly shutdownAsked: boolean
}

export type RunVerdict =
  | { readonly kind: 'alive'; readonly status: VmStatus }
  /** The guest cannot go on: its run has to be ended as a crash. */
  | { readonly kind: 'crashed'; readonly words: string }

/** Events after which QEMU has to be asked for its state again. The event itself is not believed: it may be older than the last answer. */
export const STATUS_EVENTS: ReadonlySet<string> = new Set([
  'STOP',
  'RESUME',
  'SHUTDOWN',
  'RESET',
  'GUEST_PANICKED',
  'BLOCK_IO_ERROR',
  'SUSPEND',
  'WAKEUP',
])

/** `runState`: `status` of query-status. */
export function runVerdict(runState: string, memory: StatusMemory): RunVerdict {
  switch (runState) {
    case 'running':
    // Asleep by its own will (ACPI S3): it runs on as soon as something wakes it.
    case 'suspended':
      return alive(memory.shutdownAsked ? 'shutting-down' : 'running')
    case 'io-error':
      return alive('io-error')
    // With -action shutdown=pause QEMU stays after the guest's end, so that it can be recorded first.
    case 'shutdown':
      return alive('powered-off')
    // With -action panic=pause.
    case 'guest-panicked':
      return { kind: 'crashed', words: 'the guest panicked' }
    case 'internal-error':
      return { kind: 'crashed', words: 'QEMU stopped the guest: its processor met what the accelerator cannot emulate (internal-error)' }
    default:
      // prelaunch, paused, and the states of migration: the CPUs stand still, nothing is wrong.
      return alive('paused')
  }
}

function alive(status: VmStatus): RunVerdict {
  return { kind: 'alive', status }
}
