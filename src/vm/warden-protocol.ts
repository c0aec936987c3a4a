// What agent and warden say to each other over a unix socket: one JSON object a line, versioned from the first day.
import { type VmId } from '../base/ids.ts'
import { type Epoch, type StopIntent } from '../inventory/model.ts'

/** The agent refuses to work with a warden whose protocol it does not speak; a warden is replaced only while no guest runs. */
export const WARDEN_PROTOCOL = 1

/** Every request carries an id that its answer repeats. */
export type WardenRequest = { readonly id: number } & WardenCall

export type WardenCall =
  | { readonly kind: 'hello'; readonly protocol: number }
  | { readonly kind: 'list' }
  /** Ledger line `start` (fsynced) first, then QEMU under setpriv --pdeathsig KILL. `directory` holds the run's sockets and QEMU's stderr. */
  | { readonly kind: 'start'; readonly vm: VmId; readonly epoch: Epoch; readonly argv: readonly string[]; readonly directory: string }
  /** Ledger line `stop` with the intent (fsynced) first, then QMP `quit`, after 2 s kill -9; answered when reaped. */
  | { readonly kind: 'end'; readonly vm: VmId; readonly epoch: Epoch; readonly intent: StopIntent }
  | { readonly kind: 'pause'; readonly vm: VmId; readonly epoch: Epoch }
  | { readonly kind: 'resume'; readonly vm: VmId; readonly epoch: Epoch }
  | { readonly kind: 'reset'; readonly vm: VmId; readonly epoch: Epoch }
  | { readonly kind: 'forget'; readonly vm: VmId; readonly epoch: Epoch }
  /** Ends the warden; refused while a guest runs. */
  | { readonly kind: 'exit' }

/** A run as the warden knows it, from its children and the ledger. */
export type WardenRun = { readonly vm: VmId; readonly epoch: Epoch } & (
  | { readonly kind: 'live'; readonly pid: number; readonly directory: string; readonly startedAtMs: number }
  | {
      readonly kind: 'ended'
      readonly intent: StopIntent
      readonly exitCode: number | null
      readonly signal: string | null
      readonly stderr: string
    }
)

export type WardenReply = { readonly id: number } & (
  | { readonly kind: 'ok' }
  | { readonly kind: 'hello'; readonly protocol: number; readonly pid: number; readonly version: string; readonly bootId: string }
  | { readonly kind: 'runs'; readonly runs: readonly WardenRun[] }
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'error'; readonly code: 'conflict' | 'not-found' | 'failed' | 'usage'; readonly message: string }
)

/** Pushed without a request: a guest's process ended, ask for the list. */
export interface WardenNotice {
  readonly kind: 'changed'
}
