// What a recovery would do, decided from what the survivors say of themselves: who goes on, what is kept, what may be lost, or why not. Pure.
import { type Reason } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { voteResult } from '../consensus/quorum.ts'
import { type NodeId } from '../consensus/types.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Host } from '../inventory/model.ts'
import { type Part, type PlannedHost, type RecoveryPlan, type Standing } from '../inventory/recovery.ts'
import { compareText, hostName, vmsOn } from '../inventory/view.ts'
import { type Answer } from './standing.ts'

export interface PlanView {
  readonly self: HostId
  readonly inventory: Inventory
  readonly answers: readonly Answer[]
}

export function planRecovery(view: PlanView): RecoveryPlan {
  const { self, inventory, answers } = view
  const own = answers.find((answer) => answer.host === self)
  const from = inventory.mesh?.generation ?? 0
  const present = survivors(view)
  const best = mostAdvanced(present, inventory)
  const standing = best?.standing ?? null
  const voters: Voters = { voters: standing?.voters ?? [], outgoing: standing?.outgoing ?? [] }
  const alive = quorumAlive(inventory, present, voters)
  const chosen = alive === null ? best : undefined
  const hosts = [...inventory.hosts.values()]
    .sort((a, b) => compareText(a.name, b.name))
    .map((host) => plannedHost(host, { answers, chosen: chosen?.host ?? null, voters }))
  const silent = hosts.filter(({ part }) => part === 'away')
  return {
    from,
    to: 1 + Math.max(from, ...present.map((one) => one.standing.generation)),
    chosen: chosen?.host ?? null,
    hosts,
    kept: { lastIndex: standing?.lastIndex ?? 0, lastTerm: standing?.lastTerm ?? 0, commitIndex: standing?.commitIndex ?? 0 },
    mayLoseMore: standing !== null && hasQuorum(voters, (member) => !present.some((one) => one.standing.member === member)),
    running: silent.flatMap(({ host, name }) => {
      const vms = vmsOn(inventory, host).map((vm) => vm.name)
      return vms.length === 0 ? [] : [{ host: name, vms }]
    }),
    reasons: own?.kind !== 'stands' ? [noStanding(own)] : alive !== null ? [alive] : reasonsAgainst(view, chosen),
  }
}

type Survivor = Extract<Answer, { kind: 'stands' }>
type Voters = Pick<Standing, 'voters' | 'outgoing'>

/** Those of this host's own generation that have any state: a host of another one is no survivor of this one. */
function survivors({ inventory, answers }: PlanView): readonly Survivor[] {
  const { generation, generationId } = inventory.mesh ?? { generation: 0, generationId: null }
  return answers.filter(
    (answer): answer is Survivor =>
      answer.kind === 'stands' &&
      answer.standing.generation === generation &&
      answer.standing.generationId === generationId &&
      answer.standing.appliedIndex > 0,
  )
}

/**
 * Raft's own rule (paper, section 5.4.1): the later term of the last entry, then the longer log. Whoever is at least as advanced as a member
 * has every entry that this member knows to be committed. Among equals one that votes, then one that runs VMs, then by name: every host that
 * asks the same survivors chooses the same one.
 */
export function mostAdvanced(present: readonly Survivor[], inventory: Inventory): Survivor | undefined {
  const rank = ({ host }: Survivor): number => (inventory.hosts.get(host)?.role === 'host' ? 0 : 1)
  const votes = ({ standing }: Survivor): number => (standing.voters.includes(standing.member) ? 0 : 1)
  return [...present].sort(
    (a, b) =>
      b.standing.lastTerm - a.standing.lastTerm ||
      b.standing.lastIndex - a.standing.lastIndex ||
      votes(a) - votes(b) ||
      rank(a) - rank(b) ||
      compareText(hostName(inventory, a.host), hostName(inventory, b.host)),
  )[0]
}

function plannedHost(
  host: Host,
  plan: { readonly answers: readonly Answer[]; readonly chosen: HostId | null; readonly voters: Voters },
): PlannedHost {
  const answer = plan.answers.find((one) => one.host === host.id)
  const standing = answer?.kind === 'stands' ? answer.standing : null
  const voted = [...plan.voters.voters, ...plan.voters.outgoing].includes(host.member)
  const part: Part = standing === null ? 'away' : plan.chosen === null ? 'stays' : host.id === plan.chosen ? 'goes-on' : 'rejoins'
  return { host: host.id, name: host.name, voted, part, standing, why: answer?.kind === 'silent' ? answer.why : null }
}

function reasonsAgainst({ self, inventory }: PlanView, chosen: Survivor | undefined): readonly Reason[] {
  if (chosen === undefined) {
    return [{ code: 'no-state', message: 'no host that answered has received the state of the mesh', fix: 'hostmesh mesh restore FILE' }]
  }
  if (chosen.host === self) return []
  const name = hostName(inventory, chosen.host)
  const { lastTerm, lastIndex } = chosen.standing
  const message = `${name} goes on, not this host: its log reaches entry ${lastIndex} of term ${lastTerm}`
  return [{ code: 'other-host', message, fix: `on ${name}: hostmesh mesh recover --plan` }]
}

function quorumAlive(inventory: Inventory, present: readonly Survivor[], voters: Voters): Reason | null {
  const fix = 'hostmesh mesh status'
  const follower = present.find(({ standing }) => standing.leader !== null)
  if (follower !== undefined) {
    const leader = hostName(inventory, follower.standing.leader ?? follower.host)
    const message = `the mesh has a quorum: ${leader} leads, as ${hostName(inventory, follower.host)} says`
    return { code: 'quorum-alive', message, fix }
  }
  const names = present.filter(({ standing }) => [...voters.voters, ...voters.outgoing].includes(standing.member))
  if (!hasQuorum(voters, (member) => present.some(({ standing }) => standing.member === member))) return null
  const message = `${names.length} of the voters answer (${names.map(({ host }) => hostName(inventory, host)).join(', ')}): that is a quorum, which elects a leader by itself`
  return { code: 'quorum-alive', message, fix }
}

function hasQuorum(voters: Voters, counts: (member: NodeId) => boolean): boolean {
  if (voters.voters.length === 0) return false
  const votes = new Map([...voters.voters, ...voters.outgoing].map((member) => [member, counts(member)]))
  return voteResult(voters, votes) === 'won'
}

function noStanding(own: Answer | undefined): Reason {
  const why = own?.kind === 'silent' ? `: ${own.why}` : ''
  return {
    code: 'no-state',
    message: `this host has no state of the mesh to go on with${why}`,
    fix: 'run it on another host of the mesh; where there is none: hostmesh mesh restore FILE on a host of no mesh',
  }
}
