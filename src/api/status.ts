// `status`: the mesh on one screen. What it survives, and what somebody should look at. Pure.
import { type ClusterStatus } from '../inventory/cluster.ts'
import { hostName, hostState, vmState } from '../inventory/view.ts'
import { alarmsOf } from './alarms.ts'
import { type Sight } from './shapes.ts'
import { sparableVoters, unseatedVms } from './survives.ts'
import { type StatusAnswer } from './types.ts'

export interface StatusParts extends Pick<StatusAnswer, 'self' | 'mesh' | 'stale'> {
  readonly cluster: ClusterStatus
}

export function statusAnswer(sight: Sight, { cluster, self, mesh, stale }: StatusParts): StatusAnswer {
  const { inventory, liveness } = sight
  const { term, leader, commitIndex, appliedIndex, quorum } = cluster
  const hosts = [...inventory.hosts.values()]
  const vms = [...inventory.vms.values()]
  return {
    mesh,
    self,
    leader: leader === null ? null : { id: leader, name: hostName(inventory, leader) },
    term,
    commitIndex,
    appliedIndex,
    quorum,
    stale,
    hosts: { up: hosts.filter((host) => hostState(host, liveness) === 'up').length, total: hosts.length },
    vms: { running: vms.filter((vm) => vmState(vm, liveness) === 'running').length, total: vms.length },
    survives: { hosts: sparableVoters(liveness, cluster), unseated: unseatedVms(sight) },
    alarms: alarmsOf(sight, cluster),
  }
}
