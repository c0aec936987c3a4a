// Changes of the configuration, pure: simple ones, entering and leaving joint consensus (paper, section 6; thesis, section 4.3).
import { type ConfChange, type ConfChangeStep, type ConfState, type NodeId } from './types.ts'

export type ChangedConf = { readonly kind: 'changed'; readonly conf: ConfState } | { readonly kind: 'invalid'; readonly why: string }

export const NO_MEMBERS: ConfState = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false }

/** The configuration after `change`, or why there is none. Members come out sorted. */
export function changeConf(conf: ConfState, change: ConfChange): ChangedConf {
  if (leavesJoint(change)) return leaveJoint(conf)
  const entersJoint = change.transition !== 'auto' || change.changes.length > 1
  return entersJoint ? enterJoint(conf, change) : simple(conf, change)
}

export function isJoint(conf: Pick<ConfState, 'outgoing'>): boolean {
  return conf.outgoing.length > 0
}

/** The empty change, whatever its context. */
export function leavesJoint(change: Pick<ConfChange, 'transition' | 'changes'>): boolean {
  return change.transition === 'auto' && change.changes.length === 0
}

/** Everyone in it, sorted. learnersNext are voters of the outgoing half. */
export function members(conf: ConfState): NodeId[] {
  return sorted(new Set([...conf.voters, ...conf.outgoing, ...conf.learners]))
}

export function isVoter(conf: ConfState, id: NodeId): boolean {
  return conf.voters.includes(id) || conf.outgoing.includes(id)
}

/** What no configuration may be: a learner that votes, a staged learner that leaves no voters, leftovers of a joint one. Undefined if sound. */
export function confProblem(conf: ConfState): string | undefined {
  const votingLearner = conf.learners.find((id) => isVoter(conf, id))
  if (votingLearner !== undefined) return `${votingLearner} is a learner and a voter`
  const unstaged = conf.learnersNext.find((id) => !conf.outgoing.includes(id))
  if (unstaged !== undefined) return `${unstaged} is to become a learner but is no outgoing voter`
  const revived = conf.learnersNext.find((id) => conf.voters.includes(id))
  if (revived !== undefined) return `${revived} is to become a learner and stays a voter`
  if (!isJoint(conf) && conf.autoLeave) return 'it is to be left by itself but is not joint'
  if (conf.voters.length === 0 && members(conf).length > 0) return 'it has members but no voters'
  return undefined
}

function simple(conf: ConfState, change: ConfChange): ChangedConf {
  if (isJoint(conf)) return invalid('a simple change within a joint configuration')
  const draft = toDraft(conf)
  for (const step of change.changes) applyStep(draft, step)
  const changed =
    [...draft.voters].filter((id) => !conf.voters.includes(id)).length + conf.voters.filter((id) => !draft.voters.has(id)).length
  if (changed > 1) return invalid(`${changed} voters changed without joint consensus`)
  return finish(draft)
}

function enterJoint(conf: ConfState, change: ConfChange): ChangedConf {
  if (isJoint(conf)) return invalid('the configuration is joint already')
  if (conf.voters.length === 0) return invalid('a configuration without voters cannot become joint')
  const draft = toDraft(conf)
  draft.outgoing = new Set(conf.voters)
  for (const step of change.changes) applyStep(draft, step)
  draft.autoLeave = change.transition !== 'explicit'
  return finish(draft)
}

function leaveJoint(conf: ConfState): ChangedConf {
  if (!isJoint(conf)) return invalid('the configuration is not joint')
  const draft = toDraft(conf)
  for (const id of draft.learnersNext) draft.learners.add(id)
  return finish({ ...draft, learnersNext: new Set(), outgoing: new Set(), autoLeave: false })
}

interface Draft {
  readonly voters: Set<NodeId>
  outgoing: Set<NodeId>
  readonly learners: Set<NodeId>
  readonly learnersNext: Set<NodeId>
  autoLeave: boolean
}

function toDraft(conf: ConfState): Draft {
  return {
    voters: new Set(conf.voters),
    outgoing: new Set(conf.outgoing),
    learners: new Set(conf.learners),
    learnersNext: new Set(conf.learnersNext),
    autoLeave: conf.autoLeave,
  }
}

/** Changes touch the incoming half only; the outgoing one stays as it was. */
function applyStep(draft: Draft, step: ConfChangeStep): void {
  if (step.kind === 'update' || (step.kind === 'add-learner' && draft.learners.has(step.node))) return
  draft.voters.delete(step.node)
  draft.learners.delete(step.node)
  draft.learnersNext.delete(step.node)
  if (step.kind === 'add-voter') draft.voters.add(step.node)
  // A voter of the outgoing half still votes: it becomes a learner when that half goes.
  if (step.kind === 'add-learner') (draft.outgoing.has(step.node) ? draft.learnersNext : draft.learners).add(step.node)
}

function finish(draft: Draft): ChangedConf {
  if (draft.voters.size === 0) return invalid('no voter would be left')
  const conf: ConfState = {
    voters: sorted(draft.voters),
    outgoing: sorted(draft.outgoing),
    learners: sorted(draft.learners),
    learnersNext: sorted(draft.learnersNext),
    autoLeave: draft.autoLeave,
  }
  const problem = confProblem(conf)
  return problem === undefined ? { kind: 'changed', conf } : invalid(problem)
}

function invalid(why: string): ChangedConf {
  return { kind: 'invalid', why }
}

function sorted(ids: ReadonlySet<NodeId>): NodeId[] {
  return [...ids].sort((a, b) => a - b)
}
