// The one way the inventory changes: a committed command applied to a state gives the next state, the same on every host.
import { assert } from '../base/assert.ts'
import { applyConfig } from './apply-config.ts'
import { applyDatastore } from './apply-datastore.ts'
import { applyDisk } from './apply-disk.ts'
import { applyHost } from './apply-host.ts'
import { applyJob } from './apply-job.ts'
import { applyMesh } from './apply-mesh.ts'
import { applyPower } from './apply-power.ts'
import { applyRenewal } from './apply-renewal.ts'
import { applyRun } from './apply-run.ts'
import { applyToken } from './apply-token.ts'
import { applyVm } from './apply-vm.ts'
import { COMMAND_VERSION, type CommandRecord } from './command.ts'
import { Draft, type LogPosition } from './draft.ts'
import { type Inventory, type TableChange } from './inventory.ts'
import { type CommandResult } from './model.ts'
import { recordAnswer, recordedAnswer } from './requests.ts'
import { stale } from './results.ts'
import { UnknownCommand } from './unknown-command.ts'

export interface ApplyStep {
  /** Shares every table that did not change; its index is the entry's, whatever became of the command. */
  readonly inventory: Inventory
  readonly result: CommandResult
  /** Exactly the rows that differ. */
  readonly changes: readonly TableChange[]
}

/**
 * Pure: reads no clock, draws no chance, never touches `inventory`. Throws UnknownCommand for a newer or unknown command, a BugError for an
 * entry that is not newer than the state. Whatever else is wrong with a command is its result.
 */
export function apply(inventory: Inventory, record: CommandRecord, entry: LogPosition): ApplyStep {
  if (record.version > COMMAND_VERSION) throw new UnknownCommand(`command "${record.command.kind}" of version ${record.version}`)
  assert(entry.index > inventory.index, `entry ${entry.index} is not newer than the state at ${inventory.index}`)
  const draft = new Draft(inventory, record, entry)
  const result = answer(draft)
  return { inventory: draft.state, result, changes: draft.changes() }
}

function answer(draft: Draft): CommandResult {
  const { command, requestKey } = draft.record
  if (requestKey !== null) {
    const recorded = recordedAnswer(draft, requestKey)
    if (recorded !== null) return recorded
  }
  const late = 'leaderTerm' in command && command.leaderTerm !== draft.entry.term
  const result = late ? stale(`decided in term ${command.leaderTerm}, committed in term ${draft.entry.term}`) : dispatch(draft)
  if (requestKey !== null) recordAnswer(draft, requestKey, result)
  return result
}

function dispatch(draft: Draft): CommandResult {
  const { command } = draft.record
  switch (command.kind) {
    case 'mesh-init':
    case 'host-join':
    case 'host-rejoin':
    case 'host-remove':
    case 'voters-change':
    case 'leader-transfer':
      return applyMesh(draft, command)
    case 'mesh-renew':
      return applyRenewal(draft, command)
    case 'agent-started':
    case 'host-addresses':
    case 'host-alarm':
    case 'host-set':
      return applyHost(draft, command)
    case 'token-create':
    case 'token-revoke':
      return applyToken(draft, command)
    case 'datastore-add':
    case 'datastore-remove':
      return applyDatastore(draft, command)
    case 'disk-create':
    case 'disk-resize':
    case 'disk-delete':
    case 'disk-done':
    case 'disk-failed':
    case 'disk-reassign':
      return applyDisk(draft, command)
    case 'vm-create':
    case 'vm-set':
    case 'vm-delete':
      return applyVm(draft, command)
    case 'vm-start':
    case 'vm-shutdown':
    case 'vm-stop':
    case 'vm-reboot':
    case 'vm-pause':
    case 'vm-resume':
      return applyPower(draft, command)
    case 'vm-assign':
    case 'vm-unplaceable':
    case 'vm-observed':
    case 'vm-stopped':
      return applyRun(draft, command)
    case 'job-cancel':
    case 'job-progress':
    case 'job-done':
    case 'job-failed':
      return applyJob(draft, command)
    case 'config-set':
      return applyConfig(draft, command)
    default:
      return unknown(command)
  }
}

/** Compiles only while every kind above is handled; a kind from a newer program still arrives here. */
function unknown(command: never): never {
  const found: { readonly kind?: unknown } = command
  throw new UnknownCommand(`command "${String(found.kind)}"`)
}
