// Brings the faults that a seed was drawn with, and mends all of them at the end. Adding one: its kind in weather.ts, what it does in *-faults.ts.
import { present } from '../../src/base/assert.ts'
import { GUEST_FAULTS } from './guest-faults.ts'
import { HOST_FAULTS } from './host-faults.ts'
import { MEMBER_FAULTS } from './member-faults.ts'
import { type Membership } from './membership.ts'
import { NETWORK_FAULTS } from './network-faults.ts'
import { type Fault, Stage } from './stage.ts'
import { FAULT_KINDS, type FaultKind, type Weather } from './weather.ts'
import { type World } from './world.ts'

const FAULTS: Readonly<Record<FaultKind, Fault>> = { ...HOST_FAULTS, ...MEMBER_FAULTS, ...NETWORK_FAULTS, ...GUEST_FAULTS }

export class Nemesis {
  readonly #world: World
  readonly #weather: Weather
  readonly #stage: Stage

  constructor(world: World, weather: Weather, membership: Membership) {
    this.#world = world
    this.#weather = weather
    this.#stage = new Stage(world, weather, membership)
  }

  /** From now on until `stop`. */
  start(): void {
    const { network, hosts } = this.#world
    network.faults = this.#weather.network
    for (const host of hosts.values()) host.disk.mood.syncMs = this.#weather.syncMs
    for (const [kind, meanMs] of this.#weather.faults) this.#schedule(kind, meanMs)
  }

  /** No faults from now on, and all of them mended. */
  stop(): void {
    this.#stage.isOver = true
    const { network, hosts } = this.#world
    this.#world.heal()
    network.faults = { ...this.#weather.network, stall: 0, gossipLoss: 0, frames: { loss: 0, duplicate: 0, reorder: 0 } }
    for (const host of hosts.values()) {
      for (const other of hosts.values()) network.slow(host.id, other.id, 0)
      Object.assign(host.disk.mood, { health: 'fine', syncMs: this.#weather.syncMs })
      host.mount.works = true
      host.thaw()
      if (host.isOn) host.startAgent()
      else host.powerOn()
    }
  }

  #schedule(kind: FaultKind, meanMs: number): void {
    // Exponential: faults meet each other now and then.
    const waitMs = -Math.log(1 - this.#world.random.float()) * meanMs
    this.#world.clock.after(waitMs, () => {
      if (this.#stage.isOver) return
      this.#bring(kind)
      this.#schedule(kind, meanMs)
    })
  }

  #bring(kind: FaultKind): void {
    const host = present(this.#stage.one(this.#stage.hosts), 'a host')
    this.#world.trace.count(kind)
    this.#world.trace.note(host.name, 'fault', FAULT_KINDS.indexOf(kind), () => kind)
    FAULTS[kind](this.#stage, host)
  }
}
