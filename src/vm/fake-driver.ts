// A hypervisor without QEMU, in the time of the clock it is given: for development, scenarios and the simulator. It keeps the warden's own
// rules (run-rules.ts), so that what is impossible there is impossible here.
import { sleep, type Clock } from '../base/clock.ts'
import { emitter } from '../base/emitter.ts'
import { OperationError, type Reason } from '../base/errors.ts'
import { type VmId } from '../base/ids.ts'
import { type StopIntent, type VmStatus } from '../inventory/model.ts'
import { type ConsoleStream, type Driver, type ObservedRun, type Run, type RunCounters, type StartSpec } from './driver.ts'
import { applyRecord, EMPTY_LEDGER, runKey, startRefusal, type Ledger, type LedgerRecord } from './run-rules.ts'

export interface FakeHypervisorOptions {
  readonly clock: Clock
  /** From the call of `start` to QEMU's first answer. */
  readonly startMs?: number
  /** From the press of the power button to the guest's end. */
  readonly shutdownMs?: number
  /** From the call of `end` to the process's end. */
  readonly endMs?: number
}

/** What a checker of "one runner" needs: a copy can write while its CPUs are on, from `cpus-on` to `cpus-off` or `gone`. */
export interface FakeRunEvent extends Run {
  readonly kind: 'started' | 'cpus-on' | 'cpus-off' | 'gone'
  /** On the hypervisor's clock. */
  readonly atMs: number
}

interface Guest {
  readonly spec: StartSpec
  readonly pid: number
  readonly startedAtMs: number
  status: VmStatus
  cpusOn: boolean
  readonly output: ReturnType<typeof emitter<Uint8Array>>
  readonly gone: PromiseWithResolvers<void>
}

/** As of the real console's log. */
const CONSOLE_KEPT_BYTES = 1024 * 1024
const FIRST_PID = 1_000

/**
 * One host's hypervisor. It outlives agents (`connect` gives a new one its driver, the former one's is dead); its ledger outlives
 * `powerCut`, as a flushed file does.
 */
export class FakeHypervisor {
  readonly #clock: Clock
  readonly #startMs: number
  readonly #shutdownMs: number
  readonly #endMs: number
  readonly #guests = new Map<string, Guest>()
  readonly #reasons = new Map<string, readonly Reason[]>()
  readonly #failures = new Map<VmId, Reason>()
  readonly #deaf = new Set<VmId>()
  readonly #consoles = new Map<VmId, Uint8Array>()
  readonly #events = emitter<FakeRunEvent>()
  #ledger: Ledger = EMPTY_LEDGER
  #driver: FakeDriver | undefined
  #bootId = 1
  #nextPid = FIRST_PID

  constructor(options: FakeHypervisorOptions) {
    this.#clock = options.clock
    this.#startMs = options.startMs ?? 200
    this.#shutdownMs = options.shutdownMs ?? 500
    this.#endMs = options.endMs ?? 20
  }

  /** For a new agent. Whatever the former one still waits for is rejected as `unreachable`. */
  connect(): Driver {
    this.#driver?.die()
    this.#driver = new FakeDriver(this)
    return this.#driver
  }

  /** The agent dies; guests live on. */
  killAgent(): void {
    this.#driver?.die()
    this.#driver = undefined
  }

  /** The host dies with its agent and its guests, between any two instructions; what the ledger holds is on disk. */
  powerCut(): void {
    this.killAgent()
    this.#bootId += 1
    for (const guest of [...this.#guests.values()]) this.#remove(guest)
    // What the warden of the next boot finds: starts without end.
    for (const run of [...this.#ledger.runs.values()]) if (run.kind === 'live') this.#noteGone(run, 'host-down', 'the host was started anew')
  }

  onEvent(listener: (event: FakeRunEvent) => void): () => void {
    return this.#events.on(listener)
  }

  /** Runs whose CPUs are on now. */
  running(): readonly Run[] {
    return [...this.#guests.values()].filter(({ cpusOn }) => cpusOn).map(({ spec }) => ({ vm: spec.vm, epoch: spec.epoch }))
  }

  /** The next start of this VM ends as `start-failed` with this reason. */
  failNextStart(vm: VmId, reason: Reason): void {
    this.#failures.set(vm, reason)
  }

  /** A guest that hangs as far as its power button is concerned. */
  ignoreButton(vm: VmId, ignore = true): void {
    if (ignore) this.#deaf.add(vm)
    else this.#deaf.delete(vm)
  }

  /** The guest switches itself off; nothing happens unless it runs. */
  powerOffFromInside(vm: VmId): void {
    for (const guest of this.#guestsOf(vm)) if (guest.cpusOn) this.#become(guest, 'powered-off')
  }

  /** Its QEMU dies. */
  crash(vm: VmId): void {
    for (const guest of this.#guestsOf(vm)) this.#kill(guest, 'crash', 'QEMU was ended by SIGKILL')
  }

  /** Its disk fails: QEMU pauses it. */
  failDisk(vm: VmId): void {
    for (const guest of this.#guestsOf(vm)) if (guest.cpusOn) this.#become(guest, 'io-error')
  }

  /** The guest writes to its serial port. */
  print(vm: VmId, text: string): void {
    const bytes = new TextEncoder().encode(text)
    const kept = Buffer.concat([this.#consoles.get(vm) ?? new Uint8Array(), bytes])
    this.#consoles.set(vm, new Uint8Array(kept.subarray(Math.max(0, kept.length - CONSOLE_KEPT_BYTES))))
    for (const guest of this.#guestsOf(vm)) guest.output.emit(bytes)
  }
}
