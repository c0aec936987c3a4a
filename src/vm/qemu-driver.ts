// The driver on real QEMUs: starts and ends through the warden, states from each QEMU's own monitor. It keeps nothing that a new agent
// could not ask for again.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock } from '../base/clock.ts'
import { emitter } from '../base/emitter.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { type VmId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { startLoop, type Loop } from '../base/loop.ts'
import { type Random } from '../base/random.ts'
import { type StopIntent } from '../inventory/model.ts'
import { processCounters } from '../system/counters.ts'
import { makePrivateDirectory } from '../system/files.ts'
import { Consoles } from './console.ts'
import { type ConsoleStream, type Driver, type ObservedRun, type Run, type RunCounters, type StartSpec } from './driver.ts'
import { endReasons } from './end-reasons.ts'
import { qemuArguments } from './qemu-args.ts'
import { RunMonitor } from './run-monitor.ts'
import { runKey } from './run-rules.ts'
import { copyVariables, findUefi } from './uefi.ts'
import { WardenClient } from './warden-client.ts'
import { type WardenRun } from './warden-protocol.ts'

export interface QemuDriverOptions {
  /** Absolute; the driver's own. Some 60 characters at most: sockets lie below it, and the kernel bounds their names. */
  readonly directory: string
  /** The program: absolute, or looked up in PATH. */
  readonly qemu: string
  readonly accelerator: 'kvm' | 'tcg'
  /** Of the agent: a warden of another version is replaced once no guest runs. */
  readonly version: string
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

type LiveRun = WardenRun & { kind: 'live' }
type CrashedRun = Run & { readonly kind: 'crashed'; readonly pid: number | null; readonly words: string }
type Seen = ObservedRun | CrashedRun

/** Console logs grow by some MiB meanwhile at most; directories of forgotten runs are small. */
const TIDY_EVERY_MS = 10_000

/** Finds the warden, or starts it, at the first call. Guests that run are adopted by the first `list`. */
export async function openQemuDriver(options: QemuDriverOptions): Promise<Driver> {
  const driver = new QemuDriver(options)
  await driver.open()
  return driver
}

class QemuDriver implements Driver {
  readonly #options: QemuDriverOptions
  readonly #warden: WardenClient
  readonly #consoles: Consoles
  readonly #places: { readonly runs: string; readonly consoles: string }
  readonly #monitors = new Map<string, RunMonitor>()
  readonly #starting = new Set<string>()
  readonly #changes = emitter<void>()
  #tidying: Loop | undefined

  constructor(options: QemuDriverOptions) {
    const { clock, random, log, version, directory } = options
    this.#options = options
    this.#places = { runs: join(directory, 'runs'), consoles: join(directory, 'consoles') }
    this.#consoles = new Consoles({ directory: this.#places.consoles, clock })
    this.#warden = new WardenClient({ directory, version, clock, random, log })
  }

  async open(): Promise<void> {
    const { clock, log, directory } = this.#options
    for (const path of [directory, this.#places.runs, this.#places.consoles]) await makePrivateDirectory(path)
    this.#warden.onChange(() => this.#changes.emit())
    this.#tidying = startLoop({
      clock,
      everyMs: TIDY_EVERY_MS,
      run: (signal) => this.#tidy(signal),
      onError: (error) => log.warn({ error: errorText(error) }, 'consoles and directories of runs could not be tidied'),
    })
  }

  /**
   * A guest that crashed is ended before anybody sees it: nothing may take it for one that was paused, and let it run on. One that cannot be
   * ended yet (its process waits for a disk in the kernel) is over all the same, so it counts as powered off.
   */
  async list(): Promise<readonly ObservedRun[]> {
    const seen = await this.#observeAll()
    const crashed = seen.filter((run) => run.kind === 'crashed')
    if (crashed.length === 0) return seen.map(asObserved)
    await Promise.all(crashed.map((run) => this.#endCrashed(run)))
    return (await this.#observeAll()).map(asObserved)
  }

  async start(spec: StartSpec, signal: AbortSignal): Promise<void> {
    const { vm, epoch } = spec
    const key = runKey(spec)
    // Looked at first, because preparing writes into the run's directory; the warden's ledger decides.
    const known = (await this.#runs()).some((run) => runKey(run) === key)
    if (known || this.#starting.has(key)) throw new OperationError('conflict', `run ${key} was started before`)
    this.#starting.add(key)
    try {
      const directory = join(this.#places.runs, key)
      const argv = await this.#prepare(spec, directory)
      await this.#warden.call({ kind: 'start', vm, epoch, argv, directory }, signal)
      if (!spec.paused) await this.#warden.call({ kind: 'resume', vm, epoch }, signal)
    } finally {
      this.#starting.delete(key)
      this.#changes.emit()
    }
  }

  async shutdown(run: Run): Promise<void> {
    await this.#monitor(await this.#live(run)).pressPowerButton()
  }

  end(run: Run, intent: StopIntent): Promise<void> {
    return this.#end(run, intent, '')
  }

  async pause({ vm, epoch }: Run): Promise<void> {
    await this.#warden.call({ kind: 'pause', vm, epoch })
  }

  async resume({ vm, epoch }: Run): Promise<void> {
    await this.#warden.call({ kind: 'resume', vm, epoch })
  }

  async reset({ vm, epoch }: Run): Promise<void> {
    await this.#warden.call({ kind: 'reset', vm, epoch })
  }

  async forget({ vm, epoch }: Run): Promise<void> {
    await this.#warden.call({ kind: 'forget', vm, epoch })
    this.#tidying?.wake()
  }

  async counters(): Promise<readonly RunCounters[]> {
    const counted = (await this.#runs()).map(async (run): Promise<readonly RunCounters[]> => {
      const counters = run.kind === 'live' && run.pid !== null ? await processCounters(run.pid) : undefined
      return counters === undefined ? [] : [{ vm: run.vm, epoch: run.epoch, ...counters }]
    })
    return (await Promise.all(counted)).flat()
  }

  consoleLog(vm: VmId, maxBytes: number): Promise<Uint8Array> {
    return this.#consoles.log(vm, maxBytes)
  }

  async openConsole(run: Run): Promise<ConsoleStream> {
    return this.#consoles.open(run, (await this.#live(run)).directory)
  }

  onChange(listener: () => void): () => void {
    return this.#changes.on(listener)
  }

  async close(): Promise<void> {
    await this.#tidying?.stop()
    for (const monitor of this.#monitors.values()) monitor.close()
    this.#consoles.close()
    this.#warden.close()
  }

  /** A start that cannot even be tried uses up its epoch like one that failed: the ledger has to know of it. */
  async #prepare(spec: StartSpec, directory: string): Promise<readonly string[]> {
    try {
      await makePrivateDirectory(directory)
      const { qemu, accelerator } = this.#options
      const firmware = spec.firmware === 'uefi' ? await findUefi() : null
      const uefi = firmware === null ? null : { code: firmware.code, variables: join(directory, 'uefi-variables.fd') }
      const argv = qemuArguments(spec, { qemu, accelerator, directory, consoleLog: this.#consoles.logPath(spec.vm), uefi })
      if (firmware !== null && uefi !== null) await copyVariables(firmware, uefi.variables)
      return argv
    } catch (error) {
      await this.#warden.call({ kind: 'reject', vm: spec.vm, epoch: spec.epoch, words: errorText(error) })
      throw error
    }
  }

  async #runs(): Promise<readonly WardenRun[]> {
    const answer = await this.#warden.call({ kind: 'list' })
    if (answer.kind !== 'runs') throw new OperationError('failed', `the warden answered ${answer.kind} to list`)
    const live = new Set(answer.runs.filter((run) => run.kind === 'live').map(runKey))
    for (const [key, monitor] of this.#monitors) {
      if (live.has(key)) continue
      monitor.close()
      this.#monitors.delete(key)
    }
    return answer.runs
  }

  async #live(run: Run): Promise<LiveRun> {
    const key = runKey(run)
    for (const known of await this.#runs()) if (known.kind === 'live' && runKey(known) === key) return known
    throw new OperationError('not-found', `run ${key} is not live`)
  }

  #monitor(run: LiveRun): RunMonitor {
    const key = runKey(run)
    const known = this.#monitors.get(key)
    if (known !== undefined) return known
    const { clock, log } = this.#options
    const monitor = new RunMonitor({ run, directory: run.directory, clock, log, onChange: () => this.#changes.emit() })
    this.#monitors.set(key, monitor)
    return monitor
  }

  async #observeAll(): Promise<readonly Seen[]> {
    return Promise.all((await this.#runs()).map((run) => this.#observe(run)))
  }

  async #endCrashed(run: CrashedRun): Promise<void> {
    try {
      await this.#end(run, 'crash', run.words)
    } catch (error) {
      this.#options.log.error({ run: runKey(run), error: errorText(error) }, 'a crashed guest could not be ended')
    }
  }

  async #observe(run: WardenRun): Promise<Seen> {
    const { vm, epoch } = run
    if (run.kind === 'ended') return { kind: 'ended', vm, epoch, intent: run.intent, reasons: endReasons(run) }
    const { pid } = run
    // Until `start` is done the CPUs stand still: without this it would look paused.
    const verdict = this.#starting.has(runKey(run)) ? undefined : await this.#monitor(run).verdict()
    if (verdict?.kind === 'crashed') return { kind: 'crashed', vm, epoch, pid, words: verdict.words }
    return { kind: 'live', vm, epoch, pid, status: verdict?.status ?? 'starting' }
  }

  async #end({ vm, epoch }: Run, intent: StopIntent, words: string): Promise<void> {
    await this.#warden.call({ kind: 'end', vm, epoch, intent, words })
  }

  async #tidy(signal: AbortSignal): Promise<void> {
    const directory = this.#places.runs
    // In this order: a directory that was there before the list was asked for, and not being started then, is in the list or left over.
    const settled = (await readdir(directory)).filter((name) => !this.#starting.has(name))
    const runs = await this.#runs()
    const known = new Set(runs.map(runKey))
    for (const name of settled) if (!known.has(name)) await rm(join(directory, name), { recursive: true, force: true })
    await this.#consoles.trim(new Set(runs.map(({ vm }) => vm)), signal)
  }
}

function asObserved(run: Seen): ObservedRun {
  if (run.kind !== 'crashed') return run
  return { kind: 'live', vm: run.vm, epoch: run.epoch, pid: run.pid, status: 'powered-off' }
}
