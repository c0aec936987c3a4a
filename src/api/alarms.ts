// What somebody should look at: one check a function over what one host sees, each with the command that mends it. Pure.
import { type ClusterStatus } from '../inventory/cluster.ts'
import { RESERVE_MIB } from '../inventory/load.ts'
import { hostName, hostState, vmState } from '../inventory/view.ts'
import { byName, type Sight } from './shapes.ts'
import { type AlarmAnswer } from './types.ts'

type Quorum = Pick<ClusterStatus, 'quorum' | 'members' | 'superseded'>
type Check = (sight: Sight, cluster: Quorum) => readonly AlarmAnswer[]

/** The critical ones first. */
export function alarmsOf(sight: Sight, cluster: Quorum): AlarmAnswer[] {
  const alarms = CHECKS.flatMap((check) => check(sight, cluster))
  return [...alarms.filter(({ severity }) => severity === 'critical'), ...alarms.filter(({ severity }) => severity === 'warning')]
}

const CHECKS: readonly Check[] = [
  superseded,
  quorumLost,
  fatalVoter,
  storesInTrouble,
  silentHosts,
  mixedVersions,
  faultyVms,
  stuckVms,
  failedDisks,
  faultyDatastores,
]

/** The mesh went on without this host, or twice. */
function superseded({ inventory }: Sight, { superseded: by, quorum }: Quorum): readonly AlarmAnswer[] {
  if (by === null) return []
  const name = hostName(inventory, by.host)
  const own = inventory.mesh?.generation ?? 0
  const fix = `hostmesh mesh recover --rejoin ${name}`
  if (by.apart) {
    const message = `the mesh went on twice in generation ${own}, here and at ${name}: a person has to give one up, on the host that is to go over`
    return [{ severity: 'critical', code: 'superseded', message, fix }]
  }
  const next =
    quorum === 'lost'
      ? 'it comes in again as a learner by itself within seconds'
      : 'its own quorum still stands, so a person has to say that it goes over'
  const message = `the mesh went on in generation ${by.generation}, as ${name} says; this host is in generation ${own}, where nothing is changed any more: ${next}`
  return [{ severity: 'critical', code: 'superseded', message, fix }]
}

function quorumLost(_: Sight, { quorum }: Pick<ClusterStatus, 'quorum'>): readonly AlarmAnswer[] {
  if (quorum === 'ok') return []
  const message = 'the mesh has no quorum: nothing can be changed, what is shown may be old'
  const fix = 'hostmesh mesh status, then bring voters back up; only if they are gone for good: hostmesh mesh recover --plan'
  return [{ severity: 'critical', code: 'no-quorum', message, fix }]
}

/** With several hosts and one voter, that one's death stops all changes; it is worth knowing which one it is. */
function fatalVoter({ inventory }: Sight, { members }: Pick<ClusterStatus, 'members'>): readonly AlarmAnswer[] {
  const voters = members.filter(({ role }) => role !== 'learner')
  const [only] = voters
  if (only === undefined || voters.length > 1 || inventory.hosts.size < 2) return []
  const name = inventory.hosts.get(only.host)?.name ?? only.host
  const message = `${name} is the only voter of ${inventory.hosts.size} hosts: without it nothing can be changed`
  return [{ severity: 'warning', code: 'one-voter', message, fix: 'let a third host or a witness join: hostmesh token create' }]
}

/** What each host says of the stores of its own member. */
function storesInTrouble({ inventory, load }: Sight, { quorum }: Quorum): readonly AlarmAnswer[] {
  return byName(inventory.hosts.values()).flatMap(({ id, name }): AlarmAnswer[] => {
    const stores = load.hosts.get(id)?.stores
    if (stores === undefined) return []
    const { freeMiB, trouble } = stores
    if (trouble?.kind === 'damaged') {
      const message = `host ${name} needs repair: ${trouble.why}`
      const wait = `wait: ${name} comes back as a learner by itself`
      const fix = quorum === 'ok' ? wait : `${wait} once the mesh has a quorum; without one for good: hostmesh mesh recover --plan`
      return [{ severity: 'critical', code: 'needs-repair', message, fix }]
    }
    if (trouble !== null) {
      const message = `host ${name} takes no part: its disk failed, and is tried again: ${trouble.why}`
      return [
        { severity: 'critical', code: 'disk-failing', message, fix: `make room on the disk of the data directory of ${name}, or mend it` },
      ]
    }
    if (freeMiB === null || freeMiB >= RESERVE_MIB) return []
    const message = `host ${name} has ${freeMiB} MiB free where it keeps the log of the mesh, ${RESERVE_MIB} MiB are needed to lead`
    return [{ severity: 'warning', code: 'disk-full', message, fix: `make room on the disk of the data directory of ${name}` }]
  })
}

function silentHosts({ inventory, liveness }: Sight): readonly AlarmAnswer[] {
  return byName(inventory.hosts.values())
    .filter((host) => hostState(host, liveness) === 'suspect')
    .map(({ name }) => ({
      severity: 'warning',
      code: 'host-suspect',
      message: `host ${name} is not heard of`,
      fix: `hostmesh host show ${name}, then see whether it and its network are up`,
    }))
}

function mixedVersions({ inventory }: Sight): readonly AlarmAnswer[] {
  const versions = new Set([...inventory.hosts.values()].map(({ facts }) => facts.version))
  if (versions.size < 2) return []
  const message = `the hosts run different versions: ${[...versions].toSorted().join(', ')}`
  return [{ severity: 'warning', code: 'versions', message, fix: 'upgrade the older ones: hostmesh host list' }]
}

function faultyVms({ inventory, liveness }: Sight): readonly AlarmAnswer[] {
  return byName(inventory.vms.values()).flatMap((vm): AlarmAnswer[] => {
    if (vm.fault === null) return []
    const why = vm.fault.reasons.map(({ message }) => message).join('; ')
    const severity = vm.ha === 'restart' ? 'critical' : 'warning'
    return [
      {
        severity,
        code: `vm-${vm.fault.kind}`,
        message: `VM ${vm.name} is ${vmState(vm, liveness)}: ${why}`,
        fix: `hostmesh vm show ${vm.name}`,
      },
    ]
  })
}

/** QEMU paused the guest because its disk did not take a write. */
function stuckVms({ inventory, liveness }: Sight): readonly AlarmAnswer[] {
  return byName(inventory.vms.values())
    .filter((vm) => vmState(vm, liveness) === 'io-error')
    .map(({ name }) => ({
      severity: 'critical',
      code: 'vm-io-error',
      message: `VM ${name} is paused: a write to its disk failed`,
      fix: `mend the datastore, then hostmesh vm resume ${name}`,
    }))
}

function failedDisks({ inventory }: Sight): readonly AlarmAnswer[] {
  return byName(inventory.disks.values()).flatMap(({ name, state }): AlarmAnswer[] => {
    if (state.kind !== 'failed') return []
    const message = `disk ${name} is unusable: ${state.reason}`
    return [{ severity: 'warning', code: 'disk-failed', message, fix: `hostmesh disk delete ${name}` }]
  })
}

function faultyDatastores({ inventory, load }: Sight): readonly AlarmAnswer[] {
  return byName(inventory.hosts.values()).flatMap((host) =>
    [...(load.hosts.get(host.id)?.datastoreFaults ?? [])].flatMap(([id, why]): AlarmAnswer[] => {
      const name = inventory.datastores.get(id)?.name
      // Removed since it was reported.
      if (name === undefined) return []
      const message = `host ${host.name} cannot use datastore ${name}: ${why}`
      return [{ severity: 'warning', code: 'datastore', message, fix: `hostmesh datastore show ${name}` }]
    }),
  )
}
