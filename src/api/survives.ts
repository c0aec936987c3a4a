// What failure the mesh survives now: voters that may still die, and protected VMs that the death of one host would leave without a place.
import { type HostId } from '../base/ids.ts'
import { type ClusterStatus } from '../inventory/cluster.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { type Vm } from '../inventory/model.ts'
import { compareText, type Liveness, nextEpoch, vmsOn } from '../inventory/view.ts'
import { place } from '../scheduler/place.ts'
import { type World } from '../scheduler/world.ts'

/** How many more voters may die before those left are no majority. */
export function sparableVoters(liveness: Liveness, { members, quorum }: Pick<ClusterStatus, 'members' | 'quorum'>): number {
  if (quorum === 'lost') return 0
  const voters = members.filter(({ role }) => role !== 'learner')
  const up = voters.filter(({ host }) => liveness.get(host) === 'up')
  const majority = Math.floor(voters.length / 2) + 1
  return Math.max(0, up.length - majority)
}

/** Names of VMs with `ha=restart` that have no room elsewhere when their host dies, for the death of any one host; in order. */
export function unseatedVms(world: World): string[] {
  const names = [...world.inventory.hosts.keys()].flatMap((host) => unseatedBy(world, host))
  return names.toSorted(compareText)
}

/** One after the other, as they would be restarted: what is seated takes room from the next. */
function unseatedBy(world: World, dead: HostId): string[] {
  const protectedVms = vmsOn(world.inventory, dead).filter((vm) => vm.ha === 'restart')
  const inOrder = protectedVms.toSorted((a, b) => a.priority - b.priority || compareText(a.id, b.id))
  let left: World = { ...world, inventory: without(world.inventory, dead) }
  const unseated: string[] = []
  for (const vm of inOrder) {
    const placement = place(left, vm)
    if (placement.kind === 'refused') unseated.push(vm.name)
    else left = { ...left, inventory: seated(left.inventory, vm, placement.host) }
  }
  return unseated
}

function without(inventory: Inventory, dead: HostId): Inventory {
  return { ...inventory, hosts: new Map([...inventory.hosts].filter(([id]) => id !== dead)) }
}

function seated(inventory: Inventory, vm: Vm, host: HostId): Inventory {
  const owner = { host, epoch: nextEpoch(inventory, vm), ending: null }
  return { ...inventory, vms: new Map([...inventory.vms, [vm.id, { ...vm, owner }]]) }
}
