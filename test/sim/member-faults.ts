// Faults of the membership: who leads, who belongs, and members whose stores are not what they acknowledged any more.
import { type DamageKind } from './host-disk.ts'
import { type SimHost } from './sim-host.ts'
import { type Fault, type Stage } from './stage.ts'
import { type FaultKind } from './weather.ts'

export const MEMBER_FAULTS = {
  'wiped disk': (stage, host) => {
    if (stage.membership.wipe(host)) stage.world.trace.count('disks wiped')
  },
  newcomer: (stage) => stage.membership.invite(),
  'host removed': (stage, host) => void stage.membership.remove(host),
  'leader transfer': (stage, host) => {
    const leader = stage.leader()
    const to = stage.one(stage.hosts.filter((one) => one !== leader))
    if (to !== undefined) void stage.membership.handOver(host, to)
  },
  'unreadable stores': (stage, host) => damage(stage, host, 'unreadable'),
  'torn log': (stage, host) => damage(stage, host, 'torn'),
  'lost entries': (stage, host) => damage(stage, host, 'shortened'),
} satisfies Partial<Record<FaultKind, Fault>>

const DONE = { unreadable: 'stores unreadable', torn: 'logs torn', shortened: 'logs shortened' } as const

function damage(stage: Stage, host: SimHost, kind: DamageKind): void {
  if (stage.membership.damage(host, kind)) stage.world.trace.count(DONE[kind])
}
