// The rules of a host's runs, pure: what the records of its ledger add up to, and which start is allowed. The warden keeps them on disk
// (host/run-ledger.ts), the fake driver in memory.
import { type Reason } from '../base/errors.ts'
import { type VmId } from '../base/ids.ts'
import { compareEpoch, formatEpoch } from '../inventory/view.ts'
import { type Epoch, type StopIntent } from '../inventory/model.ts'
import { type Run } from './driver.ts'

/** One line of the ledger. `at`: milliseconds since 1970, for people; no rule reads it. */
export type LedgerRecord = { readonly vm: VmId; readonly epoch: Epoch; readonly at: number } & (
  | { readonly kind: 'start'; readonly directory: string; readonly bootId: string }
  | { readonly kind: 'spawned'; readonly pid: number; readonly startTicks: number }
  | { readonly kind: 'stop'; readonly intent: StopIntent; readonly words: string }
  | ({ readonly kind: 'gone' } & Exit)
  | { readonly kind: 'forget' }
  /** Written when the ledger is rewritten: what its older lines said of this VM's epochs. */
  | { readonly kind: 'highest' }
)

/** How a process ended. `intent` is what the exit alone tells; an intent that was noted before wins. */
export interface Exit {
  readonly intent: StopIntent
  readonly exitCode: number | null
  readonly signal: string | null
  /** The last words of QEMU, or of whoever ended it, for people. */
  readonly words: string
}

/** `live` until its process is known to be gone; `noted` is the intent of an end that is under way. */
export type LedgerRun = Run &
  (
    | {
        readonly kind: 'live'
        readonly startedAt: number
        readonly directory: string
        readonly bootId: string
        readonly process: { readonly pid: number; readonly startTicks: number } | null
        readonly noted: { readonly intent: StopIntent; readonly words: string } | null
      }
    | ({ readonly kind: 'ended'; readonly endedAt: number } & Exit)
  )

export interface Ledger {
  /** By runKey, until they are forgotten. */
  readonly runs: ReadonlyMap<string, LedgerRun>
  /** The newest epoch of each VM that was ever started or ended here; it outlives the run. */
  readonly highest: ReadonlyMap<VmId, Epoch>
}

export const EMPTY_LEDGER: Ledger = { runs: new Map(), highest: new Map() }

/** Names one run, on disk too: `VM-GENERATION.COUNTER`. */
export function runKey(run: Run): string {
  return `${run.vm}-${formatEpoch(run.epoch)}`
}

/**
 * Why this run must not start, or null. The one place of "at most one start per (vm, epoch)": every epoch that was started or ended here,
 * and every older one, stays refused for ever, also after `forget`.
 */
export function startRefusal(ledger: Ledger, run: Run): Reason | null {
  const newest = ledger.highest.get(run.vm)
  if (newest !== undefined && compareEpoch(run.epoch, newest) <= 0) {
    return {
      code: 'epoch-used',
      message: `VM ${run.vm} cannot start in epoch ${formatEpoch(run.epoch)}: this host has seen a start or an end of epoch ${formatEpoch(newest)}`,
      fix: 'the owner has to be assigned anew, in a newer epoch',
    }
  }
  for (const other of ledger.runs.values()) {
    if (other.vm === run.vm && other.kind === 'live') {
      return {
        code: 'still-live',
        message: `VM ${run.vm} cannot start in epoch ${formatEpoch(run.epoch)}: its run of epoch ${formatEpoch(other.epoch)} is still live here`,
        fix: 'end that run first',
      }
    }
  }
  return null
}

/** The state after all records. */
export function foldRecords(records: Iterable<LedgerRecord>): Ledger {
  let ledger = EMPTY_LEDGER
  for (const record of records) ledger = applyRecord(ledger, record)
  return ledger
}

/** The state after one more record: `ledger` itself where the record changes nothing. */
export function applyRecord(ledger: Ledger, record: LedgerRecord): Ledger {
  const key = runKey(record)
  const before = ledger.runs.get(key)
  const after = runAfter(before, record, ledger.highest.get(record.vm))
  const runs = changed(ledger.runs, key, before, after)
  const highest = raised(ledger.highest, record)
  return runs === ledger.runs && highest === ledger.highest ? ledger : { runs, highest }
}

/** The fewest records that add up to this state: what a rewritten ledger holds. */
export function recordsOf(ledger: Ledger): LedgerRecord[] {
  const marks = [...ledger.highest].map(([vm, epoch]): LedgerRecord => ({ kind: 'highest', vm, epoch, at: 0 }))
  return [...[...ledger.runs.values()].flatMap(recordsOfRun), ...marks]
}

function recordsOfRun(run: LedgerRun): LedgerRecord[] {
  const { vm, epoch } = run
  if (run.kind === 'ended') {
    const { intent, exitCode, signal, words } = run
    return [{ kind: 'gone', vm, epoch, at: run.endedAt, intent, exitCode, signal, words }]
  }
  const at = run.startedAt
  const records: LedgerRecord[] = [{ kind: 'start', vm, epoch, at, directory: run.directory, bootId: run.bootId }]
  if (run.process !== null) records.push({ kind: 'spawned', vm, epoch, at, ...run.process })
  if (run.noted !== null) records.push({ kind: 'stop', vm, epoch, at, ...run.noted })
  return records
}

/** undefined: no such run (any more). */
function runAfter(run: LedgerRun | undefined, record: LedgerRecord, newest: Epoch | undefined): LedgerRun | undefined {
  const { vm, epoch, at } = record
  switch (record.kind) {
    case 'start': {
      const { directory, bootId } = record
      return { kind: 'live', vm, epoch, startedAt: at, directory, bootId, process: null, noted: null }
    }
    case 'spawned':
      return run?.kind === 'live' ? { ...run, process: { pid: record.pid, startTicks: record.startTicks } } : run
    case 'stop':
      return stopped(run, record, newest)
    case 'gone':
      return gone(run, record)
    case 'forget':
      // A live run cannot be forgotten: nobody would end it any more.
      return run?.kind === 'live' ? run : undefined
    case 'highest':
      return run
  }
}

/** A run that never started ends here and now: the note alone keeps its epoch from ever starting. The first intent noted stays. */
function stopped(run: LedgerRun | undefined, record: LedgerRecord & { kind: 'stop' }, newest: Epoch | undefined): LedgerRun | undefined {
  const { vm, epoch, at, intent, words } = record
  if (run?.kind === 'live') return run.noted === null ? { ...run, noted: { intent, words } } : run
  const forgotten = run === undefined && newest !== undefined && compareEpoch(epoch, newest) <= 0
  if (run !== undefined || forgotten) return run
  return { kind: 'ended', vm, epoch, endedAt: at, intent, exitCode: null, signal: null, words }
}

function gone(run: LedgerRun | undefined, record: LedgerRecord & { kind: 'gone' }): LedgerRun {
  if (run?.kind === 'ended') return run
  const { vm, epoch, at, exitCode, signal } = record
  const intent = run?.noted?.intent ?? record.intent
  const words = [run?.noted?.words ?? '', record.words].find((text) => text !== '') ?? ''
  return { kind: 'ended', vm, epoch, endedAt: at, intent, exitCode, signal, words }
}

function changed(
  runs: Ledger['runs'],
  key: string,
  before: LedgerRun | undefined,
  after: LedgerRun | undefined,
): ReadonlyMap<string, LedgerRun> {
  if (before === after) return runs
  const copy = new Map(runs)
  if (after === undefined) copy.delete(key)
  else copy.set(key, after)
  return copy
}

function raised(highest: Ledger['highest'], record: LedgerRecord): ReadonlyMap<VmId, Epoch> {
  const known = highest.get(record.vm)
  if (known !== undefined && compareEpoch(record.epoch, known) <= 0) return highest
  return new Map(highest).set(record.vm, record.epoch)
}
