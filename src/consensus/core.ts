// The state of one member, shared by the files of the core, and the one way by which its messages leave.
import { assert } from '../base/assert.ts'
import { confProblem, members } from './config-change.ts'
import { Holdings } from './holdings.ts'
import { type RaftConfig } from './raft-config.ts'
import { RaftLog } from './raft-log.ts'
import { ReadRounds } from './read-index.ts'
import { Tracker } from './tracker.ts'
import { type ConfState, type Message, NOBODY, type NodeId, type ReadState, type Role, type StoredLog } from './types.ts'

/** Everything is changed in place, by the functions of this folder only. Names as in etcd and in figure 2 of the paper. */
export interface Core {
  readonly id: NodeId
  readonly config: RaftConfig
  readonly log: RaftLog
  readonly tracker: Tracker
  readonly reads: ReadRounds
  readonly holdings: Holdings
  term: number
  vote: NodeId
  role: Role
  leader: NodeId
  /** Ticks since the last election time-out began: since the leader was heard of, the vote was given, or the quorum was checked. */
  electionElapsed: number
  heartbeatElapsed: number
  /** Drawn anew at every change of role, so that two candidates do not collide for ever (section 5.2). */
  randomizedElectionTicks: number
  /** Whom leadership is being handed to, or NOBODY. No proposals meanwhile. */
  transferTarget: NodeId
  /** As of the last entry that was applied. The tracker's, but while a received snapshot is not yet applied: that one's counts already. */
  appliedConf: ConfState
  /** No configuration change may be proposed before this index is applied: an earlier one may stand at or before it. */
  pendingConfIndex: number
  /** Data of the leader's entries that are not applied yet, about. */
  uncommittedBytes: number
  /** Appends are due to every follower with the next Ready. */
  appendsDue: boolean
  /** May leave at once. */
  messages: Message[]
  /** Promises about what is on this member's disk: votes and acknowledgements, also to itself. */
  messagesAfterSync: Message[]
  readStates: ReadState[]
}

/** A message without its envelope. */
export type MessageBody = Message extends infer M ? (M extends Message ? Omit<M, 'from' | 'to' | 'term'> : never) : never

export function createCore(config: RaftConfig, stored: StoredLog): Core {
  const conf = config.conf ?? stored.snapshot.conf
  const problem = confProblem(conf)
  assert(problem === undefined, `raft: the configuration at start is not possible: ${problem}`)
  // A newcomer must get the first configuration by snapshot, as no entry of the log holds it.
  assert(stored.snapshot.index > 0 || members(stored.snapshot.conf).length === 0, 'raft: a configuration at index 0 cannot reach newcomers')
  return {
    id: config.id,
    config,
    log: new RaftLog(stored, config.applied ?? stored.snapshot.index),
    tracker: new Tracker(conf, config),
    appliedConf: conf,
    reads: new ReadRounds(),
    holdings: new Holdings(),
    term: stored.hardState.term,
    vote: stored.hardState.vote,
    role: 'follower',
    leader: NOBODY,
    electionElapsed: 0,
    heartbeatElapsed: 0,
    randomizedElectionTicks: drawElectionTicks(config),
    transferTarget: NOBODY,
    pendingConfIndex: 0,
    uncommittedBytes: 0,
    appendsDue: false,
    messages: [],
    messagesAfterSync: [],
    readStates: [],
  }
}

/** In [electionTicks, 2 * electionTicks - 1]. */
export function drawElectionTicks(config: RaftConfig): number {
  return config.electionTicks + Math.floor(config.random() * config.electionTicks)
}

/** `term` differs from the member's own in the messages of elections only, and is 0 in requests that a leader of any term may answer. */
export function send(core: Core, to: NodeId, body: MessageBody, term = core.term): void {
  const message: Message = { ...body, from: core.id, to, term }
  if (isPromise(body)) {
    core.messagesAfterSync.push(message)
  } else {
    assert(to !== core.id, `raft: ${body.kind} to itself`)
    core.messages.push(message)
  }
}

/** True if an entry of the leader's own term is committed: only then its commit index is the newest there is (section 5.4.2; thesis, 6.4). */
export function committedOwnTerm(core: Core): boolean {
  return core.log.term(core.log.committed) === core.term
}

/** Rejections wait for the sync too: they may rest on a vote or an entry that is not on disk yet. */
function isPromise({ kind }: MessageBody): boolean {
  return kind === 'append-response' || kind === 'vote-response' || kind === 'pre-vote-response'
}
