// The leader's side of every change: stamps the record, turns what changes members into configuration changes, proposes.
import { type Clock } from '../base/clock.ts'
import { OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type ConfChange, type ConfChangeStep } from '../consensus/types.ts'
import { type Replica } from '../consensus/replica.ts'
import { type Command, type CommandRecord, type LeaderCommand, type MemberCommand, COMMAND_VERSION } from '../inventory/command.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type CommandResult } from '../inventory/model.ts'
import { decodeRecord, encodeRecord } from '../inventory/record.ts'
import { type InventoryMachine } from './inventory-machine.ts'
import { type ProposeReply, type ProposeRequest } from './wire.ts'

export interface LeaderDesk {
  /** A proposal of a person or a host, asked for by `from`. Rejects with `unreachable` when this host does not lead (surely not done). */
  accept(request: ProposeRequest, from: HostId, signal: AbortSignal): Promise<ProposeReply>
  /** A decision of this host's own controllers or of the join protocol. */
  decide(command: LeaderCommand | MemberCommand, signal: AbortSignal): Promise<CommandResult>
}

export interface LeaderDeskOptions {
  readonly self: HostId
  readonly clock: Clock
  readonly replica: Pick<Replica, 'propose' | 'proposeConfChange'>
  readonly machine: InventoryMachine
}

export function leaderDesk({ self, clock, replica, machine }: LeaderDeskOptions): LeaderDesk {
  const propose = async (record: CommandRecord, term: number | undefined, signal: AbortSignal): Promise<ProposeReply> => {
    const bytes = encodeRecord(record)
    const options = term === undefined ? { signal } : { signal, term }
    const change = memberChange(machine.inventory(), record.command, bytes)
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
  return {
    async accept(request, from, signal) {
      const { command, ...rest } = request
      assertMayAsk(command, from)
      // The round trip through the codec refuses what no member could apply, before it can enter the log.
      return propose(decodeRecord(encodeRecord(stamp(command, rest))), undefined, signal)
    },
    async decide(command, signal) {
      const name = machine.inventory().hosts.get(self)?.name ?? self
      const term = 'leaderTerm' in command ? command.leaderTerm : undefined
      const record = stamp(command, { actor: `leader ${name}`, reason: null, requestKey: null })
      return (await propose(record, term, signal)).result
    },
  }
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

/** One entry changes the members of Raft and the hosts of the mesh, or neither: the record travels as the change's context. */
function memberChange(inventory: Inventory, command: Command, context: Uint8Array): ConfChange | null {
  const changes = memberSteps(inventory, command)
  return changes === null ? null : { transition: 'auto', changes, context }
}

function memberSteps(inventory: Inventory, command: Command): readonly ConfChangeStep[] | null {
  switch (command.kind) {
    case 'mesh-init':
      return [{ kind: 'add-voter', node: command.host.member }]
    case 'host-join':
    case 'host-rejoin': {
      // A host with a new data directory is a new member in the place of its old one.
      const old = inventory.hosts.get(command.host.id)
      const remove: ConfChangeStep[] = old === undefined || old.member === command.host.member ? [] : [{ kind: 'remove', node: old.member }]
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
