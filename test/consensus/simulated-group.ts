// A group of members in one seed's world: first trouble, with the promises of Raft checked after every step; then all is mended and progress demanded.
import { present } from '../../src/base/assert.ts'
import { between, type Random, seededRandom } from '../../src/base/random.ts'
import { members } from '../../src/consensus/config-change.ts'
import {
  type ConfChange,
  type ConfChangeStep,
  type ConfState,
  type Message,
  type NodeId,
  type SnapshotMeta,
} from '../../src/consensus/types.ts'
import { type Coverage, noCoverage } from './simulated-coverage.ts'
import { REFUSED_CHANGE, SimulatedMember } from './simulated-member.ts'
import { SimulatedNetwork } from './simulated-network.ts'
import { Promises, Violation } from './simulated-promises.ts'
import { type Act, ACTS, drawWeather, MAX_RATE, type Weather } from './simulated-weather.ts'

/** Of work or delivery within one tick of healing, before it counts as going round for ever. */
const MAX_TURNS = 1000
/** In healing, a transport owes a report on every snapshot, and a client asks again, after so many ticks. */
const PATIENCE_TICKS = 10

export class SimulatedGroup {
  readonly coverage: Coverage = noCoverage()
  readonly weather: Weather
  readonly #random: Random
  readonly #allShares: number
  readonly #members: readonly SimulatedMember[]
  readonly #network: SimulatedNetwork
  readonly #promises: Promises
  readonly #paused = new Set<NodeId>()
  #nextValue = 1
  #nextRead = 1

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    this.weather = drawWeather(this.#random)
    const { coverage, weather } = this
    this.#allShares = Object.values(weather.acts).reduce((sum, share) => sum + share, 0)
    this.#network = new SimulatedNetwork(weather, this.#random, coverage)
    const { start, newcomer } = startOf(weather)
    this.#promises = new Promises({
      start,
      coverage,
      member: (id) => this.#member(id),
      post: (message) => this.#network.send(message),
    })
    this.#members = idsUpTo(weather.ids).map((id) => {
      const isMember = members(start.conf).includes(id)
      const { config } = weather
      return new SimulatedMember({
        id,
        start: isMember ? start : newcomer,
        config,
        random: this.#random,
        witness: this.#promises,
        coverage,
      })
    })
  }

  /** Lets things go wrong for `steps` steps. Throws a Violation at the first broken promise. */
  trouble(steps: number): void {
    for (let step = 0; step < steps; step++) this.#act(this.#nextAct())
  }

  /**
   * Stops all trouble and demands that within `rounds` rounds of ticks the group agrees on a command proposed after that, with all its members, and
   * that each of them can read it.
   */
  heal(rounds: number): void {
    this.#network.mend()
    this.#paused.clear()
    for (const member of this.#members) if (!member.isUp) this.#restart(member)
    const progress = new Progress()
    for (let round = 0; round < rounds; round++) {
      for (const member of this.#members) this.#touch(member, () => this.#tick(member))
      this.#settle()
      if (this.#hasAgreed(progress, round)) return
      if (round % PATIENCE_TICKS !== 0) continue
      for (const member of this.#members) for (const { id } of this.#members) member.core.reportSnapshot(id, false)
    }
    const state = this.#members.map(({ raft }) => JSON.stringify({ ...raft?.status(), progress: [...(raft?.status().progress ?? [])] }))
    throw new Violation('liveness', `no agreement within ${rounds} rounds after all trouble ended\n${state.join('\n')}`)
  }

  #act(act: Act): void {
    switch (act) {
      case 'deliver':
        return this.#deliver(this.#network.next((id) => this.#listens(id)))
      case 'old-mail':
        return this.#deliver(this.#network.oldMail())
      case 'propose':
        return void this.#propose()
      case 'change':
        return this.#changeConf()
      case 'restart':
        return this.#restartOne()
      case 'crash-new-leader':
        return this.#crashNewLeader()
      case 'cut':
        return this.#network.toggleCut(this.#leaderOrAny(0.8).id)
      case 'pause':
        return this.#togglePause()
      case 'crash':
        return this.#crash(this.#leaderOrAny(0.6))
      case 'disk-error':
        return this.#failDisk()
      case 'transfer':
        return this.#transfer()
      case 'send-snapshot':
        return this.#sendSnapshot()
      case 'read':
        return void this.#readAt(this.#chance(0.4) ? (this.#anyLeader() ?? this.#anyMember()) : this.#anyMember())
      case 'work':
      case 'tick':
      case 'campaign':
      case 'compact':
      case 'report': {
        const member = this.#anyMember()
        if (member !== undefined) this.#touch(member, () => this.#actAt(member, act))
      }
    }
  }

  #actAt(member: SimulatedMember, act: 'work' | 'tick' | 'campaign' | 'compact' | 'report'): void {
    switch (act) {
      case 'work':
        return this.#work(member)
      case 'tick':
        return this.#tick(member)
      case 'campaign':
        return this.#campaign(member)
      case 'compact':
        return member.compact(between(this.#random, 0, 5))
      case 'report':
        return this.#report(member)
    }
  }

  #nextAct(): Act {
    let roll = this.#random.float() * this.#allShares
    for (const act of ACTS) if ((roll -= this.weather.acts[act]) < 0) return act
    return 'deliver'
  }

  #deliver(message: Message | undefined): void {
    if (message === undefined || !this.#listens(message.to)) return
    const receiver = this.#member(message.to)
    this.#touch(receiver, () => this.#step(receiver, message))
  }

  #step(receiver: SimulatedMember, message: Message): void {
    if (message.kind === 'transfer-leader') this.#promises.transferring(receiver)
    const before = receiver.status()
    receiver.core.step(message)
    this.#promises.stepped(receiver, message, before)
  }

  #work(member: SimulatedMember): void {
    if (member.isBusy) member.finish()
    else if (member.core.hasReady()) member.begin()
  }

  #tick(member: SimulatedMember): void {
    const { role } = member.status()
    member.core.tick()
    if (role === 'leader' && member.status().role !== 'leader') this.coverage['deposed by quorum check']++
    this.#promises.ticked(member)
  }

  /** The value, if a leader took it. */
  #propose(): string | undefined {
    const leader = this.#anyLeader()
    if (leader === undefined) return undefined
    const value = String(this.#nextValue++)
    const result = leader.core.propose(new TextEncoder().encode(value))
    this.#promises.check(leader)
    if (result.kind === 'accepted') {
      this.#promises.proposed(leader, value)
      return value
    }
    this.coverage['proposals refused']++
    this.#promises.refused(leader, result)
    return undefined
  }

  #readAt(member: SimulatedMember | undefined): number | undefined {
    if (member === undefined) return undefined
    const requestId = this.#nextRead++
    this.#promises.asked(requestId)
    this.#touch(member, () => member.core.readIndex(requestId))
    return requestId
  }

  /** A member takes its leader for gone. */
  #campaign(member: SimulatedMember): void {
    if (member.status().role === 'leader') return
    if (this.#chance(0.7)) {
      member.core.forgetLeader()
      this.#promises.forgot(member)
      this.coverage['forgotten leaders']++
    }
    if (this.#chance(0.8)) member.core.campaign()
  }

  #transfer(): void {
    const leader = this.#anyLeader()
    if (leader !== undefined) this.#transferFrom(leader, between(this.#random, 1, this.weather.ids))
  }

  #transferFrom(leader: SimulatedMember, target: NodeId): void {
    this.#promises.transferring(leader)
    this.#touch(leader, () => leader.core.transferLeadership(target))
  }

  /** A leader may send a snapshot to anyone at any time, not only to who needs it (paper, section 7). */
  #sendSnapshot(): void {
    const leader = this.#anyLeader()
    const to = between(this.#random, 1, this.weather.ids)
    if (leader === undefined || leader.id === to) return
    const snapshot = leader.core.status().conf === leader.applied.conf ? leader.config.snapshot(to) : undefined
    if (snapshot !== undefined) this.#network.send({ kind: 'snapshot', from: leader.id, to, term: leader.status().term, snapshot })
  }

  #report(member: SimulatedMember): void {
    const about = between(this.#random, 1, this.weather.ids)
    if (this.#chance(0.5)) member.core.reportUnreachable(about)
    else member.core.reportSnapshot(about, this.#chance(0.5))
  }

  #changeConf(): void {
    const leader = this.#anyLeader()
    if (leader === undefined) return
    const steps = this.#chance(0.4) ? this.#replaceAll(leader) : Array.from({ length: between(this.#random, 0, 2) }, () => this.#anyStep())
    const transition = this.#pick<ConfChange['transition']>(['auto', 'auto', 'implicit', 'explicit'])
    const context = this.#chance(0.1) ? REFUSED_CHANGE : new Uint8Array(0)
    this.#touch(leader, () => leader.core.proposeConfChange({ transition, changes: steps, context }))
  }

  #anyStep(): ConfChangeStep {
    const kind = this.#pick<ConfChangeStep['kind']>(['add-voter', 'add-voter', 'add-learner', 'remove'])
    return { kind, node: between(this.#random, 1, this.weather.ids) }
  }

  /** Others vote from now on; some of those who did go on as learners. */
  #replaceAll(leader: SimulatedMember): ConfChangeStep[] {
    const voters = this.#members.filter(() => this.#chance(0.5)).map(({ id }) => id)
    const before = leader.status().conf.voters.filter((id) => !voters.includes(id))
    return [
      ...voters.map((node) => ({ kind: 'add-voter', node }) as const),
      ...before.map((node) => ({ kind: this.#chance(0.5) ? 'add-learner' : 'remove', node }) as const),
    ]
  }

  #crash(victim: SimulatedMember | undefined): void {
    if (victim?.isUp !== true) return
    this.coverage.crashes++
    victim.crash()
    this.#paused.delete(victim.id)
    this.#network.crashed(victim.id)
  }

  #crashNewLeader(): void {
    const leader = this.#anyLeader()
    if (leader !== undefined && !leader.status().committedOwnTerm && this.#chance(0.3)) this.#crash(leader)
  }

  /** The write under way fails: it may be on the disk or not, and its member takes no part until it is opened anew. */
  #failDisk(): void {
    const busy = this.#members.filter((member) => member.isUp && member.isBusy)
    if (busy.length === 0) return
    this.coverage['disk errors']++
    this.#crash(this.#pick(busy))
  }

  #restartOne(): void {
    const down = this.#members.filter(({ isUp }) => !isUp)
    if (down.length > 0) this.#restart(this.#pick(down))
  }

  #restart(member: SimulatedMember): void {
    member.restart()
    this.#promises.restarted(member)
  }

  /** Its process stands still, its clock with it, and then goes on as if nothing had been. */
  #togglePause(): void {
    if (this.#paused.size > 0) return this.#paused.clear()
    const { id, isUp } = this.#leaderOrAny(0.6)
    if (!isUp) return
    this.coverage.pauses++
    this.#paused.add(id)
  }

  /** Everyone works and everything arrives, in order, until nothing is left. */
  #settle(): void {
    for (let round = 0; round < MAX_TURNS; round++) {
      for (const member of this.#members) {
        for (let turn = 0; turn < MAX_TURNS && (member.isBusy || member.core.hasReady()); turn++) {
          this.#touch(member, () => this.#work(member))
        }
      }
      const messages = this.#network.takeAll()
      if (messages.length === 0) return
      for (const message of messages) this.#deliver(message)
    }
    throw new Violation('liveness', 'messages go round for ever')
  }

  /** One leader; a command of after the trouble is applied by every member of its configuration, and read by each. */
  #hasAgreed(progress: Progress, round: number): boolean {
    const leader = this.#anyLeader()
    if (leader === undefined) return false
    const { conf, term, lastIndex, commitIndex, committedOwnTerm } = leader.status()
    if (!isVoterOf(conf, leader.id)) this.#transferFrom(leader, this.#pick(conf.voters))
    if (conf.outgoing.length > 0) this.#leaveJoint(leader)
    if (!committedOwnTerm || commitIndex < lastIndex || conf.outgoing.length > 0) return false
    const group = members(conf).map((id) => this.#member(id))
    if (!group.every((member) => member.applied.index === lastIndex && member.status().term === term)) return false
    if (progress.command === undefined) {
      progress.command = this.#propose()
      return false
    }
    if (leader.entryAt(lastIndex)?.data.length === 0) {
      // Another leader since: its own entry is the last.
      progress.command = undefined
      return false
    }
    if (progress.reads.length === 0 || round % PATIENCE_TICKS === 0)
      progress.reads = group.map((member) => present(this.#readAt(member), 'read'))
    return progress.reads.every((requestId) => this.#promises.isServed(requestId))
  }

  /** Explicit joint configurations are left by whoever entered them. */
  #leaveJoint(leader: SimulatedMember): void {
    if (leader.status().conf.autoLeave) return
    this.#touch(leader, () => leader.core.proposeConfChange({ transition: 'auto', changes: [], context: new Uint8Array(0) }))
  }

  /** Does it and checks; nobody else can have changed. */
  #touch(member: SimulatedMember, act: () => void): void {
    act()
    this.#promises.check(member)
  }

  #listens(id: NodeId): boolean {
    return this.#member(id).isUp && !this.#paused.has(id)
  }

  #anyLeader(): SimulatedMember | undefined {
    const leaders = this.#members.filter((member) => this.#listens(member.id) && member.status().role === 'leader')
    return leaders.length === 0 ? undefined : this.#pick(leaders)
  }

  #leaderOrAny(share: number): SimulatedMember {
    const leader = this.#chance(share) ? this.#anyLeader() : undefined
    return leader ?? this.#pick(this.#members)
  }

  /** One that is up and running, the fast ones more often; newcomers idle until someone adds them. */
  #anyMember(): SimulatedMember | undefined {
    const running = this.#members.filter(({ id }) => this.#listens(id))
    const known = running.filter(({ id, applied }) => members(applied.conf).includes(id) || this.#chance(0.1))
    if (known.length === 0) return undefined
    const member = this.#pick(known)
    return this.#chance((this.weather.rates[member.id - 1] ?? 1) / MAX_RATE) ? member : undefined
  }

  #member(id: NodeId): SimulatedMember {
    return present(this.#members[id - 1], `member ${id}`)
  }

  #chance(share: number): boolean {
    return this.#random.float() < share
  }

  #pick<T>(list: readonly T[]): T {
    return present(list[between(this.#random, 0, list.length - 1)], 'choice')
  }
}

/** What is asked of a healed group, as far as it has come. */
class Progress {
  command: string | undefined
  reads: readonly number[] = []
}

function startOf({ voters, learners }: Weather): { readonly start: SnapshotMeta; readonly newcomer: SnapshotMeta } {
  const ids = idsUpTo(voters + learners)
  const conf = { voters: ids.slice(0, voters), outgoing: [], learners: ids.slice(voters), learnersNext: [], autoLeave: false }
  const nobody = { ...conf, voters: [], learners: [] }
  return { start: { index: 1, term: 1, conf }, newcomer: { index: 0, term: 0, conf: nobody } }
}

function idsUpTo(count: number): NodeId[] {
  return Array.from({ length: count }, (_, offset) => offset + 1)
}

function isVoterOf({ voters, outgoing }: ConfState, id: NodeId): boolean {
  return voters.includes(id) || outgoing.includes(id)
}
