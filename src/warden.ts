// The warden: a tiny process of its own, the parent of this host's QEMUs. Agents come and go; while it lives, guests run on.
import { readdir, readlink } from 'node:fs/promises'
import { flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { present } from './base/assert.ts'
import { realClock, sleep, type Clock } from './base/clock.ts'
import { within } from './base/deadline.ts'
import { emitter } from './base/emitter.ts'
import { errorText, OperationError } from './base/errors.ts'
import { RunLedger } from './host/run-ledger.ts'
import { readBootId, readProcess, startTicksOf } from './system/facts.ts'
import { type Run } from './vm/driver.ts'
import { QemuProcess } from './vm/qemu-process.ts'
import { runKey, type Exit, type LedgerRun } from './vm/run-rules.ts'
import {
  WARDEN_LEDGER,
  WARDEN_MONITOR,
  WARDEN_PROTOCOL,
  WARDEN_SOCKET,
  type WardenAnswer,
  type WardenCall,
  type WardenRun,
} from './vm/warden-protocol.ts'
import { listenForAgents, type WardenServer } from './vm/warden-server.ts'

/** QEMU answers 0.1 s after its start; a host under full load, or a slow disk to open, takes longer. */
const START_LIMIT_MS = 30_000
/** QEMU quits in some 20 ms; what takes longer waits for a disk. */
const QUIT_GRACE_MS = 2_000
/** Not even kill -9 ends what waits for a disk in the kernel: then say so, and let the caller ask again. */
const END_LIMIT_MS = 15_000
const RESET_LIMIT_MS = 5_000
/** Without guests and agents there is nothing to guard; an agent that comes back later starts a new one in 0.3 s. */
const IDLE_LIMIT_MS = 60_000
/** How often a process that a former warden left is looked at until it is gone; its death signal needs some 100 ms. */
const BURY_EVERY_MS = 50

type LiveRun = LedgerRun & { kind: 'live' }

/** From the noted start to the noted end. */
interface Life {
  /** Undefined where QEMU is not a child of this process, or could not be started. */
  readonly process: Promise<QemuProcess | undefined>
  /** Resolves when the end is noted. */
  readonly gone: Promise<void>
}

interface WardenOptions {
  readonly ledger: RunLedger
  readonly clock: Clock
  readonly version: string
  readonly bootId: string
  readonly onChange: () => void
  readonly leave: () => void
}

class Warden {
  readonly #options: WardenOptions
  readonly #ledger: RunLedger
  readonly #clock: Clock
  readonly #lives = new Map<string, Life>()
  /** Starts that are being noted: guests in a moment. */
  #opening = 0
  #leaving = false

  constructor(options: WardenOptions) {
    this.#options = options
    this.#ledger = options.ledger
    this.#clock = options.clock
    for (const run of options.ledger.state.runs.values()) {
      if (run.kind === 'live') this.#lives.set(runKey(run), { process: Promise.resolve(undefined), gone: this.#bury(run) })
    }
  }

  get guests(): number {
    return this.#lives.size + this.#opening
  }

  async answer(call: WardenCall): Promise<WardenAnswer> {
    if (this.#leaving) throw new OperationError('conflict', 'this warden is on its way out')
    switch (call.kind) {
      case 'hello': {
        const { version, bootId } = this.#options
        return { kind: 'hello', protocol: WARDEN_PROTOCOL, pid: process.pid, version, bootId }
      }
      case 'list':
        return { kind: 'runs', runs: [...this.#ledger.state.runs.values()].map(asWardenRun) }
      case 'start':
        return this.#start(call)
      case 'exit':
        this.exit()
        return OK
      case 'reject':
        await this.#ledger.reject(call, call.words)
        return OK
      case 'end':
        await this.#end(call)
        return OK
      case 'pause':
        await (await this.#process(call)).execute('stop')
        return OK
      case 'resume':
        await (await this.#process(call)).execute('cont')
        return OK
      case 'reset':
        await (await this.#process(call)).reset(RESET_LIMIT_MS)
        return OK
      case 'forget':
        await this.#ledger.forget(call)
        return OK
    }
  }

  /** Once the start is noted, the run ends through #supervise, whatever happens: there is no way to a second try. */
  async #start(call: WardenCall & { kind: 'start' }): Promise<WardenAnswer> {
    const run: Run = { vm: call.vm, epoch: call.epoch }
    this.#opening += 1
    try {
      await this.#ledger.start(run, call.directory, this.#options.bootId)
      const starting = QemuProcess.start(call.argv, call.directory, this.#clock)
      const state = { ready: false }
      const gone = this.#supervise(run, starting, state)
      this.#lives.set(runKey(run), { process: starting.catch(() => undefined), gone })
      return await this.#untilReady(run, starting, state)
    } finally {
      this.#opening -= 1
    }
  }

  async #untilReady(run: Run, starting: Promise<QemuProcess>, state: { ready: boolean }): Promise<WardenAnswer> {
    let qemu: QemuProcess | undefined
    try {
      qemu = await starting
      await qemu.ready(START_LIMIT_MS)
      state.ready = true
      return { kind: 'started', pid: qemu.pid }
    } catch (error) {
      qemu?.kill()
      // Whoever hears of the failure finds the run ended.
      await this.#lives.get(runKey(run))?.gone
      throw error
    }
  }

  /** Waits for the end of a run's process and notes it. Never rejects. */
  async #supervise(run: Run, starting: Promise<QemuProcess>, state: { readonly ready: boolean }): Promise<void> {
    let exit: Exit
    try {
      const qemu = await starting
      await this.#ledger.spawned(run, qemu.pid, qemu.startTicks).catch(report)
      const { exitCode, signal, lastWords } = await qemu.exited
      exit = { intent: state.ready ? 'crash' : 'start-failed', exitCode, signal, words: lastWords }
    } catch (error) {
      exit = { intent: 'start-failed', exitCode: null, signal: null, words: errorText(error) }
    }
    await this.#noteGone(run, exit)
  }

  /**
   * A run that a former warden left: its guests died with it, which is the host's failure and not the guest's. It counts as gone when its
   * process is, and no sooner: one that waits for a disk in the kernel keeps its locks, dead or not.
   */
  async #bury(run: LiveRun): Promise<void> {
    const rebooted = run.bootId !== this.#options.bootId
    while (!rebooted && (await killLeftover(run))) await sleep(this.#clock, BURY_EVERY_MS)
    const words = rebooted ? 'the host was started anew' : 'the warden of this host ended, and its guests with it'
    await this.#noteGone(run, { intent: 'host-down', exitCode: null, signal: null, words })
  }

  async #noteGone(run: Run, exit: Exit): Promise<void> {
    await this.#ledger.gone(run, exit).catch(report)
    this.#lives.delete(runKey(run))
    this.#options.onChange()
  }

  async #end(call: WardenCall & { kind: 'end' }): Promise<void> {
    await this.#ledger.stop(call, call.intent, call.words)
    const life = this.#lives.get(runKey(call))
    if (life === undefined) return
    await this.#withinEndLimit(
      call,
      life.process.then((qemu) => qemu?.end(QUIT_GRACE_MS)).then(() => life.gone),
    )
  }

  #withinEndLimit(run: Run, ending: Promise<void>): Promise<void> {
    return within(
      { clock: this.#clock, ms: END_LIMIT_MS, what: `the end of QEMU for run ${runKey(run)} (it may wait for a disk)` },
      () => ending,
    )
  }

  async #process(run: Run): Promise<QemuProcess> {
    const qemu = await this.#lives.get(runKey(run))?.process
    if (qemu === undefined) throw new OperationError('not-found', `run ${runKey(run)} is not live`)
    return qemu
  }

  /** Throws `conflict` while a guest runs. From then on nothing is answered. */
  exit(): void {
    if (this.guests > 0) throw new OperationError('conflict', `${this.guests} guests run under this warden`)
    this.#leaving = true
    this.#options.leave()
  }
}

const OK: WardenAnswer = { kind: 'ok' }

function asWardenRun(run: LedgerRun): WardenRun {
  const { vm, epoch } = run
  if (run.kind === 'live') return { kind: 'live', vm, epoch, pid: run.process?.pid ?? null, directory: run.directory }
  const { intent, exitCode, signal, words } = run
  return { kind: 'ended', vm, epoch, intent, exitCode, signal, words }
}

/** Kills what is left of a former warden's run; false when nothing is. */
async function killLeftover(run: LiveRun): Promise<boolean> {
  const pids = run.process === null ? await processesIn(run.directory) : await sameProcess(run.process)
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      report(error)
    }
  }
  return pids.length > 0
}

async function sameProcess(noted: { readonly pid: number; readonly startTicks: number }): Promise<readonly number[]> {
  return (await startTicksOf(noted.pid)) === noted.startTicks ? [noted.pid] : []
}

/** The former warden died between the start and its note: QEMU works in the run's directory and names its monitor there. */
async function processesIn(directory: string): Promise<readonly number[]> {
  const found: number[] = []
  for (const pid of (await readdir('/proc')).map(Number).filter(Number.isInteger)) {
    const workPlace = await readlink(`/proc/${pid}/cwd`).catch(() => undefined)
    if (workPlace === directory && ((await readProcess(pid, 'cmdline')) ?? '').includes(WARDEN_MONITOR)) found.push(pid)
  }
  return found
}

/** Standard error is the warden's log. */
function report(error: unknown): void {
  process.stderr.write(`${new Date(realClock.wall()).toISOString()} ${errorText(error)}\n`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { directory: { type: 'string' }, release: { type: 'string' }, 'idle-limit-ms': { type: 'string' } },
  })
  const directory = present(values.directory, '--directory')
  // Sockets and files are the own user's, QEMU's too: it inherits this.
  process.umask(0o077)
  // Whoever stops the agent's group or terminal does not mean the guests.
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) process.on(signal, () => report(`${signal} is ignored: guests run here`))
  const ledger = await RunLedger.open({ path: join(directory, WARDEN_LEDGER), wall: () => realClock.wall() })
  // Runs that a former boot left end while nobody can listen yet.
  const changes = emitter<void>()
  const warden = new Warden({
    ledger,
    clock: realClock,
    version: values.release ?? 'unknown',
    bootId: await readBootId(),
    onChange: () => changes.emit(),
    // After this turn: the answer to whoever asked goes out first.
    leave: () => realClock.defer(() => server.close()),
  })
  const server: WardenServer = await listenForAgents(join(directory, WARDEN_SOCKET), (call) => warden.answer(call))
  changes.on(() => server.notify())
  // Node writes its cache at exit, and this process is made to be killed: without it every warden compiles anew, and keeps 25 MiB for it.
  flushCompileCache()
  leaveWhenIdle(warden, server, Number(values['idle-limit-ms'] ?? IDLE_LIMIT_MS))
}

/** So that a host from which hostmesh is removed, or a directory that is gone, leaves no process behind. */
function leaveWhenIdle(warden: Warden, server: WardenServer, limitMs: number): void {
  let idleSince = realClock.now()
  const look = (): void => {
    if (warden.guests > 0 || server.clients > 0) idleSince = realClock.now()
    if (realClock.now() - idleSince >= limitMs) warden.exit()
    else realClock.after(limitMs / 10, look)
  }
  look()
}

await main()
