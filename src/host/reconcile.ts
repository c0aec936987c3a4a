// What this host has to do now: wanted (inventory) and observed (its own QEMUs) in, actions out. Pure; carry-out.ts does them.
import { type DiskId, type HostId, type JobId, type VmId } from '../base/ids.ts'
import { type Reason } from '../base/errors.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Disk, type Epoch, type Job, type StopIntent, type Vm, type VmStatus } from '../inventory/model.ts'
import { openJob } from '../inventory/open-jobs.ts'
import { compareEpoch, formatEpoch, sameEpoch, wantedRun } from '../inventory/view.ts'
import { type ObservedRun } from '../vm/driver.ts'

type LiveRun = Extract<ObservedRun, { kind: 'live' }>
type EndedRun = Extract<ObservedRun, { kind: 'ended' }>

/** One thing to do. At most one action an object is under way at any time; after it the host observes again. */
export type Action =
  | { readonly kind: 'start'; readonly vm: VmId; readonly epoch: Epoch }
  /** `fresh`: only after a read confirmed by the leader, because this host's own state may be old. */
  | { readonly kind: 'end'; readonly vm: VmId; readonly epoch: Epoch; readonly intent: StopIntent; readonly fresh: boolean }
  | { readonly kind: 'shutdown'; readonly vm: VmId; readonly epoch: Epoch; readonly job: JobId | null }
  | { readonly kind: 'shutdown-expired'; readonly vm: VmId; readonly epoch: Epoch; readonly job: JobId }
  | { readonly kind: 'pause' | 'resume'; readonly vm: VmId; readonly epoch: Epoch }
  | { readonly kind: 'reset'; readonly vm: VmId; readonly epoch: Epoch; readonly job: JobId }
  /** Always after a fresh read: what is forgotten must have been reported. */
  | { readonly kind: 'forget'; readonly vm: VmId; readonly epoch: Epoch }
  | { readonly kind: 'report-status'; readonly vm: VmId; readonly epoch: Epoch; readonly status: VmStatus }
  | {
      readonly kind: 'report-stopped'
      readonly vm: VmId
      readonly epoch: Epoch
      readonly intent: StopIntent
      readonly reasons: readonly Reason[]
    }
  | { readonly kind: 'disk-create' | 'disk-resize' | 'disk-delete'; readonly disk: DiskId }

/** What the host remembers of a shutdown that it asked a guest for: lost with the agent, then asked for again. */
export interface AskedShutdown {
  readonly epoch: Epoch
  readonly job: JobId | null
  readonly askedAtMs: number
}

export interface HostView {
  readonly self: HostId
  readonly inventory: Inventory
  readonly runs: readonly ObservedRun[]
  readonly asked: ReadonlyMap<VmId, AskedShutdown>
  /** Monotonic, the clock of `askedAtMs`. */
  readonly nowMs: number
  readonly shutdownTimeoutMs: number
}

/** All actions of this moment, in the order of the inventory: runs first, then assignments without a run, then disks. */
export function reconcile(view: HostView): readonly Action[] {
  const actions: Action[] = []
  for (const run of view.runs) {
    const vm = view.inventory.vms.get(run.vm)
    const action = owns(view.self, vm, run.epoch)
      ? ownRun(view, vm, run)
      : isGivenUp(view.inventory, vm, run)
        ? givenUpRun(view.self, vm, run)
        : strangerRun(vm, run)
    if (action !== null) actions.push(action)
  }
  for (const vm of view.inventory.vms.values()) {
    if (vm.owner?.host !== view.self) continue
    const { epoch } = vm.owner
    const known = view.runs.some((run) => run.vm === vm.id && (sameEpoch(run.epoch, epoch) || isGivenUp(view.inventory, vm, run)))
    if (!known) actions.push(withoutRun(vm, epoch))
  }
  for (const disk of view.inventory.disks.values()) {
    const action = diskWork(view.self, disk)
    if (action !== null) actions.push(action)
  }
  return actions
}

function owns(self: HostId, vm: Vm | undefined, epoch: Epoch): vm is Vm {
  return vm?.owner?.host === self && sameEpoch(vm.owner.epoch, epoch)
}

function ownRun(view: HostView, vm: Vm, run: ObservedRun): Action | null {
  if (run.kind === 'ended') return { kind: 'report-stopped', vm: vm.id, epoch: run.epoch, intent: run.intent, reasons: run.reasons }
  const wanted = wantedRun(vm)
  const reboot = wanted.kind === 'run' ? openJob(view.inventory, vm.id, 'vm-reboot') : null
  if (run.status === 'powered-off') return poweredOff(vm, run, reboot)
  if (wanted.kind === 'end') return bringDown(view, vm, run, wanted.how)
  if (reboot !== null) return restartGuest(view, vm, run, reboot)
  // Its power button was pressed for an end that was given up: nobody waits for it any more, the guest runs on.
  const status = run.status === 'shutting-down' ? 'running' : run.status
  return keepRunning(view, vm, { ...run, status }, wanted.paused)
}

function keepRunning(view: HostView, vm: Vm, run: LiveRun, paused: boolean): Action | null {
  if (paused && run.status === 'running') return { kind: 'pause', vm: vm.id, epoch: run.epoch }
  if (!paused && run.status === 'paused') return { kind: 'resume', vm: vm.id, epoch: run.epoch }
  // After an error of a disk QEMU waits for a person, who says with a resume that the disk is mended.
  if (run.status === 'io-error' && openJob(view.inventory, vm.id, 'vm-resume') !== null)
    return { kind: 'resume', vm: vm.id, epoch: run.epoch }
  return reportStatus(vm, run)
}

/** The guest switched itself off: QEMU holds it paused until `off` is recorded (end() writes the ledger first). */
function poweredOff(vm: Vm, run: LiveRun, reboot: Job | null): Action {
  if (reboot !== null) return { kind: 'reset', vm: vm.id, epoch: run.epoch, job: reboot.id }
  return { kind: 'end', vm: vm.id, epoch: run.epoch, intent: 'off', fresh: false }
}

function bringDown(view: HostView, vm: Vm, run: LiveRun, how: 'shutdown' | 'stop'): Action | null {
  if (how === 'stop') return { kind: 'end', vm: vm.id, epoch: run.epoch, intent: 'off', fresh: false }
  // A paused guest cannot hear its power button.
  if (run.status === 'paused') return { kind: 'resume', vm: vm.id, epoch: run.epoch }
  // The job of whoever waits for the end of this run: who asked for it, or who has asked for a start since.
  return askToShutDown(view, run, openJob(view.inventory, vm.id)) ?? reportStatus(vm, run)
}

function restartGuest(view: HostView, vm: Vm, run: LiveRun, job: Job): Action | null {
  if (job.force) return { kind: 'reset', vm: run.vm, epoch: run.epoch, job: job.id }
  // A paused guest cannot hear its power button.
  if (run.status === 'paused') return { kind: 'resume', vm: run.vm, epoch: run.epoch }
  return askToShutDown(view, run, job) ?? reportStatus(vm, run)
}

/** Press the power button once, then wait; null while waiting. */
function askToShutDown(view: HostView, run: LiveRun, job: Job | null): Action | null {
  const asked = view.asked.get(run.vm)
  const already = asked !== undefined && sameEpoch(asked.epoch, run.epoch) && asked.job === (job?.id ?? null)
  if (!already) return { kind: 'shutdown', vm: run.vm, epoch: run.epoch, job: job?.id ?? null }
  if (job === null || view.nowMs - asked.askedAtMs < view.shutdownTimeoutMs) return null
  return { kind: 'shutdown-expired', vm: run.vm, epoch: run.epoch, job: job.id }
}

function reportStatus(vm: Vm, run: LiveRun): Action | null {
  const known = vm.observed
  if (known !== null && sameEpoch(known.epoch, run.epoch) && known.status === run.status) return null
  return { kind: 'report-status', vm: vm.id, epoch: run.epoch, status: run.status }
}

/**
 * A run that this host does not own (any more). A newer epoch than the inventory knows means that the inventory is behind: wait. An ended run was
 * reported, its ownership is over: the ledger may forget it. A live one has no right to run.
 */
function strangerRun(vm: Vm | undefined, run: LiveRun | EndedRun): Action | null {
  if (vm !== undefined && compareEpoch(run.epoch, vm.lastEpoch) > 0) return null
  if (run.kind === 'ended') return { kind: 'forget', vm: run.vm, epoch: run.epoch }
  return { kind: 'end', vm: run.vm, epoch: run.epoch, intent: 'off', fresh: true }
}

/**
 * A run that only a generation has agreed on that is over: this one began without it, and will never know of it. All that it does know of that
 * generation stood in its first state, so that it cannot be merely behind.
 */
function isGivenUp({ mesh }: Inventory, vm: Vm | undefined, { epoch }: ObservedRun): boolean {
  return vm !== undefined && mesh !== null && epoch.generation < mesh.generation && compareEpoch(epoch, vm.lastEpoch) > 0
}

/**
 * Ended before anything is said of the ownership that is known here, whose own run ended when the later one was assigned: else the VM would be
 * started anew, maybe elsewhere, beside it.
 */
function givenUpRun(self: HostId, vm: Vm | undefined, run: ObservedRun): Action {
  if (run.kind === 'live') return { kind: 'end', vm: run.vm, epoch: run.epoch, intent: 'host-down', fresh: true }
  if (vm?.owner?.host !== self) return { kind: 'forget', vm: run.vm, epoch: run.epoch }
  const message = `it ran in epoch ${formatEpoch(run.epoch)}, of a generation of the mesh that was given up`
  return { kind: 'report-stopped', vm: run.vm, epoch: vm.owner.epoch, intent: 'host-down', reasons: [{ code: 'given-up', message }] }
}

/** Assigned here, and never started: start it, or give it back through the ledger, so that this epoch can never start later. */
function withoutRun(vm: Vm, epoch: Epoch): Action {
  if (wantedRun(vm).kind === 'run') return { kind: 'start', vm: vm.id, epoch }
  return { kind: 'end', vm: vm.id, epoch, intent: 'off', fresh: true }
}

function diskWork(self: HostId, disk: Disk): Action | null {
  switch (disk.state.kind) {
    case 'creating':
      return disk.state.host === self ? { kind: 'disk-create', disk: disk.id } : null
    case 'resizing':
      return disk.state.host === self ? { kind: 'disk-resize', disk: disk.id } : null
    case 'deleting':
      return disk.state.host === self ? { kind: 'disk-delete', disk: disk.id } : null
    case 'ready':
    case 'failed':
      return null
  }
}
