// The second phase of a run: everything is mended, and the mesh has to get everywhere it should be, in bounded time.
import { present } from '../../src/base/assert.ts'
import { type JobId, newId, type RequestKey } from '../../src/base/ids.ts'
import { type AdminCommand } from '../../src/inventory/command.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { type Job, type Vm } from '../../src/inventory/model.ts'
import { stateText } from '../fixture/state-text.ts'
import { sameEpoch } from '../../src/inventory/view.ts'
import { Administrator } from './administrator.ts'
import { clusterOf, votersOf, votersWanted } from './founding.ts'
import { pathOf } from './shared-files.ts'
import { type SimHost } from './sim-host.ts'
import { TOO_MUCH_MIB } from './workload.ts'
import { type World } from './world.ts'

/** Agents that start, an election, ten stable seconds before a promotion, guests that shut down within 15 s; with air. */
const LIMIT_MS = 90_000
/** How often people look after what only they can mend: what is wrong may be reported late. */
const ROUND_MS = 5_000
/** How often the world is asked: each question costs a look at every host. */
const LOOK_MS = 100

/** Throws with everything that is not as it should be, once the time is over; or BrokenWorld. `alsoOpen`: what else is still to come about. */
export async function demandProgress(world: World, alsoOpen: () => readonly string[] = () => []): Promise<void> {
  const administrator = new Administrator(world)
  const end = world.clock.now() + LIMIT_MS
  await reach(world, end, () => [...alsoOpen(), ...meshIsWhole(world)])
  for (const { hypervisor } of world.hosts.values()) {
    for (const vm of inventoryOf(world).vms.keys()) hypervisor.ignoreButton(vm, false)
  }
  const asWanted = (): readonly string[] => [...meshIsWhole(world), ...guestsAreRight(world), ...nothingIsLeftOpen(world)]
  for (let round = 1; asWanted().length > 0 && world.clock.now() < end; round += 1) {
    await doPeoplesPart(world, administrator, round)
    await world.run(ROUND_MS)
  }
  await reach(world, end, asWanted)
  await everyHostWorks(world, administrator)
  await reach(world, end, () => [...meshIsWhole(world), ...statesAreEqual(world)])
  world.requestWatch.finish(clusterOf(present([...world.hosts.values()][0], 'host')).view())
  await world.run(1)
}

async function reach(world: World, end: number, missing: () => readonly string[]): Promise<void> {
  for (;;) {
    const left = missing()
    if (left.length === 0) return
    if (world.clock.now() >= end) throw new Error(`${LIMIT_MS / 1000} s after everything was mended:\n  ${left.join('\n  ')}`)
    await world.run(LOOK_MS)
  }
}

/** One leader that all know, everybody caught up, as many voters as the hosts make useful. */
function meshIsWhole(world: World): readonly string[] {
  const hosts = [...world.hosts.values()]
  const missing = hosts.filter(({ agent }) => agent === undefined || !agent.api.lifecycle.initialised())
  if (missing.length > 0) return missing.map(({ name }) => `the agent of ${name} is not up`)
  const found = hosts.map((host) => ({ host, status: clusterOf(host).status() }))
  const leaders = found.filter(({ status }) => status.leading)
  const [leader] = leaders
  if (leader === undefined || leaders.length > 1) return [`${leaders.length} hosts lead`]
  const wanted = votersWanted(hosts.length)
  const voters = votersOf(clusterOf(leader.host))
  return [
    ...found.filter(({ status }) => status.leader !== leader.host.id).map(({ host }) => `${host.name} does not follow ${leader.host.name}`),
    ...found
      .filter(({ status }) => status.appliedIndex !== leader.status.commitIndex)
      .map(({ host, status }) => `${host.name} has applied ${status.appliedIndex} of ${leader.status.commitIndex}`),
    ...(voters === wanted ? [] : [`${voters} members vote, ${wanted} should`]),
  ]
}

/** What only a person can do: resume guests whose disk failed, stop those that did not hear. */
async function doPeoplesPart(world: World, administrator: Administrator, round: number): Promise<void> {
  const host = present([...world.hosts.values()][0], 'host')
  for (const vm of inventoryOf(world).vms.values()) {
    const command = peoplesPart(world, vm)
    if (command === undefined) continue
    const outcome = await world.settle(
      `a person mends ${vm.name}`,
      administrator.write({ key: `mend ${vm.id} ${round}` as RequestKey, command: () => command, through: [host] }),
      LIMIT_MS,
    )
    if (outcome.kind !== 'answered') throw new Error(`nobody could mend VM ${vm.name}: ${JSON.stringify(outcome)}`)
  }
}

function peoplesPart(world: World, vm: Vm): AdminCommand | undefined {
  const job = newId<JobId>((length) => world.random.bytes(length))
  if (vm.owner?.ending === 'shutdown') return { kind: 'vm-stop', vm: vm.id, job }
  if (vm.observed?.status === 'io-error') return { kind: 'vm-resume', vm: vm.id, job }
  return undefined
}

function guestsAreRight(world: World): readonly string[] {
  const inventory = inventoryOf(world)
  const strangers = world.runWatch.allLive().filter(([vm]) => !inventory.vms.has(vm))
  return [
    ...[...inventory.vms.values()].flatMap((vm) => wrongGuest(world, vm).map((wrong) => `VM ${vm.name} ${wrong}`)),
    ...strangers.map(([vm, { host }]) => `a guest of the deleted VM ${vm} lives on ${host}`),
  ]
}

function wrongGuest(world: World, vm: Vm): readonly string[] {
  const live = world.runWatch.live(vm.id)
  if (!isRunnable(vm)) return live.length === 0 && vm.owner === null ? [] : ['should not run']
  const { owner, observed } = vm
  if (live.length !== 1) return [`runs ${live.length} times (${vm.fault?.kind ?? 'no fault'}, owner ${owner?.host ?? 'nobody'})`]
  const runsAsOwned = live.some(({ host, epoch }) => owner?.host === host && sameEpoch(owner.epoch, epoch))
  const status = vm.desired.power === 'on' && vm.desired.paused ? 'paused' : 'running'
  return [
    ...(runsAsOwned ? [] : ['runs elsewhere than it is owned']),
    ...(observed?.status === status ? [] : [`is ${observed?.status ?? 'not observed'}, wanted is ${status}`]),
  ]
}

/** Wanted on, not given up after crashes, and small enough for some host. */
function isRunnable(vm: Vm): boolean {
  return vm.desired.power === 'on' && vm.fault?.kind !== 'crash' && vm.spec.memoryMiB < TOO_MUCH_MIB
}

function nothingIsLeftOpen(world: World): readonly string[] {
  const inventory = inventoryOf(world)
  const open = [...inventory.jobs.values()].filter((job) => job.endedAt === null && !waitsForAPlace(inventory, job))
  const disks = [...inventory.disks.values()].filter(({ state }) => state.kind !== 'ready' && state.kind !== 'failed')
  const lost = [...inventory.disks.values()].filter((disk) => disk.state.kind === 'ready' && !isOnDisk(world, inventory, disk.id))
  return [
    ...open.map((job) => `job ${job.kind} of ${job.name} is open: ${job.step}`),
    ...disks.map((disk) => `disk ${disk.name} is ${disk.state.kind}`),
    ...lost.map((disk) => `disk ${disk.name} is ready, its file is not`),
  ]
}

function waitsForAPlace(inventory: Inventory, job: Job): boolean {
  const vm = [...inventory.vms.values()].find(({ id }) => id === job.object.id)
  return vm !== undefined && vm.spec.memoryMiB >= TOO_MUCH_MIB
}

function isOnDisk(world: World, inventory: Inventory, id: string): boolean {
  const disk = [...inventory.disks.values()].find((one) => one.id === id)
  const datastore = disk === undefined ? undefined : inventory.datastores.get(disk.datastore)
  return disk !== undefined && datastore !== undefined && world.files.sizes.get(pathOf(datastore, disk)) === disk.sizeBytes
}

async function everyHostWorks(world: World, administrator: Administrator): Promise<void> {
  for (const host of world.hosts.values()) {
    const key = `last write through ${host.name}` as RequestKey
    const command = (): AdminCommand => ({ kind: 'host-set', host: host.id, labels: { last: host.name } })
    const outcome = await world.settle(`a write through ${host.name}`, administrator.write({ key, command, through: [host] }), LIMIT_MS)
    if (outcome.kind !== 'answered' || outcome.result.kind !== 'done') {
      throw new Error(`a write through ${host.name} failed in a whole mesh: ${JSON.stringify(outcome)}`)
    }
    const read = await world.settle(`a read through ${host.name}`, administrator.read(host), LIMIT_MS)
    if (!read) throw new Error(`a read through ${host.name} failed in a whole mesh`)
  }
}

/** Byte for byte, once: after every step only sums are compared. */
function statesAreEqual(world: World): readonly string[] {
  const [first, ...others] = [...world.hosts.values()].map((host) => ({ host, text: textOf(host) }))
  if (first === undefined) return []
  return others.filter(({ text }) => text !== first.text).map(({ host }) => `${host.name} has another state than ${first.host.name}`)
}

function textOf(host: SimHost): string {
  // Not its index: they may differ by entries of Raft's own, which change nothing.
  return stateText(clusterOf(host).view())
}

/** Of the leader: nobody knows more. */
function inventoryOf(world: World): Inventory {
  return present(world.stateWatch.newest, 'a state')
}
