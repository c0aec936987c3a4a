// Maps the names of the reference scenarios onto our core; other harnesses can drive the core through it as well.
import { present } from '../../src/base/assert.ts'
import { decodeConfChange } from '../../src/consensus/conf-codec.ts'
import { type DropReason } from '../../src/consensus/propose.ts'
import { DEFAULTS } from '../../src/consensus/raft-config.ts'
import { Raft } from '../../src/consensus/raft.ts'
import {
  type ConfChangeStep,
  type ConfState,
  type Entry,
  type Message,
  type Ready,
  type Role,
  type SnapshotMeta,
  type StoredLog,
} from '../../src/consensus/types.ts'

export const NAME = 'hostmesh'

export interface ScenarioConfig {
  readonly id: number
  readonly electionTick: number
  readonly heartbeatTick: number
  readonly applied: number
  readonly async?: boolean
  readonly preVote?: boolean
  readonly checkQuorum?: boolean
  readonly inflight?: number
  readonly maxCommitted?: number
  readonly noValidation?: boolean
  readonly stepDown?: boolean
  readonly lease?: boolean
  /** Ours: appends once per Ready, as the product sends them, in place of etcd's at every occasion. */
  readonly thrifty?: boolean
}

export interface ScenarioSnapshot {
  readonly index: number
  readonly term: number
  readonly data: string
  readonly conf: ConfState
}

export interface ScenarioChange {
  readonly v1: boolean
  readonly transition: 'auto' | 'implicit' | 'explicit'
  readonly changes: readonly { readonly type: 'v' | 'l' | 'r' | 'u'; readonly node: number }[]
}

/** `type`: 0 normal, 1 and 2 configuration change of that version. `data` of a change is what a state machine would see of it. */
export interface ScenarioEntry {
  readonly index: number
  readonly term: number
  readonly type: 0 | 1 | 2
  readonly data: string
  readonly raw: Entry
}

export interface ScenarioMessage {
  readonly to: number
  readonly from: number
  readonly type: string
  readonly isLocal: boolean
  readonly raw: Message
}

export interface ScenarioReady {
  readonly messages: readonly ScenarioMessage[]
  readonly committed: readonly ScenarioEntry[]
  readonly raw: Ready
}

export interface ScenarioStatus {
  readonly ID: number
  readonly Role: string
  readonly Term: number
  readonly Vote: number
  readonly Lead: number
  readonly Commit: number
  readonly Applied: number
  readonly First: number
  readonly Last: number
  readonly Voters: readonly number[]
  readonly Outgoing: readonly number[]
  readonly Learners: readonly number[]
  readonly LearnersNext: readonly number[]
  readonly AutoLeave: boolean
  readonly Log: readonly (readonly [index: number, term: number, kind: number])[]
}

export type ScenarioNode = ReturnType<typeof makeNode>

const ROLES: Readonly<Record<Role, string>> = {
  follower: 'Follower',
  'pre-candidate': 'PreCandidate',
  candidate: 'Candidate',
  leader: 'Leader',
}

const TYPES: Readonly<Record<Message['kind'], string>> = {
  'pre-vote': 'MsgPreVote',
  'pre-vote-response': 'MsgPreVoteResp',
  vote: 'MsgVote',
  'vote-response': 'MsgVoteResp',
  append: 'MsgApp',
  'append-response': 'MsgAppResp',
  heartbeat: 'MsgHeartbeat',
  'heartbeat-response': 'MsgHeartbeatResp',
  snapshot: 'MsgSnap',
  propose: 'MsgProp',
  'read-index': 'MsgReadIndex',
  'read-index-response': 'MsgReadIndexResp',
  'transfer-leader': 'MsgTransferLeader',
  'timeout-now': 'MsgTimeoutNow',
}

const STEPS: Readonly<Record<ScenarioChange['changes'][number]['type'], ConfChangeStep['kind']>> = {
  v: 'add-voter',
  l: 'add-learner',
  r: 'remove',
  u: 'update',
}

/** etcd leaves an empty entry in the log in place of a change that it refuses for one of these reasons. */
const REFUSED: readonly DropReason[] = ['pending-change', 'in-joint', 'not-joint', 'invalid-change']

/** Marks a version 1 change in the context that our own changes do not use here. */
const VERSION_1 = Uint8Array.of(1)

const NOTHING: ScenarioSnapshot = {
  index: 0,
  term: 0,
  data: '',
  conf: { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false },
}

/** A member restored from `snapshot`, with its own disk, which holds what `persist` was given. */
export function makeNode(config: ScenarioConfig, snapshot: ScenarioSnapshot | null, latestSnapshot: () => ScenarioSnapshot) {
  const start = snapshot ?? NOTHING
  const disk = new Disk(start)
  const raft = makeRaft(config, start, latestSnapshot)
  const propose = (data: Uint8Array): boolean => raft.propose(data).kind !== 'dropped'
  return {
    campaign: () => raft.campaign(),
    tick: () => raft.tick(),
    /** False if it was dropped. */
    propose: (data: string) => propose(encode(data)),
    proposeConf(change: ScenarioChange): boolean {
      const result = raft.proposeConfChange({
        transition: change.transition,
        changes: change.changes.map(({ type, node }) => ({ kind: STEPS[type], node })),
        context: change.v1 ? VERSION_1 : new Uint8Array(0),
      })
      if (result.kind === 'dropped' && REFUSED.includes(result.why)) return propose(new Uint8Array(0))
      return result.kind !== 'dropped'
    },
    transfer: (to: number) => raft.transferLeadership(to),
    forgetLeader: () => raft.forgetLeader(),
    reportUnreachable: (peer: number) => raft.reportUnreachable(peer),
    setTimeout: (ticks: number) => raft.setElectionTicks(ticks),
    /** Up to and with `index`. */
    compact(index: number): void {
      disk.compact(index)
      raft.compacted({ index })
    },
    snapshotMsg: (to: number) =>
      wrap({ kind: 'snapshot', from: config.id, to, term: raft.status().term, snapshot: toMeta(latestSnapshot()) }),
    hasReady: () => raft.hasReady(),
    ready(): ScenarioReady {
      const raw = raft.ready()
      return { messages: [...raw.messages, ...raw.messagesAfterSync].map(wrap), committed: raw.committed.map(unwrapEntry), raw }
    },
    persist: ({ raw }: ScenarioReady) => disk.save(raw),
    advance: () => raft.advance(),
    persistMsg(): never {
      throw new Error('async storage writes are not built')
    },
    applyConfChange: (entry: ScenarioEntry): ConfState => raft.applyConfChange(decodeConfChange(entry.raw.data)),
    step: (message: ScenarioMessage) => raft.step(message.raw),
    status(): ScenarioStatus {
      const { id, role, term, vote, leader, commitIndex, appliedIndex, conf } = raft.status()
      return {
        ID: id,
        Role: ROLES[role],
        Term: term,
        Vote: vote,
        Lead: leader,
        Commit: commitIndex,
        Applied: appliedIndex,
        First: disk.first,
        Last: disk.last,
        Voters: conf.voters,
        Outgoing: conf.outgoing,
        Learners: conf.learners,
        LearnersNext: conf.learnersNext,
        // etcd reports a copy of its configuration that leaves this field out, so it is false in every reference state.
        AutoLeave: false,
        Log: disk.entries.map((entry) => [entry.index, entry.term, versionOf(entry)] as const),
      }
    },
  }
}

function makeRaft(config: ScenarioConfig, start: ScenarioSnapshot, latestSnapshot: () => ScenarioSnapshot): Raft {
  const stored: StoredLog = { hardState: { term: 0, vote: 0, commit: start.index }, snapshot: start, entries: [] }
  const unlimited = Number.MAX_SAFE_INTEGER
  return new Raft(
    {
      ...DEFAULTS,
      id: config.id,
      electionTicks: config.electionTick,
      heartbeatTicks: config.heartbeatTick,
      random: () => 0,
      snapshot: () => toMeta(latestSnapshot()),
      preVote: config.preVote ?? false,
      checkQuorum: config.checkQuorum ?? false,
      stepDownOnRemoval: config.stepDown ?? false,
      maxInflightMessages: config.inflight ?? unlimited,
      maxInflightBytes: unlimited,
      maxMessageBytes: unlimited,
      maxCommittedBytes: config.maxCommitted ?? unlimited,
      maxUncommittedBytes: unlimited,
      validateConfChanges: !(config.noValidation ?? false),
      thrifty: config.thrifty ?? false,
      forwardProposals: true,
    },
    stored,
  )
}

/** What a disk would hold: the log behind its last snapshot or compaction. */
class Disk {
  #before: number
  #entries: Entry[] = []

  constructor(snapshot: Pick<SnapshotMeta, 'index'>) {
    this.#before = snapshot.index
  }

  get first(): number {
    return this.#before + 1
  }

  get last(): number {
    return this.#before + this.#entries.length
  }

  get entries(): readonly Entry[] {
    return this.#entries
  }

  save(ready: Ready): void {
    if (ready.snapshot !== undefined) {
      this.#before = ready.snapshot.index
      this.#entries = []
    }
    const first = ready.entries[0]
    if (first !== undefined) this.#entries = [...this.#entries.slice(0, first.index - this.first), ...ready.entries]
  }

  compact(index: number): void {
    this.#entries = this.#entries.slice(index - this.#before)
    this.#before = index
  }
}

function wrap(raw: Message): ScenarioMessage {
  return { to: raw.to, from: raw.from, type: present(TYPES[raw.kind], `name of ${raw.kind}`), isLocal: false, raw }
}

function unwrapEntry(raw: Entry): ScenarioEntry {
  const type = versionOf(raw)
  return { index: raw.index, term: raw.term, type, data: type === 0 ? new TextDecoder().decode(raw.data) : '', raw }
}

function versionOf(entry: Entry): 0 | 1 | 2 {
  if (entry.kind === 'normal') return 0
  return decodeConfChange(entry.data).context.length === VERSION_1.length ? 1 : 2
}

function toMeta({ index, term, conf }: ScenarioSnapshot): SnapshotMeta {
  return { index, term, conf }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
