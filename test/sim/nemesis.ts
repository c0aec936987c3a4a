// Brings the faults that a seed was drawn with, and mends each after a while. Adding one: its kind in weather.ts, its method here.
import { between, type Random } from '../../src/base/random.ts'
import { type SimHost } from './sim-host.ts'
import { FAULT_KINDS, type FaultKind, type Weather } from './weather.ts'
import { type World } from './world.ts'

export class Nemesis {
  readonly #world: World
  readonly #weather: Weather
  #stopped = false

  constructor(world: World, weather: Weather) {
    this.#world = world
    this.#weather = weather
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
    this.#stopped = true
    const { network, hosts } = this.#world
    this.#world.heal()
    network.faults = { ...this.#weather.network, stall: 0, gossipLoss: 0, frames: { loss: 0, duplicate: 0, reorder: 0 } }
    for (const host of hosts.values()) {
      host.disk.mood.fails = false
      host.mount.works = true
      host.thaw()
      if (host.isOn) host.startAgent()
      else host.powerOn()
    }
  }

  #schedule(kind: FaultKind, meanMs: number): void {
    // Exponential: faults meet each other now and then.
    const waitMs = -Math.log(1 - this.#random.float()) * meanMs
    this.#world.clock.after(waitMs, () => {
      if (this.#stopped) return
      this.#bring(kind)
      this.#schedule(kind, meanMs)
    })
  }

  get #random(): Random {
    return this.#world.random
  }

  /** Mends later, unless everything was mended by then. */
  #later(lowMs: number, highMs: number, mend: () => void): void {
    this.#world.clock.after(between(this.#random, lowMs, highMs), () => {
      if (!this.#stopped) mend()
    })
  }

  #bring(kind: FaultKind): void {
    const host = this.#anyHost()
    this.#world.trace.note(host.name, 'fault', FAULT_KINDS.indexOf(kind), () => kind)
    switch (kind) {
      case 'kill agent':
        return host.killAgent()
      case 'restart agent':
        return void host.restartAgent()
      case 'kill leader':
        return this.#leader()?.killAgent()
      case 'power cut':
        return this.#cutPower([host])
      case 'power cut of all':
        return this.#cutPower([...this.#world.hosts.values()])
      case 'freeze':
        host.freeze()
        return this.#later(100, 6_000, () => host.thaw())
      case 'partition':
        return this.#partition(this.#someHosts())
      case 'cut off leader':
        return this.#partition([this.#leader() ?? host])
      case 'one-way cut':
        return this.#cutOneWay(host)
      case 'connection reset':
        return this.#resetConnections(host)
      default:
        return this.#bringToHost(kind, host)
    }
  }

  #bringToHost(kind: FaultKind, host: SimHost): void {
    switch (kind) {
      case 'slow disk':
        host.disk.mood.syncMs = [50, 800]
        return this.#later(500, 8_000, () => {
          host.disk.mood.syncMs = this.#weather.syncMs
        })
      case 'disk error':
        host.disk.mood.fails = true
        this.#world.trace.count('disk errors')
        return this.#later(1, 2_000, () => {
          host.disk.mood.fails = false
        })
      case 'unmount':
        host.mount.works = false
        return this.#later(500, 8_000, () => {
          host.mount.works = true
        })
      default:
        return this.#bringToGuest(kind)
    }
  }

  #bringToGuest(kind: FaultKind): void {
    const vms = [...(this.#world.stateWatch.newest?.vms.values() ?? [])]
    const vm = vms[between(this.#random, 0, vms.length - 1)]
    if (vm === undefined) return
    for (const { hypervisor } of this.#world.hosts.values()) {
      switch (kind) {
        case 'QEMU death':
          hypervisor.crash(vm.id)
          break
        case 'guest powers off':
          hypervisor.powerOffFromInside(vm.id)
          break
        case 'guest disk error':
          hypervisor.failDisk(vm.id)
          break
        case 'start failure':
          hypervisor.failNextStart(vm.id, { code: 'qemu', message: 'QEMU could not start' })
          break
        case 'deaf guest':
          hypervisor.ignoreButton(vm.id)
          this.#later(2_000, 20_000, () => hypervisor.ignoreButton(vm.id, false))
          break
        default:
          return
      }
    }
  }

  #cutPower(hosts: readonly SimHost[]): void {
    for (const host of hosts) {
      host.powerCut()
      this.#later(200, 10_000, () => host.powerOn())
    }
  }

  /** These on one side, all others on the other. */
  #partition(side: readonly SimHost[]): void {
    this.#world.partition(side)
    this.#world.trace.count('partitions')
    this.#later(500, 10_000, () => this.#world.heal())
  }

  #cutOneWay(from: SimHost): void {
    const { network, hosts, trace } = this.#world
    const others = [...hosts.values()].filter((host) => host !== from)
    const to = others[between(this.#random, 0, others.length - 1)]
    if (to === undefined) return
    const [one, other] = this.#random.float() < 0.5 ? [from, to] : [to, from]
    network.cut(one.id, other.id)
    trace.count('one-way cuts')
    this.#later(500, 10_000, () => network.mend(one.id, other.id))
  }

  /** What was under way on them is lost, whether it had arrived or not. */
  #resetConnections({ life }: SimHost): void {
    for (const connection of life?.network.connections() ?? []) connection.abort('reset by a fault')
    this.#world.trace.count('connection resets')
  }

  #anyHost(): SimHost {
    const hosts = [...this.#world.hosts.values()]
    const host = hosts[between(this.#random, 0, hosts.length - 1)]
    if (host === undefined) throw new Error('a world without hosts')
    return host
  }

  #someHosts(): readonly SimHost[] {
    return [...this.#world.hosts.values()].filter(() => this.#random.float() < 0.5)
  }

  #leader(): SimHost | undefined {
    return [...this.#world.hosts.values()].find(({ life, agent }) => {
      if (agent === undefined || life?.frozen === true || !agent.api.lifecycle.initialised()) return false
      return agent.api.cluster.status().leading
    })
  }
}
