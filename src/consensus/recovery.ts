// What a member finds at start: log and state were written one after the other, so a crash can leave either ahead. Mended, or refused.
import { OperationError } from '../base/errors.ts'
import { type HardState, type LoadedState, NOBODY, type SnapshotMeta, type StoredLog } from './types.ts'

export interface Recovered {
  readonly log: StoredLog
  /** Set when the log has to be written anew, to start after this point: a received snapshot got into the state, but not yet into the log. */
  readonly restart: SnapshotMeta | undefined
}

/**
 * Joins a loaded log and a loaded state. Applied entries are always in the log first and the log is cut only up to what the state holds
 * durably, so the state stands at an entry of the log or at its start, with one exception: a received snapshot goes into the state first.
 * Anything else throws `failed` with data.kind `damaged`.
 */
export function recover(log: StoredLog, state: LoadedState): Recovered {
  const { index, term } = state.meta
  const lastIndex = log.snapshot.index + log.entries.length
  if (index < log.snapshot.index) {
    throw damaged(`the state stands at entry ${index}, the log starts after ${log.snapshot.index}`, state.meta, log)
  }
  if (index <= lastIndex && termAt(log, index) === term) {
    // The commit index is only a hint (it is not synced); what is applied was committed.
    return { log: { ...log, hardState: { ...log.hardState, commit: Math.max(log.hardState.commit, index) } }, restart: undefined }
  }
  if (state.replaced) return { log: startedAt(state.meta, log.hardState), restart: state.meta }
  if (index > lastIndex) throw damaged(`the state stands at entry ${index}, the log ends at ${lastIndex}`, state.meta, log)
  throw damaged(`the state stands at entry ${index} of term ${term}, the log has term ${termAt(log, index)} there`, state.meta, log)
}

/**
 * An empty log after `meta`. The term of the snapshot may be news to this member (it was to be written with it); then it has not voted in it,
 * as votes are durable before they are sent.
 */
function startedAt(meta: SnapshotMeta, old: HardState): StoredLog {
  const sameTerm = old.term >= meta.term
  const hardState = { term: Math.max(old.term, meta.term), vote: sameTerm ? old.vote : NOBODY, commit: meta.index }
  return { hardState, snapshot: { index: meta.index, term: meta.term, conf: meta.conf }, entries: [] }
}

function termAt(log: StoredLog, index: number): number | undefined {
  if (index === log.snapshot.index) return log.snapshot.term
  return log.entries[index - log.snapshot.index - 1]?.term
}

function damaged(problem: string, meta: SnapshotMeta, log: StoredLog): OperationError {
  return new OperationError(
    'failed',
    `log and state do not belong together: ${problem}. They need repair: move both away and let this host join the mesh again as a new member`,
    {
      data: {
        kind: 'damaged',
        store: 'both',
        applied: meta.index,
        logStart: log.snapshot.index,
        logEnd: log.snapshot.index + log.entries.length,
      },
    },
  )
}
