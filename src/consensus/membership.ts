// A configuration change takes effect when its entry is applied, on every member for itself.
import { BugError } from '../base/assert.ts'
import { changeConf } from './config-change.ts'
import { type Core } from './core.ts'
import { bcastAppend, maybeCommit, maybeSendAppend } from './replication.ts'
import { becomeFollower } from './roles.ts'
import { type ConfChange, type ConfState, NOBODY } from './types.ts'

/** Null: the state machine refused it, the configuration stays. Throws a BugError for a change that the leader's checks should have refused. */
export function applyConfChange(core: Core, change: ConfChange | null): ConfState {
  if (change === null) return core.appliedConf
  const changed = changeConf(core.appliedConf, change)
  if (changed.kind === 'invalid') throw new BugError(`raft: a committed configuration change cannot be applied: ${changed.why}`)
  core.appliedConf = changed.conf
  // A snapshot that came while this entry was being applied has the last word on who counts.
  if (core.log.pendingSnapshot === undefined) switchToConfig(core, changed.conf)
  return changed.conf
}

function switchToConfig(core: Core, conf: ConfState): void {
  core.tracker.switchTo(conf, core.log.lastIndex)
  if (core.role === 'follower') return
  if (!core.tracker.isVoter(core.id)) {
    // As leader it has managed the others up to the commit of its own removal (section 6), and that is now. A candidate learns of such a commit
    // with the votes it asked for; who is no voter must not win by the others.
    if (core.role !== 'leader' || core.config.stepDownOnRemoval) becomeFollower(core, core.term, NOBODY)
    return
  }
  if (core.role !== 'leader') return
  // Fewer voters may mean that more is committed; new ones need not wait for the next heartbeat.
  if (maybeCommit(core)) bcastAppend(core)
  else for (const id of core.tracker.progress.keys()) if (id !== core.id) maybeSendAppend(core, id, { evenIfEmpty: false })
  if (core.transferTarget !== NOBODY && !core.tracker.isVoter(core.transferTarget)) core.transferTarget = NOBODY
}
