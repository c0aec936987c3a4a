// A hypervisor without QEMU, in the time of the clock it is given: for development, scenarios and the simulator. It keeps the warden's own
// rules (run-rules.ts), so that what is impossible there is impossible here.
import { sleep, type Clock } from '../base/clock.ts'
import { abortable } from '../base/deadline.ts'
import { emitter, type Emitter } from '../base/emitter.ts'
import { OperationError, type Reason } from '../base/errors.ts'
import { type VmId } from '../base/ids.ts'
import { type StopIntent, type VmStatus } from '../inventory/model.ts'
import { type ConsoleStream, type Driver, type ObservedRun, type Run, type RunCounters, type StartSpec } from './driver.ts'
import { applyRecord, EMPTY_LEDGER, runKey, startRefusal, type Ledger, type LedgerRecord } from './run-rules.ts'

export interface FakeHypervisorOptions {
  /** The host's, not the agent's: guests live on when an agent's clock is stopped for ever. */
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

type GuestState = 'starting' | 'running' | 'paused' | 'io-error' | 'powered-off'

interface Guest {
  readonly spec: StartSpec
  readonly pid: number
  readonly startedAtMs: number
  state: GuestState
  /** Of its power button. */
  pressed: boolean
  /** What the present agent knows of that. */
  asked: boolean
  /** CPUs on up to the last change of state, and since when they are on now. */
  ranMs: number
  onSinceMs: number | null
  readonly output: Emitter<Uint8Array>
  readonly gone: PromiseWithResolvers<void>
}

interface Agent {
  readonly dead: AbortController
  readonly changes: Emitter<void>
}

/** As of the real console's log. */
const CONSOLE_KEPT_BYTES = 1024 * 1024
const FIRST_PID = 1_000
/** Within what a loaded host needs for the real thing. */
const DEFAULTS = { startMs: 200, shutdownMs: 500, endMs: 20 }

/**
 * One host's hypervisor. It outlives agents (`connect` gives a new one its driver, the former one's is dead); its ledger outlives
 * `powerCut`, as a flushed file does.
 */
export class FakeHypervisor {
  readonly #options: Required<FakeHypervisorOptions>
  readonly #guests = new Map<string, Guest>()
  readonly #reasons = new Map<string, readonly Reason[]>()
  readonly #failures = new Map<VmId, Reason>()
  readonly #deaf = new Set<VmId>()
  readonly #consoles = new Map<VmId, Uint8Array>()
  readonly #events = emitter<FakeRunEvent>()
  #ledger: Ledger = EMPTY_LEDGER
  #agent: Agent | undefined
  #boots = 1
  #nextPid = FIRST_PID

  constructor(options: FakeHypervisorOptions) {
    this.#options = { ...DEFAULTS, ...options }
  }

  /** For a new agent; guests that run are adopted. */
  connect(): Driver {
    this.killAgent()
    const agent: Agent = { dead: new AbortController(), changes: emitter() }
    this.#agent = agent
    for (const guest of this.#guests.values()) guest.asked = false
    return this.#driverOf(agent)
  }

  /** The agent dies, guests live on. What it still waits for is rejected as `unreachable`, as all that its driver is asked from now on. */
  killAgent(): void {
    this.#agent?.dead.abort(new OperationError('unreachable', 'this agent is dead'))
    this.#agent = undefined
  }

  /** The host dies with its agent and its guests, between any two instructions; what the ledger holds is on disk. */
  powerCut(): void {
    this.killAgent()
    this.#boots += 1
    for (const guest of [...this.#guests.values()]) this.#bury(guest, 'host-down', 'the host was started anew')
  }

  onEvent(listener: (event: FakeRunEvent) => void): () => void {
    return this.#events.on(listener)
  }

  /** Runs whose CPUs are on now. */
  running(): readonly Run[] {
    return [...this.#guests.values()].filter(({ onSinceMs }) => onSinceMs !== null).map(runOf)
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
    for (const guest of this.#guestsOf(vm)) if (guest.state === 'running') this.#become(guest, 'powered-off')
  }

  /** Its QEMU dies. */
  crash(vm: VmId): void {
    for (const guest of this.#guestsOf(vm)) this.#bury(guest, 'crash', 'QEMU was ended by SIGKILL')
  }

  /** Its disk fails: QEMU pauses it. */
  failDisk(vm: VmId): void {
    for (const guest of this.#guestsOf(vm)) if (guest.state === 'running') this.#become(guest, 'io-error')
  }

  /** The guest writes to its serial port. */
  print(vm: VmId, text: string): void {
    const bytes = new TextEncoder().encode(text)
    const kept = new Uint8Array([...(this.#consoles.get(vm) ?? []), ...bytes]).slice(-CONSOLE_KEPT_BYTES)
    this.#consoles.set(vm, kept)
    for (const guest of this.#guestsOf(vm)) guest.output.emit(bytes)
  }

  #driverOf(agent: Agent): Driver {
    const asked = async <T>(work: () => T | Promise<T>): Promise<T> => {
      agent.dead.signal.throwIfAborted()
      return abortable(Promise.resolve(work()), agent.dead.signal)
    }
    return {
      list: () => asked(() => [...this.#ledger.runs.keys()].flatMap((key) => this.#observe(key))),
      start: (spec, signal) => asked(() => abortable(this.#start(agent, spec, signal), signal)),
      shutdown: (run) => asked(() => this.#press(this.#live(run))),
      end: (run, intent) => asked(() => this.#end(run, intent)),
      pause: (run) => asked(() => this.#pause(this.#live(run))),
      resume: (run) => asked(() => this.#resume(this.#live(run))),
      reset: (run) => asked(() => this.#reset(this.#live(run))),
      forget: (run) => asked(() => this.#forget(run)),
      counters: () => asked(() => [...this.#guests.values()].map((guest) => this.#count(guest))),
      consoleLog: (vm, maxBytes) => asked(() => (this.#consoles.get(vm) ?? new Uint8Array()).slice(-maxBytes)),
      openConsole: (run) => asked(() => this.#openConsole(this.#live(run))),
      onChange: (listener) => agent.changes.on(listener),
      close: async () => {
        if (this.#agent === agent) this.killAgent()
      },
    }
  }

  /** The warden's part goes on when its agent dies; only the last step, letting the CPUs run, is the agent's own. */
  async #start(agent: Agent, spec: StartSpec, signal: AbortSignal): Promise<void> {
    const refusal = startRefusal(this.#ledger, spec)
    if (refusal !== null) throw new OperationError('conflict', refusal.message, { reasons: [refusal] })
    const key = runKey(spec)
    const guest = this.#makeGuest(spec)
    await sleep(this.#options.clock, this.#options.startMs)
    if (this.#guests.get(key) !== guest) throw new OperationError('failed', `run ${key} was ended while it started`)
    const failure = this.#failures.get(spec.vm)
    if (failure !== undefined) {
      this.#failures.delete(spec.vm)
      this.#reasons.set(key, [failure])
      this.#bury(guest, 'start-failed', failure.message)
      throw new OperationError('failed', failure.message)
    }
    const letRun = !spec.paused && !agent.dead.signal.aborted && !signal.aborted
    this.#become(guest, letRun ? 'running' : 'paused')
  }

  #makeGuest(spec: StartSpec): Guest {
    const now = this.#options.clock.now()
    this.#note({ kind: 'start', ...this.#stamp(spec), directory: `/fake/${runKey(spec)}`, bootId: `boot-${this.#boots}` })
    const guest: Guest = {
      spec,
      pid: this.#nextPid,
      startedAtMs: now,
      state: 'starting',
      pressed: false,
      asked: false,
      ranMs: 0,
      onSinceMs: null,
      output: emitter(),
      gone: Promise.withResolvers(),
    }
    this.#nextPid += 1
    this.#guests.set(runKey(spec), guest)
    this.#tell(guest, 'started')
    return guest
  }

  async #end(run: Run, intent: StopIntent): Promise<void> {
    this.#note({ kind: 'stop', ...this.#stamp(run), intent, words: '' })
    const guest = this.#guests.get(runKey(run))
    if (guest === undefined) return
    this.#options.clock.after(this.#options.endMs, () => this.#bury(guest, 'crash', ''))
    await guest.gone.promise
  }

  #forget(run: Run): void {
    if (this.#guests.has(runKey(run))) throw new OperationError('conflict', `run ${runKey(run)} is live and cannot be forgotten`)
    this.#note({ kind: 'forget', ...this.#stamp(run) })
    this.#reasons.delete(runKey(run))
  }

  #press(guest: Guest): void {
    guest.pressed = true
    guest.asked = true
    this.#hearButton(guest)
    this.#agent?.changes.emit()
  }

  /** A guest hears its button while it runs, one that was paused when it runs again. */
  #hearButton(guest: Guest): void {
    if (!guest.pressed || guest.state !== 'running') return
    this.#options.clock.after(this.#options.shutdownMs, () => {
      const hears = guest.pressed && guest.state === 'running' && !this.#deaf.has(guest.spec.vm)
      if (hears && this.#isHere(guest)) this.#become(guest, 'powered-off')
    })
  }

  #pause(guest: Guest): void {
    if (guest.state === 'running') this.#become(guest, 'paused')
  }

  #resume(guest: Guest): void {
    if (guest.state === 'powered-off') throw new OperationError('failed', 'the guest is powered off: it can only be reset')
    if (guest.state !== 'running') this.#become(guest, 'running')
  }

  #reset(guest: Guest): void {
    guest.pressed = false
    guest.asked = false
    this.#become(guest, 'running')
  }

  #become(guest: Guest, state: GuestState): void {
    const now = this.#options.clock.now()
    const wasOn = guest.onSinceMs !== null
    const isOn = state === 'running'
    if (guest.onSinceMs !== null) guest.ranMs += now - guest.onSinceMs
    guest.onSinceMs = isOn ? now : null
    guest.state = state
    if (isOn !== wasOn) this.#tell(guest, isOn ? 'cpus-on' : 'cpus-off')
    this.#hearButton(guest)
    this.#agent?.changes.emit()
  }

  /** Its process is gone. Harmless for one that went before. */
  #bury(guest: Guest, intent: StopIntent, words: string): void {
    if (!this.#isHere(guest)) return
    this.#guests.delete(runKey(guest.spec))
    guest.onSinceMs = null
    this.#tell(guest, 'gone')
    this.#note({ kind: 'gone', ...this.#stamp(guest.spec), intent, exitCode: null, signal: null, words })
    guest.gone.resolve()
    this.#agent?.changes.emit()
  }

  #observe(key: string): ObservedRun[] {
    const run = this.#ledger.runs.get(key)
    if (run === undefined) return []
    const { vm, epoch } = run
    const guest = this.#guests.get(key)
    if (run.kind === 'live') return guest === undefined ? [] : [{ kind: 'live', vm, epoch, pid: guest.pid, status: statusOf(guest) }]
    const told = run.words === '' ? [] : [{ code: run.intent, message: run.words }]
    return [{ kind: 'ended', vm, epoch, intent: run.intent, reasons: run.intent === 'off' ? [] : (this.#reasons.get(key) ?? told) }]
  }

  #count(guest: Guest): RunCounters {
    const now = this.#options.clock.now()
    const ranMs = guest.ranMs + (guest.onSinceMs === null ? 0 : now - guest.onSinceMs)
    return { ...runOf(guest), cpuSeconds: ranMs / 1000, uptimeS: (now - guest.startedAtMs) / 1000, residentMiB: guest.spec.memoryMiB }
  }

  /** The guest of this fake says again what is typed. */
  #openConsole(guest: Guest): ConsoleStream {
    const offs = new Set<() => void>()
    let open = true
    return {
      write: (bytes) => {
        if (open && guest.state === 'running') this.print(guest.spec.vm, new TextDecoder().decode(bytes))
      },
      onData: (listener) => void offs.add(guest.output.on(listener)),
      onClose: (listener) =>
        void guest.gone.promise.then(() => {
          if (open) listener()
        }),
      close: () => {
        open = false
        for (const off of offs) off()
      },
    }
  }

  #live(run: Run): Guest {
    const guest = this.#guests.get(runKey(run))
    if (guest === undefined) throw new OperationError('not-found', `run ${runKey(run)} is not live`)
    if (guest.state === 'starting') throw new OperationError('unreachable', `run ${runKey(run)} is still starting`)
    return guest
  }

  #guestsOf(vm: VmId): Guest[] {
    return [...this.#guests.values()].filter((guest) => guest.spec.vm === vm && guest.state !== 'starting')
  }

  #isHere(guest: Guest): boolean {
    return this.#guests.get(runKey(guest.spec)) === guest
  }

  #note(record: LedgerRecord): void {
    this.#ledger = applyRecord(this.#ledger, record)
    this.#agent?.changes.emit()
  }

  #stamp({ vm, epoch }: Run): { readonly vm: VmId; readonly epoch: Run['epoch']; readonly at: number } {
    return { vm, epoch, at: this.#options.clock.wall() }
  }

  #tell(guest: Guest, kind: FakeRunEvent['kind']): void {
    this.#events.emit({ kind, ...runOf(guest), atMs: this.#options.clock.now() })
  }
}

function runOf({ spec }: Guest): Run {
  return { vm: spec.vm, epoch: spec.epoch }
}

function statusOf(guest: Guest): VmStatus {
  return guest.state === 'running' && guest.asked ? 'shutting-down' : guest.state
}
