// A group of members in one seed's world: messages are lost, doubled, delayed and reordered, members crash and lose what was not synced, the
// configuration changes. After every step the promises of Raft are checked (paper, figure 3, and what acknowledgements and reads promise).
import { assert, BugError, present } from '../../src/base/assert.ts'
import { between, type Random, seededRandom } from '../../src/base/random.ts'
import { isVoter, members } from '../../src/consensus/config-change.ts'
import { type RaftConfig } from '../../src/consensus/raft-config.ts'
import { type Raft, type RaftStatus } from '../../src/consensus/raft.ts'
import {
  type ConfChange,
  type ConfChangeStep,
  type ConfState,
  type Entry,
  type Message,
  type ReadState,
  type SnapshotMeta,
} from '../../src/consensus/types.ts'
import { REFUSED_CHANGE, SimulatedMember, type Witness } from './simulated-member.ts'

/** What happened in a run: a world in which nothing happens proves nothing. */
export interface Coverage {
  elections: number
  crashes: number
  truncations: number
  snapshots: number
  confChanges: number
  commits: number
  reads: number
}

/** How often what happens next, in shares of all that may; a message lost or doubled, in shares of those delivered. */
interface Mood {
  readonly lose: number
  readonly double: number
  /** A message that overtakes all others. */
  readonly overtake: number
  readonly acts: Readonly<Record<Act, number>>
  readonly config?: Partial<RaftConfig>
}

const ACTS = [
  'deliver',
  'work',
  'tick',
  'propose',
  'read',
  'lead',
  'compact',
  'report',
  'crash',
  'crash-new-leader',
  'restart',
  'isolate',
  'change',
] as const

type Act = (typeof ACTS)[number]

const CALM: Mood['acts'] = {
  deliver: 450,
  work: 350,
  tick: 100,
  propose: 40,
  read: 40,
  lead: 5,
  compact: 5,
  report: 10,
  crash: 2,
  'crash-new-leader': 0,
  restart: 10,
  isolate: 4,
  change: 2,
}

/** Each is about one way for things to go wrong; a seed picks one. */
const MOODS: readonly Mood[] = [
  { lose: 0.02, double: 0.05, overtake: 0.3, acts: CALM },
  { lose: 0.1, double: 0.05, overtake: 0.3, acts: { ...CALM, crash: 5 } },
  // Figure 8: leaders fall while the entries of their forerunners are on their way, one at a time, and come back soon.
  {
    lose: 0.02,
    double: 0,
    overtake: 0.2,
    acts: { ...CALM, read: 0, propose: 10, tick: 20, lead: 60, crash: 0, 'crash-new-leader': 40, restart: 25, change: 0, isolate: 0 },
    config: { maxMessageBytes: 1, maxInflightMessages: 1, preVote: false, checkQuorum: false },
  },
  // A leader that does not hear of its successor is asked for reads, and old answers still come in.
  { lose: 0, double: 0.1, overtake: 0.3, acts: { ...CALM, read: 100, propose: 60, tick: 30, lead: 15, isolate: 4, crash: 0, change: 0 } },
  // Whole sets of members are replaced.
  { lose: 0.03, double: 0.05, overtake: 0.3, acts: { ...CALM, read: 0, change: 30, lead: 10, crash: 3, isolate: 4 } },
]

const MAX_IDS = 5
/** Of work or delivery within one tick of healing, before it counts as going round for ever. */
const MAX_TURNS = 1000
const START: SnapshotMeta = {
  index: 1,
  term: 1,
  conf: { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false },
}
const NEWCOMER: SnapshotMeta = { ...START, index: 0, term: 0, conf: { ...START.conf, voters: [] } }

export class SimulatedGroup implements Witness {
  readonly coverage: Coverage = { elections: 0, crashes: 0, truncations: 0, snapshots: 0, confChanges: 0, commits: 0, reads: 0 }
  readonly #random: Random
  readonly #members: SimulatedMember[]
  readonly #mood: Mood
  readonly #allShares: number
  #network: Message[] = []
  /** Who hears and is heard by nobody; what was under way to it before may still arrive. */
  readonly #isolated = new Set<number>()
  #nextValue = 1
  #nextRead = 1

  /** The facts that must not contradict each other, over all members and all their lives. */
  readonly #leaderOf = new Map<number, number>()
  readonly #votes = new Map<string, number>()
  readonly #entries = new Map<string, { readonly text: string; readonly before: number }>()
  readonly #committed = new Map<number, { readonly term: number; readonly text: string }>()
  readonly #lives = new Map<number, { readonly raft: object; readonly term: number; readonly commit: number }>()
  readonly #proposals = new Map<string, number>()
  readonly #reads = new Map<number, number>()
  #committedUpTo = START.index
  #acknowledgedUpTo = START.index

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    this.#mood = this.#pick(MOODS)
    this.#allShares = Object.values(this.#mood.acts).reduce((sum, share) => sum + share, 0)
    const config: Partial<RaftConfig> = {
      electionTicks: 5,
      maxMessageBytes: this.#chance(0.5) ? 1 : 200,
      maxInflightMessages: between(this.#random, 1, 6),
      maxCommittedBytes: this.#chance(0.5) ? 1 : 200,
      checkQuorum: this.#chance(0.7),
      preVote: this.#chance(0.7),
      batchAppends: this.#chance(0.7),
      stepDownOnRemoval: this.#chance(0.8),
      ...this.#mood.config,
    }
    this.#members = Array.from({ length: MAX_IDS }, (_, offset) => {
      const id = offset + 1
      const start = START.conf.voters.includes(id) ? START : NEWCOMER
      return new SimulatedMember({ id, start, config, random: this.#random, witness: this })
    })
  }

  /** Lets things go wrong for `steps` steps. Throws a BugError at the first broken promise. */
  trouble(steps: number): void {
    for (let step = 0; step < steps; step++) this.#checked(() => this.#act())
  }

  /** Stops all trouble and demands that the group agrees on a new command within `rounds` rounds of ticks, with all its members. */
  heal(rounds: number): void {
    this.#isolated.clear()
    for (const member of this.#members) if (!member.isUp) member.restart()
    for (let round = 0; round < rounds; round++) {
      for (const member of this.#members) this.#checked(() => this.#core(member).tick())
      this.#settle()
      if (this.#agrees()) return
      if (round % 10 !== 0) continue
      this.#propose()
      // A transport owes a report on every snapshot: here, that it was lost.
      for (const member of this.#members) for (const { id } of this.#members) this.#core(member).reportSnapshot(id, false)
    }
    const state = this.#members.map(({ raft }) => JSON.stringify(raft?.status())).join('\n')
    throw new BugError(`liveness: no agreement within ${rounds} rounds after all trouble ended\n${state}`)
  }

  saved(member: SimulatedMember, entries: readonly Entry[]): void {
    for (const entry of entries) this.#checkMatching(entry, member.durableTermAt(entry.index - 1) ?? 0)
  }

  sending(member: SimulatedMember, messages: readonly Message[]): void {
    for (const message of messages) {
      this.#checkPromise(member, message)
      if (this.#isolated.has(message.from) || this.#isolated.has(message.to)) continue
      this.#network.push(message)
    }
  }

  applying(member: SimulatedMember, entry: Entry): void {
    assert(
      entry.index === member.applied.index + 1,
      `state machine safety: ${member.id} applies ${entry.index} after ${member.applied.index}`,
    )
    const known = this.#committed.get(entry.index)
    const text = textOf(entry)
    assert(
      known?.text === text && known.term === entry.term,
      `state machine safety: ${member.id} applies ${text} at ${entry.index}, not ${known?.text}`,
    )
    if (entry.kind === 'config') this.coverage.confChanges++
    // The proposer answers its client now.
    if (this.#proposals.get(text) === member.id) this.#acknowledgedUpTo = Math.max(this.#acknowledgedUpTo, entry.index)
  }

  restored(member: SimulatedMember, meta: SnapshotMeta): void {
    this.coverage.snapshots++
    assert(
      meta.index === START.index || this.#committed.get(meta.index)?.term === meta.term,
      `snapshot of ${member.id} at ${meta.index} was never committed`,
    )
  }

  reading(member: SimulatedMember, { requestId, index }: ReadState): void {
    this.coverage.reads++
    const acknowledged = present(this.#reads.get(requestId), `read ${requestId}`)
    assert(index >= acknowledged, `stale read: ${member.id} reads at ${index} what was written up to ${acknowledged} before the read came`)
  }

  #act(): void {
    const act = this.#nextAct()
    const member = this.#anyMember()
    if (act === 'restart') return this.#restart()
    if (act === 'deliver') return this.#deliver()
    if (act === 'propose') return this.#propose()
    if (act === 'change') return this.#changeConf()
    if (act === 'isolate') return this.#toggleIsolation(member)
    if (act === 'crash') return this.#crash(this.#chance(0.6) ? (this.#anyLeader() ?? member) : member)
    if (act === 'crash-new-leader') return this.#crashNewLeader()
    if (!member.isUp) return
    switch (act) {
      case 'work':
        return this.#work(member)
      case 'tick':
        return this.#core(member).tick()
      case 'read':
        return this.#read(member)
      case 'lead':
        return this.#lead(member)
      case 'compact':
        return member.compact(between(this.#random, 0, 5))
      case 'report':
        return this.#report(this.#core(member))
    }
  }

  #nextAct(): Act {
    let roll = this.#random.float() * this.#allShares
    for (const act of ACTS) if ((roll -= this.#mood.acts[act]) < 0) return act
    return 'deliver'
  }

  #restart(): void {
    const down = this.#members.filter(({ isUp }) => !isUp)
    if (down.length > 0) this.#pick(down).restart()
  }

  #work(member: SimulatedMember): void {
    if (member.isBusy) member.finish()
    else if (this.#core(member).hasReady()) member.begin()
  }

  #deliver(): void {
    // What was under way to an isolated member before still arrives, late and one by one.
    const open = this.#chance(0.03) ? this.#network : this.#network.filter(({ to }) => !this.#isolated.has(to))
    if (open.length === 0) return
    const message = present(open[this.#chance(this.#mood.overtake) ? between(this.#random, 0, open.length - 1) : 0], 'message')
    if (!this.#chance(this.#mood.double)) this.#network.splice(this.#network.indexOf(message), 1)
    const receiver = this.#member(message.to)
    if (receiver.isUp && !this.#chance(this.#mood.lose)) this.#core(receiver).step(message)
  }

  #propose(): void {
    const leader = this.#anyLeader()
    if (leader === undefined) return
    const value = String(this.#nextValue++)
    const result = this.#core(leader).propose(new TextEncoder().encode(value))
    if (result.kind === 'accepted') this.#proposals.set(value, leader.id)
  }

  #read(member: SimulatedMember): void {
    const asked = this.#chance(0.6) ? (this.#anyLeader() ?? member) : member
    const requestId = this.#nextRead++
    this.#reads.set(requestId, this.#acknowledgedUpTo)
    this.#core(asked).readIndex(requestId)
  }

  /** A member takes its leader for gone, or hands leadership over. */
  #lead(member: SimulatedMember): void {
    const raft = this.#core(member)
    if (raft.status().role === 'leader') return raft.transferLeadership(between(this.#random, 1, MAX_IDS))
    raft.forgetLeader()
    raft.campaign()
  }

  #report(raft: Raft): void {
    const about = between(this.#random, 1, MAX_IDS)
    if (this.#chance(0.5)) raft.reportUnreachable(about)
    else raft.reportSnapshot(about, this.#chance(0.5))
  }

  #changeConf(): void {
    const leader = this.#anyLeader()
    if (leader === undefined) return
    const steps = this.#chance(0.5) ? this.#replaceAll(leader) : Array.from({ length: between(this.#random, 0, 2) }, () => this.#anyStep())
    const transition = this.#pick<ConfChange['transition']>(['auto', 'auto', 'implicit', 'explicit'])
    const context = this.#chance(0.1) ? REFUSED_CHANGE : new Uint8Array(0)
    this.#core(leader).proposeConfChange({ transition, changes: steps, context })
  }

  #anyStep(): ConfChangeStep {
    const kind = this.#pick<ConfChangeStep['kind']>(['add-voter', 'add-voter', 'add-learner', 'remove'])
    return { kind, node: between(this.#random, 1, MAX_IDS) }
  }

  /** Others vote from now on; some of those who did go on as learners. */
  #replaceAll(leader: SimulatedMember): ConfChangeStep[] {
    const voters = this.#members.filter(() => this.#chance(0.5)).map(({ id }) => id)
    const before = this.#core(leader)
      .status()
      .conf.voters.filter((id) => !voters.includes(id))
    return [
      ...voters.map((node) => ({ kind: 'add-voter', node }) as const),
      ...before.map((node) => ({ kind: this.#chance(0.5) ? 'add-learner' : 'remove', node }) as const),
    ]
  }

  #crash(victim: SimulatedMember): void {
    if (!victim.isUp) return
    this.coverage.crashes++
    victim.crash()
    this.#isolated.delete(victim.id)
    // Its connections break, and some of what it had sent with them.
    this.#network = this.#network.filter(({ from }) => from !== victim.id || this.#chance(0.5))
  }

  #crashNewLeader(): void {
    const leader = this.#anyLeader()
    if (leader !== undefined && !this.#core(leader).status().committedOwnTerm && this.#chance(0.3)) this.#crash(leader)
  }

  #toggleIsolation(member: SimulatedMember): void {
    const victim = this.#chance(0.8) ? (this.#anyLeader() ?? member) : member
    if (this.#isolated.delete(victim.id)) return
    this.#isolated.clear()
    this.#isolated.add(victim.id)
  }

  /** Everyone works and everything arrives, in order, until nothing is left. */
  #settle(): void {
    for (let round = 0; round < MAX_TURNS; round++) {
      for (const member of this.#members) {
        for (let turn = 0; turn < MAX_TURNS && (member.isBusy || this.#core(member).hasReady()); turn++) {
          this.#checked(() => this.#work(member))
        }
      }
      const messages = this.#network.splice(0)
      if (messages.length === 0) return
      for (const message of messages) this.#checked(() => this.#core(this.#member(message.to)).step(message))
    }
    throw new BugError('liveness: messages go round for ever')
  }

  /** One leader whose newest command is applied by every member of its configuration. */
  #agrees(): boolean {
    const leader = this.#anyLeader()
    if (leader === undefined) return false
    const { conf, term, lastIndex, commitIndex, committedOwnTerm } = this.#core(leader).status()
    if (!committedOwnTerm || commitIndex < lastIndex || conf.outgoing.length > 0) return this.#leaveJoint(leader)
    return members(conf).every((id) => {
      const { applied, raft } = this.#member(id)
      return applied.index === lastIndex && raft?.status().term === term
    })
  }

  /** Explicit joint configurations are left by whoever entered them. */
  #leaveJoint(leader: SimulatedMember): false {
    this.#core(leader).proposeConfChange({ transition: 'auto', changes: [], context: new Uint8Array(0) })
    return false
  }

  #checked(act: () => void): void {
    act()
    this.#check()
  }

  #check(): void {
    for (const member of this.#members) {
      if (!member.isUp) continue
      const status = this.#core(member).status()
      this.#checkLife(member, status)
      this.#checkCommit(member, status)
      if (status.role === 'leader') this.#checkLeader(member, status)
    }
  }

  /** Term and commit index never fall while a member lives, and the term on disk never at all. */
  #checkLife(member: SimulatedMember, { term, commitIndex }: RaftStatus): void {
    const raft = this.#core(member)
    const before = this.#lives.get(member.id)
    if (before?.raft === raft) {
      assert(term >= before.term, `monotonic term: ${member.id} fell from ${before.term} to ${term}`)
      assert(commitIndex >= before.commit, `monotonic commit: ${member.id} fell from ${before.commit} to ${commitIndex}`)
    }
    assert(
      member.durable.hardState.term <= term,
      `monotonic term: ${member.id} is in ${term}, its disk in ${member.durable.hardState.term}`,
    )
    this.#lives.set(member.id, { raft, term, commit: commitIndex })
  }

  /** Whoever knows an entry to be committed knows the same one; the first to know it must have a quorum of disks behind it. */
  #checkCommit(member: SimulatedMember, status: RaftStatus): void {
    for (let index = this.#committedUpTo + 1; index <= status.commitIndex; index++) {
      const entry = member.entryAt(index)
      if (entry === undefined) throw new BugError(`commit: ${member.id} commits ${index} without having it`)
      assert(status.role === 'leader', `commit: ${member.id} knows ${index} to be committed before any leader`)
      const isHeld = (id: number) => this.#member(id).durableTermAt(index) === entry.term
      assert(isQuorum(status.conf, isHeld), `commit: ${member.id} commits ${index} without a quorum of disks`)
      this.#committed.set(index, { term: entry.term, text: textOf(entry) })
      this.#committedUpTo = index
      this.coverage.commits++
    }
  }

  #checkLeader(member: SimulatedMember, { term, firstIndex, conf }: RaftStatus): void {
    const known = this.#leaderOf.get(term)
    assert(known === undefined || known === member.id, `election safety: ${known} and ${member.id} lead term ${term}`)
    if (known !== undefined) return
    this.#leaderOf.set(term, member.id)
    this.coverage.elections++
    const votedForIt = (id: number) =>
      (id === member.id ? member.durable.hardState.vote : this.#votes.get(`${id} in ${term}`)) === member.id
    assert(isQuorum(conf, votedForIt), `election safety: ${member.id} leads ${term} without a quorum of votes`)
    for (let index = firstIndex; index <= this.#committedUpTo; index++) {
      const committed = present(this.#committed.get(index), `committed entry ${index}`)
      if (committed.term >= term) continue
      const entry = member.entryAt(index)
      assert(
        entry !== undefined && textOf(entry) === committed.text,
        `leader completeness: ${member.id} leads ${term} without entry ${index}`,
      )
    }
  }

  /** If two logs have an entry of the same index and term, it is the same entry, and so is the one before it. */
  #checkMatching(entry: Entry, before: number): void {
    const key = `${entry.index}.${entry.term}`
    const known = this.#entries.get(key)
    const text = textOf(entry)
    if (known === undefined) this.#entries.set(key, { text, before })
    else assert(known.text === text && (before === 0 || known.before === 0 || known.before === before), `log matching: two entries ${key}`)
  }

  /** What a member says about its disk must be true of its disk, unless the disk is in a later term already. */
  #checkPromise(member: SimulatedMember, message: Message): void {
    const { term, vote } = member.durable.hardState
    if (message.kind === 'vote-response' && !message.reject) {
      const key = `${member.id} in ${message.term}`
      const known = this.#votes.get(key)
      assert(known === undefined || known === message.to, `one vote per term: ${key} voted for ${known} and ${message.to}`)
      this.#votes.set(key, message.to)
      assert(
        term > message.term || vote === message.to,
        `durable before acknowledged: ${key} votes for ${message.to}, its disk for ${vote}`,
      )
    }
    if (message.kind === 'append-response' && !message.reject) {
      const isHeld = term > message.term || member.durableLast >= message.index
      assert(isHeld, `durable before acknowledged: ${member.id} acknowledges ${message.index}, its disk ends at ${member.durableLast}`)
    }
    if (message.kind === 'append') this.#countTruncation(message)
  }

  #countTruncation({ to, index, entries }: Message & { kind: 'append' }): void {
    const first = entries[0]
    if (first === undefined) return
    const held = this.#member(to).entryAt(index + 1)
    if (held !== undefined && held.term < first.term) this.coverage.truncations++
  }

  #anyLeader(): SimulatedMember | undefined {
    const leaders = this.#members.filter(({ raft }) => raft?.status().role === 'leader')
    return leaders.length === 0 ? undefined : this.#pick(leaders)
  }

  #anyMember(): SimulatedMember {
    const { conf } = this.#pick(this.#members).applied
    // Newcomers idle until someone adds them.
    const known = this.#members.filter(({ id }) => isVoter(conf, id) || conf.learners.includes(id) || this.#chance(0.2))
    return this.#pick(known.length > 0 ? known : this.#members)
  }

  #member(id: number): SimulatedMember {
    return present(this.#members[id - 1], `member ${id}`)
  }

  #core(member: SimulatedMember) {
    return present(member.raft, `core of ${member.id}`)
  }

  #chance(share: number): boolean {
    return this.#random.float() < share
  }

  #pick<T>(list: readonly T[]): T {
    return present(list[between(this.#random, 0, list.length - 1)], 'choice')
  }
}

/** Counted the slow way, as the thing to be tested counts too. */
function isQuorum({ voters, outgoing }: ConfState, agrees: (id: number) => boolean): boolean {
  return [voters, outgoing].every((half) => half.length === 0 || half.filter(agrees).length * 2 > half.length)
}

function textOf(entry: Entry): string {
  return entry.kind === 'config' ? `config ${[...entry.data].join(' ')}` : new TextDecoder().decode(entry.data)
}
