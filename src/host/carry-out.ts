// Does what reconcile.ts decided: one function an action. Whatever fails is decided anew at the next observation.
import { type Clock } from '../base/clock.ts'
import { hasCode, OperationError, type Reason, refusal, toWireError } from '../base/errors.ts'
import { type DiskId, type HostId, type JobId, type VmId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Cluster } from '../inventory/cluster.ts'
import { type HostCommand } from '../inventory/command.ts'
import { type HeldCause } from '../inventory/held-vms.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Datastore, type Disk, type Vm } from '../inventory/model.ts'
import { formatEpoch, sameEpoch, wantedRun } from '../inventory/view.ts'
import { type Driver, type Run } from '../vm/driver.ts'
import { type Action, type AskedShutdown } from './reconcile.ts'
import { resolveSpec, type PathResolver } from './resolve-spec.ts'

/** Files of disks on this host's view of a datastore. Every call may be repeated after a crash. */
export interface DiskFiles extends PathResolver {
  create(datastore: Datastore, disk: Disk, signal: AbortSignal): Promise<void>
  resize(datastore: Datastore, disk: Disk, toBytes: number, signal: AbortSignal): Promise<void>
  remove(datastore: Datastore, disk: Disk, signal: AbortSignal): Promise<void>
}

export interface Hands {
  readonly self: HostId
  readonly actor: string
  readonly clock: Clock
  readonly log: Log
  readonly cluster: Cluster
  readonly driver: Driver
  readonly files: DiskFiles
  readonly asked: Map<VmId, AskedShutdown>
}

/** Carries out one action; rejects when it failed in a way that only another look can mend. */
export async function carryOut(hands: Hands, action: Action, signal: AbortSignal): Promise<void> {
  switch (action.kind) {
    case 'start':
      return start(hands, action, signal)
    case 'end':
      return end(hands, action, signal)
    case 'forget':
      return forget(hands, action, signal)
    case 'shutdown':
      return askShutdown(hands, action, signal)
    case 'shutdown-expired':
      return shutdownExpired(hands, action, signal)
    case 'pause':
      return hands.driver.pause(action)
    case 'resume':
      return resume(hands, action, signal)
    case 'reset':
      return reset(hands, action, signal)
    case 'report-status':
      return report(hands, { kind: 'vm-observed', host: hands.self, vm: action.vm, epoch: action.epoch, status: action.status }, signal)
    case 'report-stopped': {
      const { vm, epoch, intent, reasons } = action
      return report(hands, { kind: 'vm-stopped', host: hands.self, vm, epoch, intent, reasons }, signal)
    }
    case 'disk-create':
    case 'disk-resize':
    case 'disk-delete':
      return diskWork(hands, action.disk, signal)
  }
}

/** Reports are judged by epoch where they are applied: repeating or coming late does no harm. */
async function report(hands: Hands, command: HostCommand, signal: AbortSignal): Promise<void> {
  const result = await hands.cluster.propose(command, { signal, actor: hands.actor })
  if (result.kind === 'refused')
    hands.log.warn({ command, reasons: result.reasons }, `report ${command.kind} was refused: ${result.message}`)
}

/**
 * A start needs a state that the leader confirmed: after a power cut this host's own may be older than what it once applied. What the
 * inventory cannot resolve to files ends the epoch as `start-failed`, with its reasons.
 */
async function start(hands: Hands, run: Run, signal: AbortSignal): Promise<void> {
  const inventory = await hands.cluster.read(signal)
  const vm = inventory.vms.get(run.vm)
  if (!stillOwns(hands.self, vm, run) || wantedRun(vm).kind !== 'run') return
  try {
    await hands.driver.start(await resolveSpec(inventory, vm, run.epoch, hands.files), signal)
  } catch (error) {
    if (isUsed(error) && (await isForgotten(hands, inventory, run))) return endedUnseen(hands, run, signal)
    if (!hasCode(error, 'refused', 'not-found')) throw error
    await hands.driver.end(run, 'start-failed')
    await report(
      hands,
      { kind: 'vm-stopped', host: hands.self, vm: run.vm, epoch: run.epoch, intent: 'start-failed', reasons: reasonsOf(error) },
      signal,
    )
  }
}

/** The ledger refuses for ever (vm/run-rules.ts). */
function isUsed(error: unknown): boolean {
  return error instanceof OperationError && error.reasons.some(({ code }) => code === 'epoch-used')
}

/**
 * Only where the run belongs to a generation that is over, and the ledger knows no run of this VM any more: a start that an earlier agent has
 * asked for may still be under way, and forbids this one too.
 */
async function isForgotten({ driver }: Hands, { mesh }: Inventory, { vm, epoch }: Run): Promise<boolean> {
  if (mesh === null || epoch.generation >= mesh.generation) return false
  return (await driver.list()).every((run) => run.vm !== vm)
}

/**
 * The leader confirms an ownership whose run this host has seen end, and has told so to a leader before: to that of a generation that was given
 * up since, which may have had the VM started elsewhere.
 */
function endedUnseen(hands: Hands, { vm, epoch }: Run, signal: AbortSignal): Promise<void> {
  const message = `its run in epoch ${formatEpoch(epoch)} ended on this host, as a generation of the mesh was told that was given up`
  const reasons = [{ code: 'ended-unseen' satisfies HeldCause, message }]
  return report(hands, { kind: 'vm-stopped', host: hands.self, vm, epoch, intent: 'host-down', reasons }, signal)
}

async function end(hands: Hands, action: Extract<Action, { kind: 'end' }>, signal: AbortSignal): Promise<void> {
  if (action.fresh) {
    const vm = (await hands.cluster.read(signal)).vms.get(action.vm)
    if (stillOwns(hands.self, vm, action) && wantedRun(vm).kind === 'run') return
  }
  await hands.driver.end(action, action.intent)
}

async function forget(hands: Hands, run: Run, signal: AbortSignal): Promise<void> {
  const vm = (await hands.cluster.read(signal)).vms.get(run.vm)
  if (!stillOwns(hands.self, vm, run)) await hands.driver.forget(run)
}

async function askShutdown(hands: Hands, action: Extract<Action, { kind: 'shutdown' }>, signal: AbortSignal): Promise<void> {
  await hands.driver.shutdown(action)
  hands.asked.set(action.vm, { epoch: action.epoch, job: action.job, askedAtMs: hands.clock.now() })
  if (action.job === null) return
  await report(
    hands,
    { kind: 'job-progress', host: hands.self, job: action.job, step: 'asked the guest to shut down', percent: 30 },
    signal,
  )
}

async function shutdownExpired(hands: Hands, action: Extract<Action, { kind: 'shutdown-expired' }>, signal: AbortSignal): Promise<void> {
  const name = hands.cluster.view().vms.get(action.vm)?.name ?? action.vm
  const reason = {
    code: 'guest-ignored-shutdown',
    message: `the guest of VM ${name} did not react to its power button in time`,
    fix: `hostmesh vm stop ${name}`,
  }
  await jobFailed(hands, action.job, [reason], signal)
  hands.asked.delete(action.vm)
}

/** Reported as running at once: a disk that fails again a moment later is the next thing to report, not a reason to resume in a circle. */
async function resume(hands: Hands, run: Run, signal: AbortSignal): Promise<void> {
  await hands.driver.resume(run)
  await report(hands, { kind: 'vm-observed', host: hands.self, vm: run.vm, epoch: run.epoch, status: 'running' }, signal)
}

async function reset(hands: Hands, action: Extract<Action, { kind: 'reset' }>, signal: AbortSignal): Promise<void> {
  await hands.driver.reset(action)
  hands.asked.delete(action.vm)
  await report(hands, { kind: 'job-done', host: hands.self, job: action.job }, signal)
}

/** The file work that the disk's state asks for; a failure is reported, not tried again: an administrator decides. */
async function diskWork(hands: Hands, id: DiskId, signal: AbortSignal): Promise<void> {
  const inventory = await hands.cluster.read(signal)
  const disk = inventory.disks.get(id)
  if (disk === undefined) return
  let sizeBytes: number | null
  try {
    sizeBytes = await doDiskWork(hands, inventory, disk, signal)
  } catch (error) {
    signal.throwIfAborted()
    return report(hands, { kind: 'disk-failed', host: hands.self, disk: id, reason: toWireError(error).message }, signal)
  }
  // Where the report fails the work has not: it is done again, which changes nothing, and reported again.
  if (sizeBytes !== null) await report(hands, { kind: 'disk-done', host: hands.self, disk: id, sizeBytes }, signal)
}

/** The disk's size afterwards, or null where there is nothing to do for this host. */
async function doDiskWork(hands: Hands, inventory: Inventory, disk: Disk, signal: AbortSignal): Promise<number | null> {
  const { state } = disk
  if (state.kind === 'ready' || state.kind === 'failed' || state.host !== hands.self) return null
  const datastore = inventory.datastores.get(disk.datastore)
  if (datastore === undefined) {
    throw refusal(`disk ${disk.name} has no datastore`, [{ code: 'datastore-unknown', message: `there is no datastore ${disk.datastore}` }])
  }
  switch (state.kind) {
    case 'creating':
      await hands.files.create(datastore, disk, signal)
      return disk.sizeBytes
    case 'resizing':
      await hands.files.resize(datastore, disk, state.toBytes, signal)
      return state.toBytes
    case 'deleting':
      await hands.files.remove(datastore, disk, signal)
      return 0
  }
}

function jobFailed(hands: Hands, job: JobId, reasons: readonly Reason[], signal: AbortSignal): Promise<void> {
  return report(hands, { kind: 'job-failed', host: hands.self, job, reasons }, signal)
}

function stillOwns(self: HostId, vm: Vm | undefined, run: Run): vm is Vm {
  return vm?.owner?.host === self && sameEpoch(vm.owner.epoch, run.epoch)
}

function reasonsOf(error: unknown): readonly Reason[] {
  const wire = toWireError(error)
  return wire.reasons.length > 0 ? wire.reasons : [{ code: wire.code, message: wire.message }]
}
