// What the core hands out to be done, and what it learns when that is done.
import { assert, present } from '../base/assert.ts'
import { type Core } from './core.ts'
import { maybeAutoLeave } from './propose.ts'
import { beginReads, readsDue } from './reads.ts'
import { reduceUncommitted, sendAppends } from './replication.ts'
import { step } from './step.ts'
import { type HardState, type Message, type Ready } from './types.ts'

/** One Ready at a time, so at most one write is under way and each later one overwrites what it must. */
export class ReadyLoop {
  readonly #core: Core
  #saved: HardState
  #inFlight: Ready | undefined
  /** The member's promises to itself: its own vote and acknowledgements, kept until what they promise is on disk. */
  #ownMessages: readonly Message[] = []

  constructor(core: Core) {
    this.#core = core
    this.#saved = hardState(core)
  }

  hasReady(): boolean {
    const { log, messages, messagesAfterSync, readStates, appendsDue } = this.#core
    return (
      messages.length > 0 ||
      messagesAfterSync.length > 0 ||
      appendsDue ||
      log.hasUnsaved() ||
      log.hasCommitted() ||
      readStates.length > 0 ||
      log.pendingSnapshot !== this.#inFlight?.snapshot ||
      !sameHardState(hardState(this.#core), this.#saved) ||
      readsDue(this.#core)
    )
  }

  take(): Ready {
    assert(this.#inFlight === undefined, 'raft: a Ready was asked for while another is in flight')
    const core = this.#core
    if (core.appendsDue) sendAppends(core)
    beginReads(core)
    const state = hardState(core)
    const entries = core.log.takeUnsaved()
    const snapshot = core.log.pendingSnapshot
    const ready: Ready = {
      hardState: sameHardState(state, this.#saved) ? undefined : state,
      entries,
      snapshot,
      messages: core.messages,
      messagesAfterSync: core.messagesAfterSync.filter(({ to }) => to !== core.id),
      committed: core.log.takeCommitted(core.config.maxCommittedBytes),
      readStates: core.readStates,
      // The commit index alone is a hint that a restart can do without.
      mustSync: entries.length > 0 || snapshot !== undefined || state.term !== this.#saved.term || state.vote !== this.#saved.vote,
    }
    this.#ownMessages = core.messagesAfterSync.filter(({ to }) => to === core.id)
    this.#saved = state
    this.#inFlight = ready
    core.messages = []
    core.messagesAfterSync = []
    core.readStates = []
    return ready
  }

  /** The own promises first, as they may commit entries; then what was applied, which may end a joint configuration. */
  advance(): void {
    const core = this.#core
    const ready = present(this.#inFlight, 'Ready in flight')
    this.#inFlight = undefined
    for (const message of this.#ownMessages) step(core, message)
    if (ready.snapshot !== undefined) {
      core.log.snapshotApplied(ready.snapshot)
      core.appliedConf = ready.snapshot.conf
    }
    const last = ready.committed.at(-1)
    if (last !== undefined) {
      core.log.appliedTo(last.index)
      reduceUncommitted(core, ready.committed)
    }
    if (ready.snapshot !== undefined || last !== undefined) maybeAutoLeave(core)
  }
}

function hardState(core: Core): HardState {
  return { term: core.term, vote: core.vote, commit: core.log.committed }
}

function sameHardState(a: HardState, b: HardState): boolean {
  return a.term === b.term && a.vote === b.vote && a.commit === b.commit
}
