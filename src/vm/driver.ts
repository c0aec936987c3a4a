// The hypervisor of this host as the agent sees it: runs of VMs, each a (vm, epoch), started at most once. QEMU behind it, or a fake.
import { type VmId } from '../base/ids.ts'
import { type Reason } from '../base/errors.ts'
import { type DiskFormat, type Epoch, type StopIntent, type VmStatus } from '../inventory/model.ts'

/** One start of a VM: the only thing that may ever run under this epoch. */
export interface Run {
  readonly vm: VmId
  readonly epoch: Epoch
}

/** Everything QEMU needs, with absolute paths on this host. */
export interface StartSpec extends Run {
  readonly name: string
  readonly vcpus: number
  readonly memoryMiB: number
  /** QEMU CPU model, or `host` / `mesh-baseline` as the VM's spec has it. */
  readonly cpu: string
  readonly firmware: 'bios' | 'uefi'
  readonly machineType: string
  readonly disks: readonly { readonly id: string; readonly path: string; readonly format: DiskFormat; readonly sizeBytes: number }[]
  readonly cdrom: string | null
  readonly boot: { readonly kernel: string; readonly initrd: string | null; readonly append: string } | null
  /** Start with the CPUs stopped (the VM is wanted paused). */
  readonly paused: boolean
}

/** `live`: a QEMU process exists (`pid` is null while it is being made). `ended`: it is gone and reaped; `intent` says why, as the run ledger and the exit tell. */
export type ObservedRun =
  | (Run & { readonly kind: 'live'; readonly status: VmStatus; readonly pid: number | null })
  | (Run & { readonly kind: 'ended'; readonly intent: StopIntent; readonly reasons: readonly Reason[] })

/** Serial console: what the guest wrote last, and a live two-way stream. */
export interface ConsoleStream {
  write(bytes: Uint8Array): void
  onData(listener: (bytes: Uint8Array) => void): void
  onClose(listener: () => void): void
  close(): void
}

/** Counters of a live run since its start, for usage: what the kernel and QEMU report of the process. */
export interface RunCounters extends Run {
  readonly cpuSeconds: number
  /** Since the QEMU process started. */
  readonly uptimeS: number
  readonly residentMiB: number
}

export interface Driver {
  /**
   * All runs that this host knows of, live and ended (until `forget`). Authoritative: a run that is not listed never started here, or was
   * forgotten. Rejects when the warden cannot be asked: then nothing is known and nothing may be done.
   */
  list(): Promise<readonly ObservedRun[]>
  /**
   * Starts a run and resolves when QEMU answers QMP (its status is then `running` or `paused`). Refused (`conflict`) when the ledger knows a start or an end of
   * this epoch, or a newer one. A QEMU that cannot start leaves an ended run `start-failed` with QEMU's own words.
   */
  start(spec: StartSpec, signal: AbortSignal): Promise<void>
  /** Presses the guest's power button (ACPI); the guest decides. Status becomes `shutting-down`, then `powered-off`. */
  shutdown(run: Run): Promise<void>
  /** Notes the intent in the ledger (fsynced), ends QEMU (quit, then kill -9) and resolves when the process is reaped. Repeatable. */
  end(run: Run, intent: StopIntent): Promise<void>
  pause(run: Run): Promise<void>
  resume(run: Run): Promise<void>
  /** Resets the machine and lets it run, also out of `powered-off`: a reboot within one run. */
  reset(run: Run): Promise<void>
  /** Drops an ended run from the ledger's list; its epoch, and older ones, stay refused for starts. */
  forget(run: Run): Promise<void>
  counters(): Promise<readonly RunCounters[]>
  /** Bytes that the guest wrote to its serial port, newest last, at most `maxBytes`; kept over agent restarts and after the run's end. */
  consoleLog(vm: VmId, maxBytes: number): Promise<Uint8Array>
  openConsole(run: Run): Promise<ConsoleStream>
  /** Something changed: list again. Carries no facts, so that none can be missed. */
  onChange(listener: () => void): () => void
  /** Lets go of everything; guests live on. */
  close(): Promise<void>
}
