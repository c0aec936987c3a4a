// Faults of machines: their power, their agents, their clocks, their disks.
import { type SimHost } from './sim-host.ts'
import { type Fault, type Stage } from './stage.ts'
import { type FaultKind } from './weather.ts'

export const HOST_FAULTS = {
  'kill agent': (_, host) => host.killAgent(),
  'restart agent': (_, host) => void host.restartAgent(),
  'kill leader': (stage) => stage.leader()?.killAgent(),
  'fell fresh leaders': fellFreshLeaders,
  'power cut': (stage, host) => cutPower(stage, [host]),
  'power cut of all': (stage) => cutPower(stage, stage.hosts),
  freeze,
  'freeze leader': (stage, host) => freeze(stage, stage.leader() ?? host),
  stutter,
  'clock jump': (stage, host) => host.jumpClock((stage.random.float() * 2 - 1) * stage.weather.jumpMs),
  'slow disk': (stage, { disk }) => {
    disk.mood.syncMs = [50, 800]
    stage.later(500, 8_000, () => {
      disk.mood.syncMs = stage.weather.syncMs
    })
  },
  'disk error': (stage, host) => ailingDisk(stage, host, 'error', 2_000),
  'disk full': (stage, host) => ailingDisk(stage, host, 'full', 15_000),
  unmount: (stage, { mount }) => {
    mount.works = false
    stage.later(500, 8_000, () => {
      mount.works = true
    })
  },
} satisfies Partial<Record<FaultKind, Fault>>

function cutPower(stage: Stage, hosts: readonly SimHost[]): void {
  for (const host of hosts) {
    host.powerCut()
    stage.later(200, 10_000, () => host.powerOn())
  }
}

function freeze(stage: Stage, host: SimHost): void {
  host.freeze()
  stage.later(100, 6_000, () => host.thaw())
}

/** A host too busy to run its agent for more than moments. */
function stutter(stage: Stage, host: SimHost, turns = 20): void {
  host.freeze()
  stage.later(20, 500, () => {
    host.thaw()
    if (turns > 0) stage.later(5, 200, () => stutter(stage, host, turns - 1))
  })
}

function ailingDisk(stage: Stage, { disk }: SimHost, health: 'error' | 'full', longestMs: number): void {
  disk.mood.health = health
  stage.later(1, longestMs, () => {
    disk.mood.health = 'fine'
  })
}

/** For a while nobody leads for long: each falls within its first half second, with entries that reached some and not others (paper, figure 8). */
function fellFreshLeaders(stage: Stage): void {
  let spared = false
  const off = stage.world.logWatch.leaders.on(({ name }) => {
    const host = stage.world.host(name)
    stage.later(0, 500, () => {
      if (!spared) fell(stage, host)
    })
  })
  stage.later(2_000, 10_000, () => {
    spared = true
    off()
  })
}

function fell(stage: Stage, host: SimHost): void {
  stage.world.trace.count('fresh leaders felled')
  const dice = stage.random.float()
  if (dice < 0.4) host.killAgent()
  else if (dice < 0.7) cutPower(stage, [host])
  else freeze(stage, host)
}
