// The port inventory/cluster.ts on our Raft: proposals travel to the leader by themselves, reads are confirmed by it.
import { sleep, type Clock } from '../base/clock.ts'
import { abortable } from '../base/deadline.ts'
import { emitter } from '../base/emitter.ts'
import { errorText, hasCode, OperationError } from '../base/errors.ts'
import { type HostId, type MemberId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Replica, type ReplicaStatus } from '../consensus/replica.ts'
import { isJoint } from '../consensus/config-change.ts'
import { type ConfState, NOBODY, type NodeId } from '../consensus/types.ts'
import { type Cluster, type ClusterStatus, type HandOver, type MemberStatus, type ProposeOptions } from '../inventory/cluster.ts'
import { type AdminCommand, type HostCommand } from '../inventory/command.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type CommandResult } from '../inventory/model.ts'
import { type Mesh } from '../mesh/mesh.ts'
import { type Generations, isWayOut, supersededError } from './generations.ts'
import { type InventoryMachine } from './inventory-machine.ts'
import { type LeaderDesk } from './leader-desk.ts'
import { type Members } from './members.ts'
import { HAND_OVER, MEMBERS, parseMembers, parseProposeReply, PROPOSE, type ProposeRequest } from './wire.ts'

/** Without a leader for this long a proposal fails with `no-quorum`: twice the longest silent fail-over. */
const NO_LEADER_MS = 3_000
/** One try at one leader; the next may go to another. */
const TRY_MS = 5_000
const RETRY_MS = 50

export interface RaftClusterOptions {
  readonly self: HostId
  readonly clock: Clock
  readonly log: Log
  readonly mesh: Pick<Mesh, 'request'>
  readonly replica: Pick<Replica, 'status' | 'readIndex' | 'onStatus' | 'onApplied'>
  readonly machine: Pick<InventoryMachine, 'inventory' | 'changes'>
  readonly members: Members
  readonly desk: LeaderDesk
  readonly generations: Pick<Generations, 'superseded'>
}

/** `cause` is why nothing is waited for any more. */
export function raftCluster(options: RaftClusterOptions): Cluster & { stop(cause?: OperationError): void } {
  const over = new AbortController()
  const { clock, replica, machine, desk, generations } = options
  const leading = emitter<number | null>()
  const membersChanged = emitter<void>()
  const offLeaving = desk.leaving.changes.on(() => membersChanged.emit())
  let leaderlessSince: number | null = clock.now()
  let announced: number | null = null

  /** A term is announced once an entry of its own is applied here, not at the vote. */
  const announce = (status: ReplicaStatus): void => {
    const term = status.leading ? status.term : null
    if (term === announced) return
    announced = term
    leading.emit(term)
  }
  let before = replica.status()
  const offStatus = replica.onStatus((status) => {
    if (status.conf !== before.conf || status.leader !== before.leader) membersChanged.emit()
    if (status.leader !== before.leader) logLeader(options, status)
    before = status
    if (status.leader !== NOBODY) leaderlessSince = null
    else leaderlessSince ??= clock.now()
    announce(status)
  })

  return {
    view: () => machine.inventory(),
    status: () => clusterStatus(options, leaderlessSince),
    async read(signal) {
      // What this generation agrees on is not what the mesh agrees on: hosts start nothing by it, people see it marked as stale.
      const superseded = generations.superseded()
      if (superseded !== null) throw supersededError(superseded, machine.inventory())
      await replica.readIndex({ signal })
      return machine.inventory()
    },
    async propose(command, how) {
      const superseded = generations.superseded()
      if (superseded !== null && !isWayOut(command.kind, superseded)) throw supersededError(superseded, machine.inventory())
      const signal = AbortSignal.any([how.signal, over.signal])
      return untilOver(over.signal, command, proposeSomewhere(options, command, { ...how, signal }))
    },
    proposeAsLeader: (command, signal) => desk.decide(command, signal).catch(staleDecision),
    onChange: (listener) => machine.changes.on(listener),
    handOver: (wish, signal) => handOverSomewhere(options, wish, signal),
    members: (signal) => membersByLeader(options, signal),
    onMembers: (listener) => membersChanged.on(listener),
    onLeading: (listener) => leading.on(listener),
    stop(cause = new OperationError('unreachable', 'this agent stops')) {
      over.abort(cause)
      offStatus()
      offLeaving()
    },
  }
}

/** Beside the ends of links, what somebody needs who asks later where the time of a fail-over went. */
function logLeader({ log, members }: RaftClusterOptions, { leader, term }: ReplicaStatus): void {
  if (leader === NOBODY) log.info({ term }, 'no leader is known')
  else log.info({ term, leader: members.hostOf(leader) ?? leader }, 'a leader is known')
}

/** A decision that came after its term, here or on its way into the log, was not carried out: the port calls that an answer, not an error. */
function staleDecision(error: unknown): CommandResult {
  if (error instanceof OperationError && OVER.has(error.data['kind'])) return { kind: 'stale', why: error.message }
  throw error
}

/** Of another term, not leading any more, overwritten by another leader's entry (consensus/proposals.ts). */
const OVER: ReadonlySet<unknown> = new Set(['stale', 'not-leader', 'lost'])

/**
 * Whoever asked a host to remove itself hears that it is done, however the news of it came. To all others that still wait the end of this
 * member leaves open what became of their command.
 */
async function untilOver(over: AbortSignal, command: AdminCommand | HostCommand, answer: Promise<CommandResult>): Promise<CommandResult> {
  try {
    return await abortable(answer, over)
  } catch (error) {
    if (!over.aborted) throw error
    if (command.kind === 'host-remove' && removedHost(over.reason) === command.host) return { kind: 'done', value: { id: command.host } }
    throw new OperationError('timeout', `${errorText(over.reason)}: whether the command was carried out is not known`, { cause: error })
  }
}

function removedHost(cause: unknown): unknown {
  return hasCode(cause, 'refused') && cause.data['kind'] === 'removed' ? cause.data['host'] : undefined
}

/** Tries until the outcome is known or the signal ends it: request keys and epochs make every repetition harmless. */
async function proposeSomewhere(
  options: RaftClusterOptions,
  command: AdminCommand | HostCommand,
  how: ProposeOptions,
): Promise<CommandResult> {
  const { clock, replica } = options
  const request: ProposeRequest = { command, actor: how.actor, reason: how.reason ?? null, requestKey: how.requestKey ?? null }
  let uncertain = false
  let leaderSeen = clock.now()
  /** What the last try said of its own, to be told when there is no time for another. */
  let last: unknown
  for (;;) {
    try {
      const { index, result } = await tryOnce(options, request, how.signal)
      // Committed. Whoever cannot wait for it to arrive here must not be told that nothing was done.
      uncertain = true
      await appliedHere(replica, index, how.signal)
      return result
    } catch (error) {
      // First of all: what was under way when the time was up may have been committed too.
      uncertain ||= error instanceof OperationError && mayBeDone(error)
      if (isVoteNeeded(error)) last = error
      if (how.signal.aborted) throw ended(how.signal, uncertain, last)
      if (!hasCode(error, 'unreachable', 'no-quorum', 'timeout', 'conflict')) throw error
    }
    if (replica.status().leader !== NOBODY) leaderSeen = clock.now()
    else if (clock.now() - leaderSeen >= NO_LEADER_MS) throw uncertain ? unknownOutcome() : noQuorum()
    await sleep(clock, RETRY_MS, how.signal).catch(() => {
      throw ended(how.signal, uncertain, last)
    })
  }
}

async function tryOnce(
  options: RaftClusterOptions,
  request: ProposeRequest,
  signal: AbortSignal,
): Promise<{ index: number; result: CommandResult }> {
  const { replica, members, mesh, desk, self } = options
  const { leader, role } = replica.status()
  if (role === 'leader') return desk.accept(request, self, signal)
  const host = leader === NOBODY ? undefined : members.hostOf(leader)
  if (host === undefined) throw noQuorum()
  // A leader that died in silence never answers: the election says so well before its link does.
  const leaderless = new AbortController()
  const off = replica.onStatus((status) => {
    if (status.leader !== leader)
      leaderless.abort(new OperationError('unreachable', 'the leader changed meanwhile', { data: { sent: true } }))
  })
  try {
    const reply = await mesh.request(host, PROPOSE, request, { deadlineMs: TRY_MS, signal: AbortSignal.any([signal, leaderless.signal]) })
    return parseProposeReply(reply)
  } finally {
    off()
  }
}

/** Where this host leads it is its own to do, else the leader's. Not tried again: whoever asked sees who leads now, and decides. */
async function handOverSomewhere(options: RaftClusterOptions, wish: HandOver, signal: AbortSignal): Promise<void> {
  const { replica, members, mesh, desk } = options
  const { leader, role } = replica.status()
  if (role === 'leader') return desk.handOver(wish, signal)
  const host = leader === NOBODY ? undefined : members.hostOf(leader)
  if (host === undefined) throw noQuorum()
  await mesh.request(host, HAND_OVER, wish, { deadlineMs: TRY_MS, signal })
}

async function membersByLeader(options: RaftClusterOptions, signal: AbortSignal): Promise<readonly MemberStatus[]> {
  const { replica, members, mesh } = options
  const { leader, role } = replica.status()
  if (role === 'leader') return memberStatuses(options, replica.status())
  const host = leader === NOBODY ? undefined : members.hostOf(leader)
  if (host === undefined) throw noQuorum()
  return parseMembers(await mesh.request(host, MEMBERS, {}, { deadlineMs: TRY_MS, signal }))
}

/** Whoever wrote through this host reads its own write here. */
function appliedHere(replica: RaftClusterOptions['replica'], index: number, signal: AbortSignal): Promise<void> {
  if (replica.status().appliedIndex >= index) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const finish = (run: () => void): void => {
      off()
      signal.removeEventListener('abort', onAbort)
      run()
    }
    const onAbort = (): void => finish(() => reject(signal.reason))
    const off = replica.onApplied((applied) => {
      if (applied >= index) finish(resolve)
    })
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}

/** Whether the proposal may have been committed all the same: the replica says `unknown`, the mesh says that the request had left. */
function mayBeDone(error: OperationError): boolean {
  const { kind, sent } = error.data
  if (kind !== undefined) return kind === 'unknown'
  return error.code === 'unreachable' ? sent !== false : error.code === 'timeout'
}

function ended(signal: AbortSignal, uncertain: boolean, last: unknown): unknown {
  if (!hasCode(signal.reason, 'timeout')) return signal.reason
  return uncertain ? unknownOutcome() : (last ?? noQuorum())
}

function isVoteNeeded(error: unknown): boolean {
  return error instanceof OperationError && error.data['kind'] === 'vote-needed'
}

function noQuorum(): OperationError {
  return new OperationError(
    'no-quorum',
    'no leader is known: the hosts that can talk to each other are no majority of the voters; nothing was changed',
    {
      reasons: [{ code: 'no-quorum', message: 'a majority of the voters must be up and connected', fix: 'hostmesh mesh members' }],
    },
  )
}

function unknownOutcome(): OperationError {
  return new OperationError(
    'timeout',
    'the leader was lost while it worked on this: whether it was done is not known; repeat it with the same idempotency key',
    {
      data: { kind: 'unknown' },
    },
  )
}

function clusterStatus(options: RaftClusterOptions, leaderlessSince: number | null): ClusterStatus {
  const { replica, members, clock, generations } = options
  const status = replica.status()
  const leader = status.leader === NOBODY ? null : (members.hostOf(status.leader) ?? null)
  return {
    term: status.term,
    leader,
    leading: status.role === 'leader',
    commitIndex: status.commitIndex,
    appliedIndex: status.appliedIndex,
    quorum: leader === null ? 'lost' : 'ok',
    staleMs: leader === null ? Math.round(clock.now() - (leaderlessSince ?? clock.now())) : null,
    members: memberStatuses(options, status),
    strangers: strangers(options.machine.inventory(), status.conf),
    changing: isJoint(status.conf),
    superseded: generations.superseded(),
  }
}

function strangers(inventory: Inventory, { voters, outgoing }: ConfState): readonly MemberId[] {
  const known = new Set<NodeId>([...inventory.hosts.values()].map(({ member }) => member))
  // Every member was one of a host when it came into the configuration.
  return [...new Set([...voters, ...outgoing])].filter((id) => !known.has(id)).map((id) => id as MemberId)
}

function memberStatuses({ machine, desk }: RaftClusterOptions, status: ReplicaStatus): readonly MemberStatus[] {
  const voters = new Set([...status.conf.voters, ...status.conf.outgoing])
  return [...machine.inventory().hosts.values()].map((host) => {
    const progress = status.progress.get(host.member)
    const voterRole = status.leader === host.member ? 'leader' : host.role === 'witness' ? 'witness' : 'voter'
    return {
      host: host.id,
      member: host.member,
      leaving: desk.leaving.has(host.member),
      role: voters.has(host.member) ? voterRole : 'learner',
      matchIndex: progress?.match ?? null,
      active: status.role !== 'leader' ? null : host.member === status.id || progress?.active === true,
    }
  })
}
