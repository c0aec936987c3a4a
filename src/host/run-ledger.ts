// This host's run ledger on disk: JSON lines, flushed before anything is done that they record, so that no crash makes a run start twice.
import { open, type FileHandle } from 'node:fs/promises'
import { errorText, OperationError } from '../base/errors.ts'
import { asCount, asFields, asOneOf, asText, orNull, parseJson } from '../base/parse.ts'
import { type StopIntent } from '../inventory/model.ts'
import { PRIVATE_FILE, readTextIfExists, writeAtomic } from '../system/files.ts'
import { type Run } from '../vm/driver.ts'
import { applyRecord, foldRecords, recordsOf, runKey, startRefusal, type Exit, type Ledger, type LedgerRecord } from '../vm/run-rules.ts'
import { parseRun, STOP_INTENTS } from '../vm/warden-protocol.ts'

/** Raised with every new kind or field of a record; a ledger of another version is not opened, nothing in it is skipped. */
const LEDGER_VERSION = 1
const HEADER = `${JSON.stringify({ kind: 'ledger', version: LEDGER_VERSION })}\n`

/** Some 5,000 lines: read in a few ms at start, rewritten about once in a thousand starts. */
const REWRITE_AT_BYTES = 1024 * 1024

export interface LedgerOptions {
  readonly path: string
  /** Milliseconds since 1970, for the records. */
  readonly wall: () => number
  readonly rewriteAtBytes?: number
}

/** One writer: whoever opens it holds the warden's lock. Its methods may be called at any time and act one after the other. */
export class RunLedger {
  readonly #path: string
  readonly #wall: () => number
  readonly #rewriteAtBytes: number
  #state: Ledger
  #file: FileHandle
  #sizeBytes: number
  /** A failed write leaves an unknown tail: then the next record rewrites the whole file before it counts. */
  #damaged = false
  #turn: Promise<unknown> = Promise.resolve()

  /**
   * Reads and rewrites the file. A torn last line was never acted upon and is dropped; damage before it throws `failed`, because what is
   * lost there may be a start.
   */
  static async open(options: LedgerOptions): Promise<RunLedger> {
    const text = (await readTextIfExists(options.path)) ?? ''
    const state = foldRecords(parseLedger(text, options.path))
    const written = await rewritten(options.path, state)
    return new RunLedger(options, state, written)
  }

  private constructor(options: LedgerOptions, state: Ledger, written: Written) {
    this.#path = options.path
    this.#wall = options.wall
    this.#rewriteAtBytes = options.rewriteAtBytes ?? REWRITE_AT_BYTES
    this.#state = state
    this.#file = written.file
    this.#sizeBytes = written.sizeBytes
  }

  get state(): Ledger {
    return this.#state
  }

  /** Notes a start, before it is done. Throws `conflict` when the rules refuse it. */
  start(run: Run, directory: string, bootId: string): Promise<void> {
    return this.#inTurn(async () => {
      this.#demandStartable(run)
      await this.#note({ kind: 'start', ...at(run, this.#wall()), directory, bootId })
    })
  }

  /** Notes the process of a started run, for a warden that comes after this one. */
  spawned(run: Run, pid: number, startTicks: number): Promise<void> {
    return this.#inTurn(() => this.#note({ kind: 'spawned', ...at(run, this.#wall()), pid, startTicks }))
  }

  /** Notes that a run which never started has ended by `start-failed`. Throws `conflict` when its epoch was used. */
  reject(run: Run, words: string): Promise<void> {
    return this.#inTurn(async () => {
      this.#demandStartable(run)
      await this.#note({ kind: 'stop', ...at(run, this.#wall()), intent: 'start-failed', words })
    })
  }

  /** Notes why a run is about to be ended. Without effect on one that ended already, or whose end was noted with another intent. */
  stop(run: Run, intent: StopIntent, words: string): Promise<void> {
    return this.#inTurn(async () => {
      const record: LedgerRecord = { kind: 'stop', ...at(run, this.#wall()), intent, words }
      if (applyRecord(this.#state, record) !== this.#state) await this.#note(record)
    })
  }

  /**
   * Notes that a run's process is gone. That is a fact, not a plan: it counts even where the disk refuses it (then a later warden finds a
   * start without end, which ends the run as well).
   */
  gone(run: Run, exit: Exit): Promise<void> {
    return this.#inTurn(async () => {
      const record: LedgerRecord = { kind: 'gone', ...at(run, this.#wall()), ...exit }
      this.#state = applyRecord(this.#state, record)
      await this.#write(record)
    })
  }

  /** Drops an ended run; its epoch stays refused. Throws `conflict` while it is live. */
  forget(run: Run): Promise<void> {
    return this.#inTurn(async () => {
      const known = this.#state.runs.get(runKey(run))
      if (known === undefined) return
      if (known.kind === 'live') throw new OperationError('conflict', `run ${runKey(run)} is live and cannot be forgotten`)
      await this.#note({ kind: 'forget', ...at(run, this.#wall()) })
    })
  }

  /** After what was noted so far. Repeatable. */
  close(): Promise<void> {
    return this.#inTurn(() => this.#file.close())
  }

  #demandStartable(run: Run): void {
    const refusal = startRefusal(this.#state, run)
    if (refusal !== null) throw new OperationError('conflict', refusal.message, { reasons: [refusal] })
  }

  /** Durable first; a record that could not be written did not happen. */
  async #note(record: LedgerRecord): Promise<void> {
    const after = applyRecord(this.#state, record)
    await this.#write(record, after)
    this.#state = after
  }

  async #write(record: LedgerRecord, after = this.#state): Promise<void> {
    try {
      if (this.#damaged || this.#sizeBytes >= this.#rewriteAtBytes) await this.#rewrite(after)
      else await this.#append(`${JSON.stringify(record)}\n`)
    } catch (cause) {
      this.#damaged = true
      throw new OperationError('failed', `the run ledger ${this.#path} cannot be written: ${errorText(cause)}`, { cause })
    }
  }

  async #append(line: string): Promise<void> {
    await this.#file.appendFile(line)
    await this.#file.datasync()
    this.#sizeBytes += line.length
  }

  async #rewrite(state: Ledger): Promise<void> {
    const written = await rewritten(this.#path, state)
    await this.#file.close()
    this.#file = written.file
    this.#sizeBytes = written.sizeBytes
    this.#damaged = false
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    // The next one's turn comes whatever became of this one, whose caller has the error.
    this.#turn = mine.catch(() => {})
    return mine
  }
}

interface Written {
  readonly file: FileHandle
  readonly sizeBytes: number
}

async function rewritten(path: string, state: Ledger): Promise<Written> {
  const text =
    HEADER +
    recordsOf(state)
      .map((record) => `${JSON.stringify(record)}\n`)
      .join('')
  await writeAtomic(path, text)
  return { file: await open(path, 'a', PRIVATE_FILE), sizeBytes: text.length }
}

/** The records of a ledger file, without a torn last line. Throws `failed` naming the line that cannot be read. */
export function parseLedger(text: string, path: string): readonly LedgerRecord[] {
  const lines = text.split('\n')
  // What follows the last line end was never flushed as a whole.
  lines.pop()
  const [header, ...records] = lines
  if (header === undefined) return []
  if (`${header}\n` !== HEADER) throw unreadable(path, 1, `expected ${HEADER.trim()}`)
  return records.map((line, index) => {
    try {
      return parseRecord(line)
    } catch (cause) {
      throw unreadable(path, index + 2, errorText(cause))
    }
  })
}

function unreadable(path: string, line: number, why: string): OperationError {
  return new OperationError(
    'failed',
    `the run ledger ${path} cannot be read, line ${line}: ${why}. It says which VMs were started here: restore it, or remove this host from the mesh and let it join anew`,
  )
}

const KINDS = ['start', 'spawned', 'stop', 'gone', 'forget', 'highest'] as const

function parseRecord(line: string): LedgerRecord {
  const fields = asFields(parseJson(line, 'the record'), 'the record')
  const kind = asOneOf(fields['kind'], KINDS, 'kind')
  const common = { ...parseRun(fields), at: asCount(fields['at'], 'at') }
  switch (kind) {
    case 'start':
      return { kind, ...common, directory: asText(fields['directory'], 'directory'), bootId: asText(fields['bootId'], 'bootId') }
    case 'spawned':
      return { kind, ...common, pid: asCount(fields['pid'], 'pid'), startTicks: asCount(fields['startTicks'], 'startTicks') }
    case 'stop':
      return { kind, ...common, intent: asOneOf(fields['intent'], STOP_INTENTS, 'intent'), words: asText(fields['words'], 'words') }
    case 'gone':
      return {
        kind,
        ...common,
        intent: asOneOf(fields['intent'], STOP_INTENTS, 'intent'),
        exitCode: orNull(fields['exitCode'], 'exitCode', asCount),
        signal: orNull(fields['signal'], 'signal', asText),
        words: asText(fields['words'], 'words'),
      }
    case 'forget':
    case 'highest':
      return { kind, ...common }
  }
}

function at(run: Run, wallMs: number): { readonly vm: Run['vm']; readonly epoch: Run['epoch']; readonly at: number } {
  return { vm: run.vm, epoch: run.epoch, at: Math.floor(wallMs) }
}
