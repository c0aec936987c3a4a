// A whole mesh in one process and in virtual time, from one seed: production agents on simulated machines, and checks after every step.
import { present } from '../../src/base/assert.ts'
import { type HostId } from '../../src/base/ids.ts'
import { seededRandom, type Random } from '../../src/base/random.ts'
import { type Cluster } from '../../src/inventory/cluster.ts'
import { identityOf } from '../../src/mesh/identity.ts'
import { FakeNetwork } from '../fixture/fake-network.ts'
import { manualClock, type ManualClock } from '../fixture/manual-clock.ts'
import { LogWatch } from './log-watch.ts'
import { RequestWatch } from './request-watch.ts'
import { RunWatch } from './run-watch.ts'
import { SharedFiles } from './shared-files.ts'
import { SimHost, type HostWish, type Surroundings } from './sim-host.ts'
import { StateWatch, type Applied } from './state-watch.ts'
import { Faults, Trace, type Sink } from './trace.ts'

export interface WorldOptions {
  readonly seed: number
  readonly hosts: readonly HostWish[]
  readonly raftLimits?: Surroundings['raftLimits']
  /** Gets every step in words. */
  readonly sink?: Sink
  /** Gets every committed command once, when the first host has applied it. */
  readonly onApplied?: (applied: Applied) => void
}

/** Thrown by whatever runs the world once a check has failed. */
export class BrokenWorld extends Error {
  override name = 'BrokenWorld'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}

export class World {
  readonly clock: ManualClock = manualClock()
  readonly random: Random
  readonly trace: Trace
  readonly faults: Faults
  readonly network: FakeNetwork
  readonly files: SharedFiles
  readonly logWatch: LogWatch
  readonly stateWatch: StateWatch
  readonly runWatch: RunWatch
  readonly requestWatch: RequestWatch
  readonly hosts: ReadonlyMap<string, SimHost>
  /** One a member: an agent whose host becomes another member of its mesh has another. */
  readonly #attached = new WeakSet<Cluster>()

  /** All machines are off. */
  static async of(options: WorldOptions): Promise<World> {
    const identities = await Promise.all(options.hosts.map((_, at) => hostIdentity(at + 1)))
    return new World(options, identities)
  }

  private constructor(options: WorldOptions, identities: readonly { readonly id: HostId; readonly address: string }[]) {
    this.random = seededRandom(options.seed)
    this.trace = new Trace(this.clock, options.sink)
    this.faults = new Faults(this.clock)
    this.network = new FakeNetwork(this.clock, this.random)
    this.files = new SharedFiles(this.clock)
    this.logWatch = new LogWatch(this.faults, this.trace)
    this.runWatch = new RunWatch(this.faults, this.trace, (host) => this.nameOf(host))
    this.requestWatch = new RequestWatch(this.faults, this.trace)
    this.stateWatch = new StateWatch(this.faults, this.logWatch, (applied) => {
      this.trace.note(applied.host, 'applied', applied.index, () => `${applied.index} ${JSON.stringify(applied.record.command)}`)
      this.runWatch.applied(applied)
      this.requestWatch.applied(applied)
      options.onApplied?.(applied)
    })
    const surroundings: Surroundings = { ...this.#parts(), raftLimits: options.raftLimits }
    const hosts = options.hosts.map((wish, at) => new SimHost(wish, present(identities[at], `identity of ${wish.name}`), surroundings))
    for (const host of hosts) host.hypervisor.onEvent((event) => this.runWatch.event(host.id, event, this.stateWatch.newest))
    this.hosts = new Map(hosts.map((host) => [host.name, host]))
  }

  #parts(): Omit<Surroundings, 'raftLimits'> {
    const { clock, random, network, files, trace, faults, logWatch } = this
    return { clock, random, network, files, trace, faults, logWatch, nameOf: (host) => this.nameOf(host) }
  }

  nameOf(id: HostId): string {
    for (const host of this.hosts.values()) if (host.id === id) return host.name
    return id
  }

  /** As far as anybody knows, the mesh counts the member on its disk as this host. */
  isMember(host: SimHost): boolean {
    const { member } = host.disk
    return member !== null && this.stateWatch.newest?.hosts.get(host.id)?.member === member
  }

  host(name: string): SimHost {
    return present(this.hosts.get(name), `host ${name}`)
  }

  /** Lets `ms` pass, with the checks after every step. Throws BrokenWorld. */
  async run(ms: number): Promise<void> {
    let over = false
    this.clock.after(ms, () => {
      over = true
    })
    await this.clock.runUntil('the time is over', () => this.#step(() => over), ms + 1)
  }

  /** Runs until `done`, which is asked after every step; throws after `limitMs`, naming `what`. */
  async runUntil(what: string, done: () => boolean, limitMs: number): Promise<void> {
    await this.clock.runUntil(what, () => this.#step(done), limitMs)
  }

  /** What `promise` gives, with the world running meanwhile. */
  async settle<T>(what: string, promise: Promise<T>, limitMs: number): Promise<T> {
    let settled = false
    const mark = (): void => {
      settled = true
    }
    promise.then(mark, mark)
    await this.runUntil(what, () => settled, limitMs)
    return promise
  }

  /** Nothing travels between these and all others, whether they are on or off. */
  partition(side: readonly SimHost[]): void {
    this.#connect((one, other) => side.includes(one) === side.includes(other))
  }

  heal(): void {
    this.#connect(() => true)
  }

  /** All processes end; nothing of this world runs on. */
  end(): void {
    for (const host of this.hosts.values()) host.powerCut()
  }

  #connect(areTogether: (one: SimHost, other: SimHost) => boolean): void {
    for (const one of this.hosts.values()) {
      for (const other of this.hosts.values()) {
        if (one === other) continue
        if (areTogether(one, other)) this.network.mend(one.id, other.id)
        else this.network.cut(one.id, other.id)
      }
    }
  }

  #step(done: () => boolean): boolean {
    for (const host of this.hosts.values()) {
      const { life } = host
      if (life?.agent === undefined || !life.agent.api.lifecycle.initialised()) continue
      const { cluster } = life.agent.api
      if (this.#attached.has(cluster)) continue
      this.#attached.add(cluster)
      this.stateWatch.attach(host, cluster)
    }
    if (this.faults.found.length > 0) throw new BrokenWorld(this.faults.found)
    return done()
  }
}

/** Keys are made by a real algorithm, once a process; the same for the same number. */
const identities = new Map<number, Promise<{ readonly id: HostId; readonly address: string }>>()

function hostIdentity(number: number): Promise<{ readonly id: HostId; readonly address: string }> {
  const known = identities.get(number)
  if (known !== undefined) return known
  const made = identityOf(new Uint8Array(32).fill(number)).then(({ hostId }) => ({ id: hostId, address: `198.18.0.${number}:7400` }))
  identities.set(number, made)
  return made
}
