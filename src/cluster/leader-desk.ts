// The leader's side of every change: stamps the record, turns what changes members into configuration changes, proposes.
import { type Clock } from '../base/clock.ts'
import { OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { isVoter } from '../consensus/config-change.ts'
import { type Replica } from '../consensus/replica.ts'
import { type ConfChange, type ConfChangeStep, type NodeId } from '../consensus/types.ts'
import { allowed } from '../inventory/allowed.ts'
import { type HandOver } from '../inventory/cluster.ts'
import { type Command, type CommandRecord, type LeaderCommand, type MemberCommand, COMMAND_VERSION } from '../inventory/command.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type CommandResult } from '../inventory/model.ts'
import { decodeRecord, encodeRecord } from '../inventory/record.ts'
import { type Generations, isWayOut, supersededError } from './generations.ts'
import { handOver, type HandOverDesk } from './hand-over.ts'
import { type InventoryMachine } from './inventory-machine.ts'
import { Leaving } from './leaving.ts'
import { type Members } from './members.ts'
import { isShort, shortOfSpace, type Space } from './space.ts'
import { type ProposeReply, type ProposeRequest } from './wire.ts'

export interface LeaderDesk {
  /** A proposal of a person or a host, asked for by `from`. Rejects with `unreachable` when this host does not lead (surely not done). */
  accept(request: ProposeRequest, from: HostId, signal: AbortSignal): Promise<ProposeReply>
  /** A decision of this host's own controllers or of the join protocol; `by`: of a person who asked for it. */
  decide(command: LeaderCommand | MemberCommand, signal: AbortSignal, by?: Pick<CommandRecord, 'actor' | 'reason'>): Promise<CommandResult>
  handOver(wish: HandOver, signal: AbortSignal): Promise<void>
  readonly leaving: Leaving
}

export interface LeaderDeskOptions {
  readonly self: HostId
  readonly clock: Clock
  readonly replica: Pick<Replica, 'propose' | 'proposeConfChange' | 'status' | 'onStatus' | 'transferLeadership'>
  readonly machine: InventoryMachine
  readonly members: Members
  readonly generations: Pick<Generations, 'superseded'>
  readonly space: Space
}

export function leaderDesk({ self, clock, replica, machine, members, generations, space }: LeaderDeskOptions): LeaderDesk {
  const leaving = new Leaving(clock, replica)
  const propose = async (record: CommandRecord, term: number | undefined, signal: AbortSignal): Promise<ProposeReply> => {
    const superseded = generations.superseded()
    if (superseded !== null && !isWayOut(record.command.kind, superseded)) throw supersededError(superseded, machine.inventory())
    const bytes = encodeRecord(record)
    const options = term === undefined ? { signal } : { signal, term }
    const change = memberChange(machine.inventory(), record.command, {
      context: bytes,
      votes: (member) => isVoter(replica.status().conf, member),
    })
    const { index, result } = change === null ? await replica.propose(bytes, options) : await replica.proposeConfChange(change, options)
    // The machine of this very process made it.
    return { index, result: result as CommandResult }
  }
  const stamp = (command: Command, rest: Pick<CommandRecord, 'actor' | 'reason' | 'requestKey'>): CommandRecord => ({
    version: COMMAND_VERSION,
    at: Math.round(clock.wall()),
    ...rest,
    command,
  })
  const ownName = (): string => machine.inventory().hosts.get(self)?.name ?? self
  const decide: LeaderDesk['decide'] = async (command, signal, by) => {
    const name = ownName()
    const term = 'leaderTerm' in command ? command.leaderTerm : undefined
    const record = stamp(command, { actor: by?.actor ?? `leader ${name}`, reason: by?.reason ?? null, requestKey: null })
    return (await propose(record, term, signal)).result
  }
  const handOverDesk: HandOverDesk = {
    inventory: () => machine.inventory(),
    replica,
    members,
    note: (wish, leaderTerm, signal) => decide({ kind: 'leader-transfer', leaderTerm, to: wish.to, why: wish.why }, signal, wish),
  }
  return {
    leaving,
    decide,
    handOver: (wish, signal) => handOver(handOverDesk, wish, signal),
    async accept(request, from, signal) {
      const { command, ...rest } = request
      assertMayAsk(command, from)
      if (!isReport(command) && isShort(space.freeMiB()) && replica.status().role === 'leader')
        throw shortOfSpace(ownName(), space.freeMiB())
      if (command.kind === 'host-remove') await giveUpVote(machine.inventory(), command.host, leaving, signal)
      // The round trip through the codec refuses what no member could apply, before it can enter the log.
      return propose(decodeRecord(encodeRecord(stamp(command, rest))), undefined, signal)
    },
  }
}

/** Nothing of a removal that will be refused is begun. */
async function giveUpVote(inventory: Inventory, id: HostId, leaving: Leaving, signal: AbortSignal): Promise<void> {
  const host = inventory.hosts.get(id)
  if (host !== undefined && allowed(inventory, 'host-remove', host).length === 0) await leaving.giveUpVote(host.member, signal)
}

/** Only people's and hosts' commands may be asked for, and a host speaks for itself only. */
function assertMayAsk(command: Command, from: HostId): void {
  if ('leaderTerm' in command || isMemberKind(command.kind)) {
    throw new OperationError('forbidden', `command ${command.kind} is decided by the leader, no host may ask for it`)
  }
  if (isReport(command) && command.host !== from) {
    throw new OperationError('forbidden', `host ${from} reported ${command.kind} for host ${command.host}; a host reports for itself only`)
  }
}

const MEMBER_KINDS: ReadonlySet<string> = new Set<MemberCommand['kind']>([
  'mesh-init',
  'host-join',
  'host-rejoin',
  'mesh-renew',
  'voters-change',
])
const REPORTS: ReadonlySet<string> = new Set([
  'agent-started',
  'host-addresses',
  'host-alarm',
  'vm-observed',
  'vm-stopped',
  'disk-done',
  'disk-failed',
  'job-progress',
  'job-done',
  'job-failed',
])

function isMemberKind(kind: string): boolean {
  return MEMBER_KINDS.has(kind)
}

function isReport(command: Command): command is Extract<Command, { host: HostId; kind: 'agent-started' | 'vm-observed' }> {
  return REPORTS.has(command.kind)
}

interface MemberChange {
  readonly context: Uint8Array
  readonly votes: (member: NodeId) => boolean
}

/** One entry changes the members of Raft and the hosts of the mesh, or neither: the record travels as the change's context. */
function memberChange(inventory: Inventory, command: Command, { context, votes }: MemberChange): ConfChange | null {
  const changes = memberSteps(inventory, command, votes)
  return changes === null ? null : { transition: 'auto', changes, context }
}

function memberSteps(inventory: Inventory, command: Command, votes: MemberChange['votes']): readonly ConfChangeStep[] | null {
  switch (command.kind) {
    case 'mesh-init':
      return [{ kind: 'add-voter', node: command.host.member }]
    case 'host-join':
    case 'host-rejoin': {
      // A host with a new data directory is a new member in the place of its old one.
      const old = inventory.hosts.get(command.host.id)
      // A lost voter is missed, but still counted, until somebody takes its place: without it the number would be even.
      const stays = old === undefined || old.member === command.host.member || votes(old.member)
      const remove: ConfChangeStep[] = stays ? [] : [{ kind: 'remove', node: old.member }]
      return [...remove, { kind: 'add-learner', node: command.host.member }]
    }
    case 'host-remove': {
      // Of a host that is not there the entry changes nothing, and says so.
      const host = inventory.hosts.get(command.host)
      return host === undefined ? null : [{ kind: 'remove', node: host.member }]
    }
    case 'voters-change':
      return [
        ...command.promote.map((node): ConfChangeStep => ({ kind: 'add-voter', node })),
        ...command.demote.map((node): ConfChangeStep => ({ kind: 'add-learner', node })),
        ...command.remove.map((node): ConfChangeStep => ({ kind: 'remove', node })),
      ]
    default:
      return null
  }
}
