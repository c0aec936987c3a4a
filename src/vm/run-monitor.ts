// The agent's view of one live run, over its own monitor: the state asked for at adoption and after every event, the power button.
import { join } from 'node:path'
import { type Clock } from '../base/clock.ts'
import { errorText, hasCode, OperationError } from '../base/errors.ts'
import { type Log } from '../base/log.ts'
import { asFields, asText } from '../base/parse.ts'
import { type Run } from './driver.ts'
import { connectQmp, type Qmp } from './qmp.ts'
import { runKey } from './run-rules.ts'
import { runVerdict, STATUS_EVENTS, type RunVerdict } from './vm-status.ts'
import { AGENT_MONITOR } from './warden-protocol.ts'

export interface RunMonitorOptions {
  readonly run: Run
  readonly directory: string
  readonly clock: Clock
  readonly log: Log
  /** The state may have changed: ask `verdict` again. */
  readonly onChange: () => void
}

/** A list of all runs waits for this; a QEMU whose main loop hangs on its storage must not hold up the others. */
const ANSWER_LIMIT_MS = 1_000

export class RunMonitor {
  readonly #options: RunMonitorOptions
  #qmp: Promise<Qmp> | undefined
  /** QEMU's last word, while no event has come after it. */
  #runState: string | undefined
  #fresh = false
  #shutdownAsked = false
  #closed = false

  constructor(options: RunMonitorOptions) {
    this.#options = options
  }

  /** What the run is now, or was when QEMU answered last; undefined before its first answer. Never rejects. */
  async verdict(): Promise<RunVerdict | undefined> {
    if (!this.#fresh) await this.#ask()
    return this.#runState === undefined ? undefined : runVerdict(this.#runState, { shutdownAsked: this.#shutdownAsked })
  }

  /** Presses the power button. Rejects with `unreachable`, `timeout` or `failed`. */
  async pressPowerButton(): Promise<void> {
    const qmp = await this.#connected()
    await qmp.execute('system_powerdown')
    this.#shutdownAsked = true
    this.#options.onChange()
  }

  close(): void {
    this.#closed = true
    this.#qmp?.then(
      (qmp) => qmp.close(),
      () => {},
    )
  }

  async #ask(): Promise<void> {
    try {
      const qmp = await this.#connected()
      // Set before the question: an event that comes while QEMU answers makes the answer old.
      this.#fresh = true
      const answer = asFields(await qmp.execute('query-status', {}, { timeoutMs: ANSWER_LIMIT_MS }), 'the status')
      this.#runState = asText(answer['status'], 'status')
    } catch (error) {
      this.#fresh = false
      // A run that just ended has no monitor: the warden's next list says so.
      if (!hasCode(error, 'unreachable')) {
        this.#options.log.warn({ run: runKey(this.#options.run), error: errorText(error) }, 'QEMU does not tell its state')
      }
    }
  }

  #connected(): Promise<Qmp> {
    if (this.#closed) throw new OperationError('unreachable', `the monitor of run ${runKey(this.#options.run)} was closed`)
    this.#qmp ??= this.#connect().catch((error: unknown) => {
      this.#qmp = undefined
      throw error
    })
    return this.#qmp
  }

  async #connect(): Promise<Qmp> {
    const { directory, clock, onChange } = this.#options
    const qmp = await connectQmp({ path: join(directory, AGENT_MONITOR), clock, timeoutMs: ANSWER_LIMIT_MS })
    qmp.onEvent(({ name }) => {
      if (!STATUS_EVENTS.has(name)) return
      // The guest answered the button by starting anew, or somebody reset it: what was asked is over.
      if (name === 'RESET') this.#shutdownAsked = false
      this.#fresh = false
      onChange()
    })
    qmp.onClose(() => {
      this.#qmp = undefined
      this.#fresh = false
      if (!this.#closed) onChange()
    })
    return qmp
  }
}
