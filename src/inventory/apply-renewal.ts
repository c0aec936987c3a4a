// A mesh goes on in a new generation: recovered from a survivor's log, or restored from a backup.
import { type Reason } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { admitted, asAnotherMember, forget, joinerReasons } from './apply-mesh.ts'
import { type Command } from './command.ts'
import { type Draft } from './draft.ts'
import { failJob } from './jobs.ts'
import { type CommandResult } from './model.ts'
import { openJob } from './open-jobs.ts'
import { heldReason, heldWhy } from './held-vms.ts'
import { done, refused } from './results.ts'

/**
 * A mesh goes on with one voter. Its hosts stay its hosts, each still as the member that it was: they come back as other ones. No ownership
 * ends here: a VM whose host is away stays that host's. What a backup says may be long over: its tokens are revoked, as some may have been since,
 * and VMs that this host would start by its word are off until a person starts them, as they may run elsewhere by now. Those of other hosts
 * are believed once their host reports them running (`onlyBackedUp` in apply-run.ts).
 */
export function applyRenewal(draft: Draft, command: Extract<Command, { kind: 'mesh-renew' }>): CommandResult {
  const { mesh } = draft.state
  const { generation, generationId, host, cause, plan } = command
  if (mesh === null) return refused('there is no mesh to renew', [{ code: 'mesh-missing', message: 'no mesh was begun yet' }])
  if (generation <= mesh.generation) {
    const message = `generation ${generation} does not follow ${mesh.generation}`
    return refused(`mesh ${mesh.name} was not renewed`, [{ code: 'generation', message }])
  }
  const before = draft.state.hosts.get(host.id)
  const reasons = joinerReasons(draft, before === undefined ? host : { ...host, name: before.name, role: before.role })
  if (reasons.length > 0) return refused(`host ${host.name} cannot go on with mesh ${mesh.name}`, reasons.map(mendedByName))
  draft.setMesh({ ...mesh, generation, generationId, ...(cause === 'restored' ? { restored: generation } : {}) })
  if (before === undefined) forget(draft, host.id)
  draft.put('hosts', before === undefined ? admitted(draft, host, 'up', 0) : asAnotherMember(before, host))
  if (cause === 'restored') distrust(draft, host.id)
  draft.event(`mesh.${cause}`, `mesh ${mesh.name}`, { generation, before: mesh.generation, host: host.id, member: host.member, plan })
  return done({ id: mesh.id })
}

/** There is no mesh to list the hosts of yet, and a host is named where its agent starts. */
function mendedByName(reason: Reason): Reason {
  return reason.code === 'name-taken' ? { ...reason, fix: 'start the agent of this host with another --name' } : reason
}

function distrust(draft: Draft, self: HostId): void {
  for (const token of draft.state.tokens.values()) draft.put('tokens', { ...token, revoked: true })
  for (const vm of draft.state.vms.values()) {
    const others = vm.owner !== null && vm.owner.host !== self
    if (others) draft.put('vms', { ...vm, observed: null })
    if (others || (vm.owner === null && vm.desired.power === 'off')) continue
    draft.put('vms', {
      ...vm,
      desired: { power: 'off', how: 'stop' },
      owner: null,
      observed: null,
      lastHost: vm.owner?.host ?? vm.lastHost,
    })
    draft.event('vm.held', `vm ${vm.name}`, { id: vm.id, why: heldWhy('restored') })
    const job = openJob(draft.state, vm.id)
    if (job !== null) failJob(draft, job, [heldReason('restored', vm.name)])
  }
}
