// What must hold in every state of the inventory: one function an invariant. Tests and the simulator run all of them after every entry.
import { EVENTS_KEPT, type Inventory } from './inventory.ts'
import { ENDED_JOBS_KEPT } from './jobs.ts'
import { type Job, type Vm } from './model.ts'
import { REQUESTS_KEPT } from './requests.ts'
import { isSettingKey } from './settings.ts'
import { compareEpoch, sameEpoch } from './view.ts'

/** Everything that is broken in this state, in words; empty: nothing is. */
export function check(inventory: Inventory): readonly string[] {
  return INVARIANTS.flatMap((invariant) => invariant(inventory))
}

const INVARIANTS: readonly ((inventory: Inventory) => readonly string[])[] = [
  rowsAreKeyedAndOrderedByTheirId,
  namesAreUnique,
  membersAreUnique,
  hostsBelongToAMesh,
  removedHostsAreNone,
  ownersAreHosts,
  ownershipIsOfTheLastEpoch,
  epochsAreOfKnownGenerations,
  observationsAreOfTheOwner,
  unwantedRunsAreAskedToEnd,
  faultsAreOfVmsThatDoNotRun,
  disksAndVmsAgree,
  disksAreOnDatastores,
  fileWorkIsInSomeonesHands,
  openJobsHaveTheirObject,
  openVmJobsHaveSomethingToWaitFor,
  oneOpenJobAnObject,
  jobsEndOnce,
  tokensAreUsedWithinLimits,
  eventsAreInOrder,
  requestsAreInOrder,
  tablesAreBounded,
  settingsAreKnown,
]

function rowsAreKeyedAndOrderedByTheirId({ hosts, vms, datastores, disks, jobs, tokens }: Inventory): readonly string[] {
  const tables = { hosts, vms, datastores, disks, jobs, tokens }
  return Object.entries(tables).flatMap(([table, rows]) => {
    const keys = [...rows.keys()]
    return [
      ...[...rows].filter(([key, row]) => key !== row.id).map(([key, row]) => `${table}: row ${row.id} stands under key ${key}`),
      ...keys.filter((key, at) => key < (keys[at - 1] ?? '')).map((key) => `${table}: row ${key} is out of order`),
    ]
  })
}

function namesAreUnique({ hosts, vms, datastores, disks }: Inventory): readonly string[] {
  const names = [
    ...[...hosts.values()].map(({ name }) => `host ${name}`),
    ...[...vms.values()].map(({ name }) => `vm ${name}`),
    ...[...datastores.values()].map(({ name }) => `datastore ${name}`),
    ...[...disks.values()].map(({ name, datastore }) => `disk ${datastore}/${name}`),
  ]
  return repeated(names).map((name) => `two are named ${name}`)
}

function membersAreUnique({ hosts }: Inventory): readonly string[] {
  return repeated([...hosts.values()].map(({ member }) => member)).map((member) => `two hosts are member ${member}`)
}

function hostsBelongToAMesh({ mesh, hosts }: Inventory): readonly string[] {
  if (mesh === null) return hosts.size === 0 ? [] : [`${hosts.size} hosts without a mesh`]
  return hosts.size > 0 ? [] : ['a mesh without hosts']
}

function removedHostsAreNone({ mesh, hosts }: Inventory): readonly string[] {
  const removed = mesh?.removed ?? []
  return removed.filter(({ id }) => hosts.has(id)).map(({ name }) => `host ${name} is one of the mesh and was removed from it`)
}

function ownersAreHosts({ vms, hosts }: Inventory): readonly string[] {
  return [...vms.values()].flatMap((vm) => {
    const host = vm.owner === null ? undefined : hosts.get(vm.owner.host)
    if (vm.owner === null) return []
    if (host === undefined) return [`vm ${vm.name}: its owner ${vm.owner.host} is no host`]
    return host.role === 'host' ? [] : [`vm ${vm.name}: its owner ${host.name} is a ${host.role}`]
  })
}

function ownershipIsOfTheLastEpoch({ vms }: Inventory): readonly string[] {
  return ofVms(vms.values(), (vm) =>
    vm.owner === null || sameEpoch(vm.owner.epoch, vm.lastEpoch) ? null : 'is owned under another epoch than the last one given out',
  )
}

function epochsAreOfKnownGenerations({ vms, mesh }: Inventory): readonly string[] {
  const newest = { generation: mesh?.generation ?? 0, counter: Number.MAX_SAFE_INTEGER }
  return ofVms(vms.values(), (vm) => (compareEpoch(vm.lastEpoch, newest) <= 0 ? null : 'has an epoch of a generation yet to come'))
}

function observationsAreOfTheOwner({ vms }: Inventory): readonly string[] {
  return ofVms(vms.values(), ({ owner, observed }) => {
    if (observed === null) return null
    return owner !== null && sameEpoch(owner.epoch, observed.epoch) ? null : 'is observed under an epoch that nobody owns'
  })
}

/** Or its host would not know how to end what is not wanted any more. */
function unwantedRunsAreAskedToEnd({ vms }: Inventory): readonly string[] {
  return ofVms(vms.values(), ({ owner, desired }) =>
    owner !== null && desired.power === 'off' && owner.ending === null ? 'is wanted off, but its run is not asked to end' : null,
  )
}

function faultsAreOfVmsThatDoNotRun({ vms }: Inventory): readonly string[] {
  return ofVms(vms.values(), ({ owner, fault }) =>
    owner !== null && fault !== null ? `runs, and yet bears the fault ${fault.kind}` : null,
  )
}

function disksAndVmsAgree({ vms, disks }: Inventory): readonly string[] {
  const faults = [...vms.values()].flatMap((vm) =>
    vm.spec.disks
      .filter((id) => disks.get(id)?.vm !== vm.id || disks.get(id)?.state.kind === 'deleting')
      .map((id) => `vm ${vm.name} has disk ${id}, which is not its own`),
  )
  for (const disk of disks.values()) {
    // A disk that goes with its deleted VM names it to the last.
    if (disk.vm === null || (disk.state.kind === 'deleting' && !vms.has(disk.vm))) continue
    if (!vms.get(disk.vm)?.spec.disks.includes(disk.id)) faults.push(`disk ${disk.name} belongs to vm ${disk.vm}, which does not have it`)
  }
  return [...faults, ...repeated([...vms.values()].flatMap(({ spec }) => spec.disks)).map((id) => `disk ${id} is attached twice`)]
}

function disksAreOnDatastores({ disks, datastores }: Inventory): readonly string[] {
  return [...disks.values()].filter((disk) => !datastores.has(disk.datastore)).map((disk) => `disk ${disk.name} is on no datastore`)
}

function fileWorkIsInSomeonesHands({ disks, hosts }: Inventory): readonly string[] {
  return [...disks.values()].flatMap(({ name, state }) =>
    'host' in state && !hosts.has(state.host) ? [`disk ${name} is ${state.kind} on ${state.host}, which is no host`] : [],
  )
}

function openJobsHaveTheirObject({ jobs, vms, disks }: Inventory): readonly string[] {
  return openJobs(jobs.values())
    .filter(({ object, kind }) => {
      if (object.kind === 'disk') return !disks.has(object.id)
      // The VM goes first, its disks after it: the job is theirs.
      return kind === 'vm-delete' ? ![...disks.values()].some(({ vm }) => vm === object.id) : !vms.has(object.id)
    })
    .map((job) => `job ${job.id} (${job.kind}) works on ${job.object.id}, which is gone`)
}

/** Or it would stay open for ever: nothing that may still happen ends it. */
function openVmJobsHaveSomethingToWaitFor({ jobs, vms }: Inventory): readonly string[] {
  return openJobs(jobs.values()).flatMap((job) => {
    const vm = job.object.kind === 'vm' ? vms.get(job.object.id) : undefined
    return vm === undefined || canEnd(job.kind, vm) ? [] : [`job ${job.id} (${job.kind} of ${vm.name}) waits for nothing`]
  })
}

function canEnd(kind: Job['kind'], { desired, owner }: Vm): boolean {
  switch (kind) {
    case 'vm-start':
    case 'vm-reboot':
      return desired.power === 'on'
    case 'vm-shutdown':
    case 'vm-stop':
      return owner !== null && owner.ending !== null
    case 'vm-pause':
    case 'vm-resume':
      return owner !== null && owner.ending === null
    default:
      return false
  }
}

function oneOpenJobAnObject({ jobs }: Inventory): readonly string[] {
  return repeated(openJobs(jobs.values()).map(({ object }) => object.id)).map((id) => `two jobs work on ${id}`)
}

function jobsEndOnce({ jobs }: Inventory): readonly string[] {
  return [...jobs.values()].flatMap((job) => {
    const open = job.phase === 'waiting' || job.phase === 'working'
    if (open !== (job.endedAt === null)) return [`job ${job.id} is ${job.phase}, ended at ${job.endedAt}`]
    return (job.phase === 'failed') === (job.error !== null)
      ? []
      : [`job ${job.id} is ${job.phase} with error ${JSON.stringify(job.error)}`]
  })
}

function tokensAreUsedWithinLimits({ tokens }: Inventory): readonly string[] {
  return [...tokens.values()].flatMap(({ id, uses, usedBy }) => [
    ...(usedBy.length > uses ? [`token ${id} was used ${usedBy.length} of ${uses} times`] : []),
    ...repeated(usedBy).map((host) => `token ${id} counts host ${host} twice`),
  ])
}

function eventsAreInOrder({ events, index }: Inventory): readonly string[] {
  return events.flatMap((event, at) => {
    const before = events[at - 1]
    if (event.index > index) return [`event ${event.type} is of entry ${event.index}, the state of ${index}`]
    if (before === undefined || before.index < event.index) return []
    return before.index === event.index && before.ordinal < event.ordinal
      ? []
      : [`event ${event.type} of entry ${event.index} is out of order`]
  })
}

function requestsAreInOrder({ requests, index }: Inventory): readonly string[] {
  const indexes = [...requests.values()].map((request) => request.index)
  return indexes.filter((one, at) => one > index || one <= (indexes[at - 1] ?? 0)).map((one) => `request of entry ${one} is out of order`)
}

function tablesAreBounded({ events, requests, jobs }: Inventory): readonly string[] {
  const ended = [...jobs.values()].filter(({ endedAt }) => endedAt !== null).length
  const sizes = [
    ['events', events.length, EVENTS_KEPT],
    ['requests', requests.size, REQUESTS_KEPT],
    ['ended jobs', ended, ENDED_JOBS_KEPT],
  ] as const
  return sizes.filter(([, size, limit]) => size > limit).map(([what, size, limit]) => `${size} ${what} are kept, at most ${limit} may be`)
}

function settingsAreKnown({ settings }: Inventory): readonly string[] {
  return Object.keys(settings)
    .filter((key) => !isSettingKey(key))
    .map((key) => `setting ${key} does not exist`)
}

function ofVms(vms: Iterable<Vm>, fault: (vm: Vm) => string | null): readonly string[] {
  return [...vms].flatMap((vm) => {
    const found = fault(vm)
    return found === null ? [] : [`vm ${vm.name} ${found}`]
  })
}

function openJobs(jobs: Iterable<Job>): readonly Job[] {
  return [...jobs].filter(({ endedAt }) => endedAt === null)
}

function repeated<T>(values: readonly T[]): readonly T[] {
  const seen = new Set<T>()
  return values.filter((value) => seen.has(value) || !seen.add(value))
}
