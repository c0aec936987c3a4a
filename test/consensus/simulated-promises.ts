// The promises of Raft over a whole simulated group (paper, figure 3; thesis, chapters 3, 4 and 6), checked against everything its members ever
// said, saved and applied. Counted and compared the slow way: what is judged must not be its own judge.
import { present } from '../../src/base/assert.ts'
import { type ProposeResult } from '../../src/consensus/propose.ts'
import { type RaftStatus } from '../../src/consensus/raft.ts'
import {
  type ConfState,
  type Entry,
  type Message,
  NOBODY,
  type NodeId,
  type ReadState,
  type SnapshotMeta,
} from '../../src/consensus/types.ts'
import { type Coverage } from './simulated-coverage.ts'
import { type SimulatedMember, type Witness } from './simulated-member.ts'

export type Check =
  | 'election safety'
  | 'one vote per term'
  | 'log matching'
  | 'leader completeness'
  | 'state machine safety'
  | 'monotonic term'
  | 'monotonic commit'
  | 'commit quorum'
  | 'durable before acknowledged'
  | 'stale read'
  | 'overlapping configurations'
  | 'equal snapshots'
  | 'liveness'
  | 'pre-vote changes nothing'
  | 'lease'
  | 'quorum check'
  | 'transfer to a complete log'
  | 'transfer aborted'
  | 'forgotten leader'
  | 'limits'
  | 'step-down on removal'

/** A broken promise. */
export class Violation extends Error {
  override name = 'Violation'
  readonly check: Check

  constructor(check: Check, what: string) {
    super(`${check}: ${what}`)
    this.check = check
  }
}

function demand(condition: boolean, check: Check, what: () => string): asserts condition {
  if (!condition) throw new Violation(check, what())
}

interface Life {
  readonly raft: object
  readonly term: number
  readonly commit: number
}

interface Conf {
  /** Of the entry that made it. */
  readonly index: number
  readonly conf: ConfState
}

interface Committed {
  readonly term: number
  readonly text: string
  /** The term of the leader that committed it: those elected in earlier terms, however late they hear of it, need not have it. */
  readonly inTerm: number
}

/** What one member has seen of the others, in its own ticks. */
interface Hearing {
  ticks: number
  /** When it last heard of its leader. */
  leaderAt: number
  /** Since when the quorum check runs without a break: leadership, change of configuration, transfer. */
  since: number
  /** When it was last asked to hand leadership over. */
  transferAt: number
  readonly answeredAt: Map<NodeId, number>
}

export class Promises implements Witness {
  readonly #coverage: Coverage
  readonly #member: (id: NodeId) => SimulatedMember
  readonly #post: (message: Message) => void
  /** All facts, of all members and all their lives. */
  readonly #leaderOf = new Map<number, NodeId>()
  readonly #votes = new Map<string, NodeId>()
  readonly #forced = new Set<number>()
  readonly #entries = new Map<string, { readonly text: string; readonly before: number }>()
  readonly #committed = new Map<number, Committed>()
  readonly #sums = new Map<number, number>()
  readonly #confs: Conf[]
  readonly #lives = new Map<NodeId, Life>()
  readonly #durableTerms = new Map<NodeId, number>()
  readonly #hearings = new Map<NodeId, Hearing>()
  readonly #proposals = new Map<string, NodeId>()
  readonly #reads = new Map<number, number>()
  readonly #served = new Set<number>()
  readonly #lastSaved = new Map<NodeId, number>()
  readonly #figure8 = new Set<number>()
  #committedUpTo: number
  /** What somebody outside has seen: acknowledged to its proposer, or read. */
  #seenUpTo: number

  /** `post` takes what may be sent. */
  constructor(options: {
    readonly start: SnapshotMeta
    readonly coverage: Coverage
    readonly member: (id: NodeId) => SimulatedMember
    readonly post: (message: Message) => void
  }) {
    const { start, coverage, member, post } = options
    this.#post = post
    this.#coverage = coverage
    this.#member = member
    this.#confs = [{ index: start.index, conf: start.conf }]
    this.#sums.set(start.index, 0)
    this.#committed.set(start.index, { term: start.term, text: 'start', inTerm: start.term })
    this.#committedUpTo = start.index
    this.#seenUpTo = start.index
  }

  /** `value` stands in the log of the leader it was proposed to. */
  proposed(leader: SimulatedMember, value: string): void {
    this.#proposals.set(value, leader.id)
  }

  refused(leader: SimulatedMember, result: ProposeResult): void {
    if (result.kind !== 'dropped' || result.why !== 'transferring') return
    const { ticks, transferAt } = this.#hearing(leader)
    const isRecent = ticks - transferAt <= leader.config.electionTicks
    demand(isRecent, 'transfer aborted', () => `${leader.id} refuses proposals for a transfer of ${ticks - transferAt} ticks ago`)
  }

  /** Who has been told to forget its leader. */
  forgot(member: SimulatedMember): void {
    demand(member.status().leader === NOBODY, 'forgotten leader', () => `${member.id} still follows ${member.status().leader}`)
  }

  /** A read begins: it must see all that was seen before. */
  asked(requestId: number): void {
    this.#reads.set(requestId, this.#seenUpTo)
  }

  isServed(requestId: number): boolean {
    return this.#served.has(requestId)
  }

  restarted(member: SimulatedMember): void {
    this.#hearings.delete(member.id)
  }

  ticked(member: SimulatedMember): void {
    const hearing = this.#hearing(member)
    hearing.ticks++
    const { electionTicks, checkQuorum } = member.config
    const { role } = member.status()
    if (role !== 'leader' || !checkQuorum || hearing.ticks - hearing.since <= 2 * electionTicks) return
    const answers = (id: NodeId): boolean =>
      id === member.id || hearing.ticks - (hearing.answeredAt.get(id) ?? Number.NEGATIVE_INFINITY) <= 2 * electionTicks
    demand(isQuorum(member.applied.conf, answers), 'quorum check', () => `${member.id} leads on though no quorum answers it`)
  }

  /** Leadership is about to be handed over: the quorum check begins anew. */
  transferring(member: SimulatedMember): void {
    const hearing = this.#hearing(member)
    hearing.since = hearing.ticks
    hearing.transferAt = hearing.ticks
  }

  /** `member` has taken `message`; `before` is how it stood before. */
  stepped(member: SimulatedMember, message: Message, before: RaftStatus): void {
    const after = member.status()
    if (message.term !== 0 && message.term < before.term) this.#coverage['messages of old terms']++
    this.#checkPeace(member, message, { before, after })
    this.#hear(member, message, after)
    if (before.role === 'leader' && after.role !== 'leader' && after.term === before.term) this.#coverage['deposed by quorum check']++
    if (message.kind === 'append-response' && after.role === 'leader') this.#countFigure8(member, after)
  }

  /** After every step of `member`. */
  check(member: SimulatedMember): void {
    const status = member.status()
    this.#checkLife(member, status)
    this.#checkConf(member, status)
    this.#checkCommit(member, status)
    if (status.role === 'leader') this.#checkLeader(member, status)
  }

  saved(member: SimulatedMember, entries: readonly Entry[]): void {
    this.#lastSaved.set(member.id, entries.at(-1)?.index ?? this.#lastSaved.get(member.id) ?? 0)
    for (const entry of entries) this.#checkMatching(entry, member.durableTermAt(entry.index - 1) ?? 0)
  }

  sending(member: SimulatedMember, messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.kind === 'vote' && message.force) this.#forced.add(message.term)
      if (message.kind === 'vote-response' && !message.reject) this.#checkVote(member, message)
      if (message.kind === 'append-response' && !message.reject) this.#checkAcknowledgement(member, message)
      if (message.kind === 'append') this.#checkSize(member, message)
      if (message.kind === 'timeout-now') this.#checkTarget(member, message)
      this.#post(message)
    }
  }

  applying(member: SimulatedMember, entry: Entry): void {
    const { index, term } = entry
    const last = member.applied.index
    demand(index === last + 1, 'state machine safety', () => `${member.id} applies ${index} after ${last}`)
    const known = this.#committed.get(index)
    const text = textOf(entry)
    const isRight = known?.text === text && known.term === term
    demand(
      isRight,
      'state machine safety',
      () => `${member.id} applies ${text} of ${term} at ${index}, not ${known?.text} of ${known?.term}`,
    )
  }

  applied(member: SimulatedMember, entry: Entry): void {
    const { meta, sum } = member.state
    this.#checkSum(member, meta.index, sum)
    if (entry.kind === 'config') this.#confApplied(member, meta)
    // The proposer answers its client now.
    if (this.#proposals.get(textOf(entry)) === member.id) this.#seenUpTo = Math.max(this.#seenUpTo, entry.index)
  }

  snapshotted(member: SimulatedMember, meta: SnapshotMeta, sum: number | undefined): void {
    const { index, term, conf } = meta
    demand(this.#committed.get(index)?.term === term, 'equal snapshots', () => `that of ${member.id} at ${index} has term ${term}`)
    const right = this.#confAt(index)
    demand(sameConf(conf, right), 'equal snapshots', () => `that of ${member.id} at ${index} has ${say(conf)}, not ${say(right)}`)
    if (sum !== undefined) this.#checkSum(member, index, sum)
  }

  restored(member: SimulatedMember, meta: SnapshotMeta): number {
    this.#coverage.snapshots++
    this.snapshotted(member, meta, undefined)
    demand(meta.index > member.applied.index, 'state machine safety', () => `${member.id} goes back to ${meta.index} by a snapshot`)
    return present(this.#sums.get(meta.index), `state at ${meta.index}`)
  }

  reading(member: SimulatedMember, { requestId, index }: ReadState): void {
    this.#coverage[member.status().role === 'leader' ? 'reads by leader' : 'reads by follower']++
    const seen = present(this.#reads.get(requestId), `read ${requestId}`)
    demand(index >= seen, 'stale read', () => `${member.id} reads at ${index} what was seen up to ${seen} before the read came`)
    this.#seenUpTo = Math.max(this.#seenUpTo, member.applied.index)
    this.#served.add(requestId)
  }

  /** What a message must not do to a member's term. */
  #checkPeace(member: SimulatedMember, message: Message, { before, after }: { before: RaftStatus; after: RaftStatus }): void {
    const isSame = after.term === before.term && after.vote === before.vote && after.role === before.role
    if (message.kind === 'pre-vote') {
      demand(isSame, 'pre-vote changes nothing', () => `${member.id} was in ${before.term} and is in ${after.term}`)
    }
    if (message.kind !== 'vote' || message.term <= before.term) return
    const takesPart = after.term >= message.term
    if (before.leader === NOBODY) demand(takesPart, 'forgotten leader', () => `${member.id} has no leader and ignores ${message.from}`)
    if (message.force || !member.config.checkQuorum || before.leader === NOBODY) return
    const { ticks, leaderAt } = this.#hearing(member)
    const inLease = before.role === 'leader' || (before.role === 'follower' && ticks - leaderAt < member.config.electionTicks)
    if (inLease && message.term > before.term)
      demand(isSame, 'lease', () => `${member.id} hears ${before.leader} and votes for ${message.from}`)
  }

  #hear(member: SimulatedMember, message: Message, { term, leader, role }: RaftStatus): void {
    if (message.term !== term) return
    const hearing = this.#hearing(member)
    if (isFromLeader(message) && leader === message.from) hearing.leaderAt = hearing.ticks
    if (role !== 'leader') return
    if (message.kind === 'append-response' || message.kind === 'heartbeat-response') hearing.answeredAt.set(message.from, hearing.ticks)
  }

  /** A majority holds an entry of an older term, and it must not count as committed. */
  #countFigure8(member: SimulatedMember, { progress, conf, commitIndex, term }: RaftStatus): void {
    if (this.#figure8.has(term)) return
    const entry = member.entryAt(commitIndex + 1)
    if (entry === undefined || entry.term === term) return
    if (!isQuorum(conf, (id) => (progress.get(id)?.match ?? 0) > commitIndex)) return
    this.#figure8.add(term)
    this.#coverage['figure 8']++
  }

  /** Term and commit index never fall while a member lives, and the term on disk never at all. */
  #checkLife(member: SimulatedMember, { term, commitIndex }: RaftStatus): void {
    const { id } = member
    const before = this.#lives.get(id)
    if (before !== undefined && before.raft === member.raft) {
      demand(term >= before.term, 'monotonic term', () => `${id} fell from ${before.term} to ${term}`)
      demand(commitIndex >= before.commit, 'monotonic commit', () => `${id} fell from ${before.commit} to ${commitIndex}`)
    }
    const onDisk = member.durable.term
    const wasOnDisk = this.#durableTerms.get(id) ?? 0
    demand(
      onDisk <= term && onDisk >= wasOnDisk,
      'monotonic term',
      () => `${id} is in ${term}, its disk in ${onDisk}, before in ${wasOnDisk}`,
    )
    this.#durableTerms.set(id, onDisk)
    this.#lives.set(id, { raft: member.core, term, commit: commitIndex })
  }

  /** A configuration is in force when its entry is applied, neither earlier nor later. */
  #checkConf(member: SimulatedMember, { conf, firstIndex }: RaftStatus): void {
    const { applied } = member
    // A snapshot was received and not yet applied.
    if (firstIndex > applied.index + 1 || conf === applied.conf) return
    const what = (): string => `${member.id} counts by ${say(conf)}, applied is ${say(applied.conf)}`
    demand(sameConf(conf, applied.conf), 'overlapping configurations', what)
  }

  /** Whoever knows an entry to be committed knows the same one; the first to know it must have a quorum of disks behind it. */
  #checkCommit(member: SimulatedMember, status: RaftStatus): void {
    for (let index = this.#committedUpTo + 1; index <= status.commitIndex; index++) {
      const entry = member.entryAt(index)
      if (entry === undefined) throw new Violation('commit quorum', `${member.id} commits ${index} without having it`)
      demand(status.role === 'leader', 'commit quorum', () => `${member.id} knows ${index} to be committed before any leader`)
      const isHeld = (id: number): boolean => this.#member(id).durableTermAt(index) === entry.term
      const isRight = isQuorum(member.applied.conf, isHeld)
      demand(isRight, 'commit quorum', () => `${member.id} commits ${index} of ${entry.term} without a quorum of disks`)
      this.#committed.set(index, { term: entry.term, text: textOf(entry), inTerm: status.term })
      this.#committedUpTo = index
      this.#coverage.commits++
    }
  }

  #checkLeader(member: SimulatedMember, { term, firstIndex, conf }: RaftStatus): void {
    const { id } = member
    const isOut = member.config.stepDownOnRemoval && !isVoterOf(conf, id)
    demand(!isOut, 'step-down on removal', () => `${id} leads ${term} and is no voter of ${say(conf)}`)
    const known = this.#leaderOf.get(term)
    demand(known === undefined || known === id, 'election safety', () => `${known} and ${id} lead term ${term}`)
    if (known !== undefined) return
    this.#leaderOf.set(term, id)
    this.#coverage.elections++
    if (this.#forced.has(term)) this.#coverage.transfers++
    const hearing = this.#hearing(member)
    hearing.since = hearing.ticks
    hearing.answeredAt.clear()
    this.#checkElected(member, term)
    for (let index = firstIndex; index <= this.#committedUpTo; index++) {
      const committed = this.#committedAt(index)
      if (committed.inTerm >= term) continue
      const entry = member.entryAt(index)
      const isHeld = entry !== undefined && textOf(entry) === committed.text
      demand(isHeld, 'leader completeness', () => `${id} leads ${term} without entry ${index} of ${committed.term}`)
    }
  }

  /** By a quorum of votes, in a configuration at most one change away from the newest that was in force before its term. */
  #checkElected(member: SimulatedMember, term: number): void {
    const { id, applied, durable } = member
    const votedForIt = (voter: NodeId): boolean => (voter === id ? durable.vote : this.#votes.get(`${voter} in ${term}`)) === id
    demand(isQuorum(applied.conf, votedForIt), 'election safety', () => `${id} leads ${term} without a quorum of votes`)
    const newer = this.#confs.filter(({ index }) => index > applied.index && this.#committedAt(index).inTerm < term).length
    demand(newer <= 1, 'overlapping configurations', () => `${id} leads ${term} by a configuration ${newer} changes old`)
  }

  #confApplied(member: SimulatedMember, { index, conf }: SnapshotMeta): void {
    const newest = present(this.#confs.at(-1), 'configuration')
    if (index <= newest.index) {
      const right = this.#confAt(index)
      demand(sameConf(conf, right), 'state machine safety', () => `${member.id} is at ${index} in ${say(conf)}, others in ${say(right)}`)
    } else {
      demand(overlap(newest.conf, conf), 'overlapping configurations', () => `${say(newest.conf)} became ${say(conf)}`)
      this.#confs.push({ index, conf })
      this.#coverage['configuration changes']++
      if (conf.outgoing.length > 0) this.#coverage['joint configurations']++
    }
    const hearing = this.#hearing(member)
    hearing.since = hearing.ticks
    if (this.#leaderOf.get(member.status().term) === member.id && !isVoterOf(conf, member.id))
      this.#coverage['members removed while leading']++
  }

  /** If two logs have an entry of the same index and term, it is the same entry, and so is the one before it. */
  #checkMatching(entry: Entry, before: number): void {
    const key = `${entry.index} of ${entry.term}`
    const known = this.#entries.get(key)
    const text = textOf(entry)
    if (known === undefined) this.#entries.set(key, { text, before })
    else {
      const isSame = known.text === text && (before === 0 || known.before === 0 || known.before === before)
      demand(isSame, 'log matching', () => `two entries ${key}`)
    }
  }

  /** One vote a term, over all lives; and on disk, unless that is in a later term already. */
  #checkVote({ id, durable }: SimulatedMember, { term, to }: Message): void {
    const key = `${id} in ${term}`
    const known = this.#votes.get(key)
    demand(known === undefined || known === to, 'one vote per term', () => `${key} votes for ${known} and ${to}`)
    this.#votes.set(key, to)
    const isDurable = durable.term > term || (durable.term === term && durable.vote === to)
    demand(isDurable, 'durable before acknowledged', () => `${key} votes for ${to}, its disk for ${durable.vote} in ${durable.term}`)
  }

  #checkAcknowledgement(member: SimulatedMember, { term, index }: Message & { readonly kind: 'append-response' }): void {
    const { id, durable, durableLast } = member
    const isHeld = durable.term > term || durableLast >= index
    demand(isHeld, 'durable before acknowledged', () => `${id} acknowledges ${index}, its disk ends at ${durableLast}`)
  }

  /** One entry always goes, whatever its size. */
  #checkSize({ id, config }: SimulatedMember, { to, entries }: Message & { readonly kind: 'append' }): void {
    const bytes = entries.reduce((sum, { data }) => sum + data.length, 0)
    const isSmall = entries.length <= 1 || bytes <= config.maxMessageBytes
    demand(isSmall, 'limits', () => `${id} sends ${to} ${bytes} bytes at once`)
  }

  /** Who is told to campaign holds all that its leader had saved by then, unless it has moved on to a later term. */
  #checkTarget(leader: SimulatedMember, { to, term }: Message): void {
    const index = this.#lastSaved.get(leader.id) ?? 0
    const entry = leader.entryAt(index)
    const target = this.#member(to)
    if (entry === undefined || leader.status().term !== term || target.durable.term > term) return
    const isComplete = target.durableTermAt(index) === entry.term || target.durableLast > index
    demand(isComplete, 'transfer to a complete log', () => `${leader.id} hands over to ${to}, which lacks ${index}`)
  }

  #checkSum(member: SimulatedMember, index: number, sum: number): void {
    const known = this.#sums.get(index)
    if (known === undefined) this.#sums.set(index, sum)
    else demand(known === sum, 'equal snapshots', () => `${member.id} has another state than others at ${index}`)
  }

  #committedAt(index: number): Committed {
    return present(this.#committed.get(index), `committed entry ${index}`)
  }

  #confAt(index: number): ConfState {
    return present(
      this.#confs.findLast((conf) => conf.index <= index),
      `configuration at ${index}`,
    ).conf
  }

  #hearing({ id }: SimulatedMember): Hearing {
    const known = this.#hearings.get(id)
    if (known !== undefined) return known
    const fresh: Hearing = {
      ticks: 0,
      leaderAt: Number.NEGATIVE_INFINITY,
      since: 0,
      transferAt: Number.NEGATIVE_INFINITY,
      answeredAt: new Map(),
    }
    this.#hearings.set(id, fresh)
    return fresh
  }
}

function isFromLeader({ kind }: Message): boolean {
  return kind === 'append' || kind === 'heartbeat' || kind === 'snapshot'
}

function isVoterOf({ voters, outgoing }: ConfState, id: NodeId): boolean {
  return voters.includes(id) || outgoing.includes(id)
}

function isQuorum({ voters, outgoing }: ConfState, agrees: (id: NodeId) => boolean): boolean {
  return [voters, outgoing].every((half) => half.length === 0 || half.filter(agrees).length * 2 > half.length)
}

/** No two quorums, one of each, without a common member: tried out. */
function overlap(one: ConfState, other: ConfState): boolean {
  const ids = [...new Set([...one.voters, ...one.outgoing, ...other.voters, ...other.outgoing])]
  for (let side = 0; side < 2 ** ids.length; side++) {
    const isOnSide = (id: NodeId): boolean => (side & (1 << ids.indexOf(id))) !== 0
    if (isQuorum(one, isOnSide) && isQuorum(other, (id) => !isOnSide(id))) return false
  }
  return true
}

function sameConf(one: ConfState, other: ConfState): boolean {
  return one === other || say(one) === say(other)
}

function say({ voters, outgoing, learners, learnersNext, autoLeave }: ConfState): string {
  const joint = outgoing.length > 0 ? ` & ${outgoing.join(' ')}${autoLeave ? ', to be left' : ''}` : ''
  const learning = learners.length + learnersNext.length > 0 ? `, learners ${learners.join(' ')} and then ${learnersNext.join(' ')}` : ''
  return `(${voters.join(' ')}${joint}${learning})`
}

function textOf(entry: Entry): string {
  return entry.kind === 'config' ? `config ${[...entry.data].join(' ')}` : new TextDecoder().decode(entry.data)
}
