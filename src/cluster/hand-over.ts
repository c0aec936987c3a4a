// The leader hands over: who may follow it, and what became of it, in words of hosts.
import { hasCode, OperationError, type Reason, refusal } from '../base/errors.ts'
import { isVoter } from '../consensus/config-change.ts'
import { type Replica, type ReplicaStatus } from '../consensus/replica.ts'
import { type HandOver } from '../inventory/cluster.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type CommandResult, type Host } from '../inventory/model.ts'
import { hostName } from '../inventory/view.ts'
import { type Members } from './members.ts'

/** What the target lacks is sent within the transfer's election time-out; more than one message's worth may not arrive in time. */
const MAX_LAG_ENTRIES = 1_000

export interface HandOverDesk {
  readonly inventory: () => Inventory
  readonly replica: Pick<Replica, 'status' | 'transferLeadership'>
  readonly members: Members
  /** Puts the reason into the event log, in this term or not at all. */
  readonly note: (wish: HandOver, term: number, signal: AbortSignal) => Promise<CommandResult>
}

/** Asked of the leader; the contract is that of the port (inventory/cluster.ts). */
export async function handOver(desk: HandOverDesk, wish: HandOver, signal: AbortSignal): Promise<void> {
  const status = desk.replica.status()
  if (status.role !== 'leader') {
    throw new OperationError('unreachable', 'this host does not lead any more: try again', { data: { kind: 'not-leader' } })
  }
  const inventory = desk.inventory()
  const host = inventory.hosts.get(wish.to)
  if (host === undefined) throw new OperationError('not-found', `there is no host ${wish.to}`)
  const reasons = reasonsAgainst(host, status)
  if (reasons.length > 0) throw refusal(`host ${host.name} cannot lead`, reasons)
  if (wish.dryRun) return
  const noted = await desk.note(wish, status.term, signal)
  if (noted.kind !== 'done') throw new OperationError('conflict', `leadership changed meanwhile: ${JSON.stringify(noted)}`)
  try {
    await desk.replica.transferLeadership(host.member, { signal })
  } catch (error) {
    if (!hasCode(error, 'timeout', 'conflict', 'unreachable')) throw error
    throw notDone(desk, host, error)
  }
}

/** Every reason at once why this host cannot take over now. */
export function reasonsAgainst(host: Host, status: Pick<ReplicaStatus, 'id' | 'conf' | 'progress' | 'lastIndex'>): readonly Reason[] {
  const { name, member } = host
  if (member === status.id) return [{ code: 'leads-already', message: `${name} leads already` }]
  const reasons: Reason[] = []
  const fix = 'hostmesh mesh members'
  if (host.role === 'witness') {
    reasons.push({ code: 'witness', message: `${name} is a witness: it would hand leadership on at once`, fix })
  }
  if (!isVoter(status.conf, member)) {
    reasons.push({ code: 'learner', message: `${name} is a learner: only a voter can lead`, fix })
  }
  const progress = status.progress.get(member)
  if (progress?.active !== true) {
    reasons.push({ code: 'not-heard', message: `${name} does not answer the leader`, fix: `bring ${name} or its network back` })
  }
  const lag = status.lastIndex - (progress?.match ?? 0)
  if (lag > MAX_LAG_ENTRIES) {
    const message = `${name} lacks ${lag} entries of the log, at most ${MAX_LAG_ENTRIES} can be made up in time`
    reasons.push({ code: 'lags', message, fix: `${fix}, until it has caught up` })
  }
  return reasons
}

function notDone({ inventory, replica, members }: HandOverDesk, to: Host, cause: OperationError): OperationError {
  const { leader } = replica.status()
  const leads = members.hostOf(leader)
  const now = leads === undefined ? 'nobody is known to lead now' : `${hostName(inventory(), leads)} leads`
  const message = `host ${to.name} did not take over: ${now}`
  return new OperationError('timeout', message, {
    data: { kind: 'not-done', leader: leads ?? null },
    reasons: [{ code: 'not-taken-over', message, fix: `hostmesh mesh members, then hostmesh mesh leader transfer ${to.name}` }],
    cause,
  })
}
