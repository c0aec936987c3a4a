// What a fault has at hand: the world, chance, and a way to mend later what it broke.
import { between, type Random } from '../../src/base/random.ts'
import { type Membership } from './membership.ts'
import { type SimHost } from './sim-host.ts'
import { type Weather } from './weather.ts'
import { type World } from './world.ts'

/** Breaks something, of `host` where it is about one. */
export type Fault = (stage: Stage, host: SimHost) => void

export class Stage {
  readonly world: World
  readonly weather: Weather
  readonly membership: Membership
  isOver = false

  constructor(world: World, weather: Weather, membership: Membership) {
    this.world = world
    this.weather = weather
    this.membership = membership
  }

  get random(): Random {
    return this.world.random
  }

  get hosts(): readonly SimHost[] {
    return [...this.world.hosts.values()]
  }

  chance(share: number): boolean {
    return this.random.float() < share
  }

  one<T>(list: readonly T[]): T | undefined {
    return list[between(this.random, 0, list.length - 1)]
  }

  /** Unless everything was mended by then. */
  later(lowMs: number, highMs: number, then: () => void): void {
    this.world.clock.after(between(this.random, lowMs, highMs), () => {
      if (!this.isOver) then()
    })
  }

  /** Of those that say so of themselves. */
  leader(): SimHost | undefined {
    return this.hosts.find(({ life, agent }) => {
      if (agent === undefined || life?.frozen === true || !agent.api.lifecycle.initialised()) return false
      return agent.api.cluster.status().leading
    })
  }
}
