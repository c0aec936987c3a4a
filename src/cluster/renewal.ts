// A mesh goes on in a new generation with one voter: from the stores of a survivor, or from a backup. Nothing counts before the identity is saved.
import { createHash } from 'node:crypto'
import { errorText, hasCode, refusal } from '../base/errors.ts'
import { type GenerationId, newId } from '../base/ids.ts'
import { NO_MEMBERS } from '../consensus/config-change.ts'
import { beginAlone, salvage, type Salvaged } from '../consensus/continue-alone.ts'
import { type StateLoader } from '../consensus/types.ts'
import { damagedBackup } from '../inventory/backup-lines.ts'
import { canonicalJson } from '../inventory/canonical-json.ts'
import { type JoiningHost } from '../inventory/command.ts'
import { type CommandResult } from '../inventory/model.ts'
import { encodeRecord } from '../inventory/record.ts'
import { type RecoveryPlan } from '../inventory/recovery.ts'
import { readBackup, type ReadBackup } from './backup-file.ts'
import { inventoryMachine, type InventoryMachine } from './inventory-machine.ts'
import { firstRecord, type MemberIdentity, type MemberPorts, withStores } from './member.ts'

type Ports = Pick<MemberPorts, 'clock' | 'random' | 'store'>

export interface Renewal {
  readonly cause: 'recovered' | 'restored'
  /** This host, as the member that goes on: a new one. */
  readonly host: JoiningHost
  readonly generation: number
  /** Of the plan that a person confirmed, or of the backup. */
  readonly plan: string
}

/**
 * The member `before`, stopped, goes on alone as `host.member`. Its own stores stay as they are, beside the new ones. Repeatable after a crash:
 * until the caller saves the identity, the host is what it was.
 */
export async function recoverAlone(ports: Ports, before: MemberIdentity, renewal: Renewal): Promise<MemberIdentity> {
  const machine = inventoryMachine()
  const salvaged = await withStores(ports.store, before.member, ({ logStore, stateStore }) =>
    salvage(logStore, stateStore, machine, ports.clock),
  )
  return beginGeneration(ports, { machine, salvaged, renewal })
}

export interface LoadedBackup extends Pick<Start, 'machine' | 'salvaged'> {
  readonly backup: ReadBackup
}

/** Throws as `readBackup`, and `refused` as damaged for rows that are none of an inventory. */
export async function loadBackup(path: string): Promise<LoadedBackup> {
  const machine = inventoryMachine()
  const loader = machine.restore()
  const values = new Map<string, Uint8Array>()
  const backup = await readBackup(path, (key, value) => {
    values.set(key, value)
    addRow(loader, key, value)
  })
  const { index, term } = backup.head
  loader.finish({ index, term, conf: NO_MEMBERS })
  return { machine, salvaged: { index, term, values }, backup }
}

function addRow(loader: StateLoader, key: string, value: Uint8Array): void {
  try {
    loader.add([{ key, value }])
  } catch (error) {
    throw damagedBackup(`row ${key} is none of this version: ${errorText(error)}`)
  }
}

export interface Start {
  readonly machine: InventoryMachine
  readonly salvaged: Salvaged
  readonly renewal: Renewal
}

/** Writes the first state of the new generation into the stores of `renewal.host.member`, and gives the identity that makes them count. */
export async function beginGeneration(ports: Ports, { machine, salvaged, renewal }: Start): Promise<MemberIdentity> {
  const { cause, generation, host, plan } = renewal
  const generationId = newId<GenerationId>((length) => ports.random.bytes(length))
  const record = firstRecord(ports.clock, host, { kind: 'mesh-renew', cause, generation, generationId, host, plan })
  const beginning = { member: host.member, machine, command: encodeRecord(record) }
  await withStores(ports.store, host.member, ({ logStore, stateStore }) =>
    beginAlone(logStore, stateStore, salvaged, beginning).catch(refusedByMachine),
  )
  const mesh = machine.inventory().mesh
  if (mesh === null) throw refusal('there is no mesh to go on with', [{ code: 'mesh-missing', message: 'these stores hold no mesh' }])
  return { mesh: { id: mesh.id, name: mesh.name, generation, generationId }, member: host.member, introduced: [] }
}

/** What a person confirms: eight characters that change with everything in the plan that matters. */
export function planDigest(meshId: string, plan: RecoveryPlan): string {
  const hosts = plan.hosts.map(({ host, part, standing }) => {
    return { host, part, at: standing === null ? null : [standing.lastTerm, standing.lastIndex, standing.commitIndex, standing.member] }
  })
  const essence = { meshId, from: plan.from, to: plan.to, chosen: plan.chosen, hosts, running: plan.running }
  return createHash('sha256').update(canonicalJson(essence)).digest('hex').slice(0, 8)
}

/** The reasons are the inventory's own. */
function refusedByMachine(error: unknown): never {
  if (hasCode(error, 'refused')) {
    // The machine of this very process made it.
    const result = error.data['result'] as CommandResult | undefined
    if (result?.kind === 'refused') throw refusal(result.message, result.reasons)
  }
  throw error
}
