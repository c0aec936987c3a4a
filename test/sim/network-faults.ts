// Faults of the network between hosts, beyond the weather that all paths share.
import { between } from '../../src/base/random.ts'
import { type SimHost } from './sim-host.ts'
import { type Fault, type Stage } from './stage.ts'
import { type FaultKind } from './weather.ts'

const CUT_MS: readonly [number, number] = [500, 10_000]

export const NETWORK_FAULTS = {
  partition: (stage) =>
    partition(
      stage,
      stage.hosts.filter(() => stage.chance(0.5)),
    ),
  'cut off host': (stage, host) => partition(stage, [host]),
  'cut off leader': (stage, host) => partition(stage, [stage.leader() ?? host]),
  'one-way cut': (stage, host) => {
    const other = another(stage, host)
    if (other !== undefined) cutOneWay(stage, host, [other])
  },
  'deaf or mute leader': (stage, host) => {
    const leader = stage.leader() ?? host
    cutOneWay(
      stage,
      leader,
      stage.hosts.filter((one) => one !== leader),
    )
  },
  'flapping link': (stage, host) => flap(stage, host, another(stage, host), between(stage.random, 3, 40)),
  'slow link': (stage, host) => {
    const other = another(stage, host)
    if (other === undefined) return
    const { network } = stage.world
    const extraMs = between(stage.random, 20, 600)
    network.slow(host.id, other.id, extraMs)
    if (stage.chance(0.5)) network.slow(other.id, host.id, extraMs)
    stage.later(1_000, 15_000, () => {
      network.slow(host.id, other.id, 0)
      network.slow(other.id, host.id, 0)
    })
  },
  /** What was under way on them is lost, whether it had arrived or not. */
  'connection reset': (_, { life }) => {
    for (const connection of life?.network.connections() ?? []) connection.abort('reset by a fault')
  },
} satisfies Partial<Record<FaultKind, Fault>>

function another(stage: Stage, host: SimHost): SimHost | undefined {
  return stage.one(stage.hosts.filter((one) => one !== host))
}

/** These on one side, all others on the other. */
function partition(stage: Stage, side: readonly SimHost[]): void {
  stage.world.partition(side)
  stage.later(...CUT_MS, () => stage.world.heal())
}

/** From `host` to these, or from these to it: one direction goes on. */
function cutOneWay(stage: Stage, host: SimHost, others: readonly SimHost[]): void {
  const { network } = stage.world
  const isMute = stage.chance(0.5)
  for (const other of others) {
    const [from, to] = isMute ? [host, other] : [other, host]
    network.cut(from.id, to.id)
    stage.later(...CUT_MS, () => network.mend(from.id, to.id))
  }
}

function flap(stage: Stage, one: SimHost, other: SimHost | undefined, times: number): void {
  if (other === undefined || times === 0) return
  const { network } = stage.world
  network.cut(one.id, other.id)
  network.cut(other.id, one.id)
  stage.later(20, 600, () => {
    network.mend(one.id, other.id)
    network.mend(other.id, one.id)
    stage.later(20, 900, () => flap(stage, one, other, times - 1))
  })
}
