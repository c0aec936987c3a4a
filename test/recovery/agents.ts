// Production agents on simulated machines, without the checks of a whole world: a recovery breaks what holds within one generation.
import { setImmediate } from 'node:timers/promises'
import { type Recovered, type RecoveryView, type Restored } from '../../src/api/context.ts'
import { present } from '../../src/base/assert.ts'
import { type HostId, type RequestKey, type TokenId } from '../../src/base/ids.ts'
import { seededRandom } from '../../src/base/random.ts'
import { type AdminCommand } from '../../src/inventory/command.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { type CommandResult } from '../../src/inventory/model.ts'
import { identityOf } from '../../src/mesh/identity.ts'
import { FakeNetwork } from '../fixture/fake-network.ts'
import { manualClock, type ManualClock } from '../fixture/manual-clock.ts'
import { LogWatch } from '../sim/log-watch.ts'
import { SharedFiles } from '../sim/shared-files.ts'
import { SimHost, type Surroundings } from '../sim/sim-host.ts'
import { Faults, Trace } from '../sim/trace.ts'

const LIMIT_MS = 60_000
const { signal } = new AbortController()

export class Agents {
  readonly clock: ManualClock = manualClock()
  readonly network: FakeNetwork
  readonly hosts: ReadonlyMap<string, SimHost>
  #keys = 0

  /** `h1`, switched on, of no mesh. */
  static async fresh(): Promise<Agents> {
    const agents = new Agents([(await identityOf(new Uint8Array(32).fill(1))).hostId], 1)
    await agents.powerOn('h1')
    return agents
  }

  /** `h1` … `hN`, switched on, one mesh, with all the voters that there can be; `spare` more hosts are off, and of no mesh. */
  static async mesh(count: number, seed = 1, spare = 0): Promise<Agents> {
    const numbers = Array.from({ length: count + spare }, (_, at) => at + 1)
    const ids = await Promise.all(numbers.map(async (number) => (await identityOf(new Uint8Array(32).fill(number))).hostId))
    const agents = new Agents(ids, seed)
    const members = [...agents.hosts.keys()].slice(0, count)
    for (const name of members) await agents.powerOn(name)
    await agents.settle(agents.api('h1').lifecycle.init('lab', signal))
    for (const name of members.slice(1)) await agents.join(name)
    await agents.voters('h1', count < 3 ? 1 : count < 5 ? 3 : 5)
    return agents
  }

  private constructor(ids: readonly HostId[], seed: number) {
    const { clock } = this
    const random = seededRandom(seed)
    this.network = new FakeNetwork(clock, random)
    const trace = new Trace(clock)
    const faults = new Faults(clock)
    const world: Surroundings = {
      clock,
      random,
      network: this.network,
      files: new SharedFiles(clock),
      trace,
      faults,
      logWatch: new LogWatch(faults, trace),
      nameOf: (id) => id,
      raftLimits: undefined,
    }
    const host = (id: HostId, at: number): SimHost =>
      new SimHost(
        { name: `h${at + 1}`, memoryMiB: 8_192, clockRate: 1, wallOffsetMs: 0 },
        { id, address: `198.18.0.${at + 1}:7400` },
        world,
      )
    this.hosts = new Map(ids.map((id, at) => [`h${at + 1}`, host(id, at)]))
  }

  host(name: string): SimHost {
    return present(this.hosts.get(name), `host ${name}`)
  }

  id(name: string): HostId {
    return this.host(name).id
  }

  api(name: string): NonNullable<SimHost['agent']>['api'] {
    return present(this.host(name).agent, `agent of ${name}`).api
  }

  view(name: string): Inventory {
    return this.api(name).cluster.view()
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.clock.settle(promise, LIMIT_MS)
  }

  until(what: string, done: () => boolean, limitMs = LIMIT_MS): Promise<void> {
    return this.clock.runUntil(what, done, limitMs)
  }

  run(ms: number): Promise<void> {
    return this.clock.run(ms)
  }

  async powerOn(name: string): Promise<void> {
    this.host(name).powerOn()
    await this.until(`the agent of ${name} is up`, () => this.host(name).agent !== undefined)
  }

  powerCut(...names: readonly string[]): void {
    for (const name of names) this.host(name).powerCut()
  }

  /** Nothing travels between these and all others. */
  apart(...side: readonly string[]): void {
    for (const one of this.hosts.values()) {
      for (const other of this.hosts.values()) {
        if (one !== other && side.includes(one.name) !== side.includes(other.name)) this.network.cut(one.id, other.id)
      }
    }
  }

  together(): void {
    for (const one of this.hosts.values()) for (const other of this.hosts.values()) if (one !== other) this.network.mend(one.id, other.id)
  }

  /** Through the agent of `name`, until the outcome is known. */
  write(name: string, command: AdminCommand): Promise<CommandResult> {
    this.#keys += 1
    const requestKey = `key-${this.#keys}` as RequestKey
    return this.settle(this.api(name).cluster.propose(command, { signal, actor: `admin@${name}`, requestKey }))
  }

  async join(name: string): Promise<void> {
    const expiresAt = Math.round(this.clock.wall()) + 3_600_000
    const inviter = present(
      [...this.hosts.values()].find(({ agent }) => agent?.api.lifecycle.initialised()),
      'inviter',
    ).name
    const { id, publicKey, text } = this.api(inviter).createToken('host', expiresAt)
    await this.write(inviter, { kind: 'token-create', id: id satisfies TokenId, publicKey, role: 'host', uses: 1, expiresAt })
    await this.settle(this.api(name).lifecycle.join({ token: text, role: null, progress: () => {} }, signal))
  }

  votersOf(name: string): readonly string[] {
    const { members } = this.api(name).cluster.status()
    const nameOf = (id: HostId): string => [...this.hosts.values()].find((host) => host.id === id)?.name ?? id
    return members
      .filter(({ role }) => role !== 'learner')
      .map(({ host }) => nameOf(host))
      .sort()
  }

  voters(seenFrom: string, count: number): Promise<void> {
    return this.until(`${count} voters`, () => this.host(seenFrom).agent !== undefined && this.votersOf(seenFrom).length === count, 120_000)
  }

  plan(name: string): Promise<RecoveryView> {
    return this.settle(this.api(name).recovery.plan(signal))
  }

  confirm(name: string, digest: string): Promise<Recovered> {
    return this.settle(this.api(name).recovery.confirm(digest, signal))
  }

  rejoin(name: string, to: string): Promise<Recovered> {
    return this.settle(this.api(name).recovery.rejoin(this.id(to), signal))
  }

  async restore(name: string, path: string, options = { dryRun: false }): Promise<Restored> {
    const { done } = await this.restoring(name, path, options)
    return this.settle(done)
  }

  /** A restore that has read its file, which is a real one, and waits for the disk of its host, or is done: no virtual time has passed. */
  async restoring(name: string, path: string, options = { dryRun: false }): Promise<{ readonly done: Promise<Restored> }> {
    await this.clock.drain()
    const { pending } = this.clock
    let settled = false
    const done = this.api(name).recovery.restore(path, options, signal)
    const mark = (): void => {
      settled = true
    }
    done.then(mark, mark)
    while (!settled && this.clock.pending === pending) {
      await setImmediate()
      await this.clock.drain()
    }
    return { done }
  }

  generation(name: string): number | undefined {
    return this.host(name).agent?.api.lifecycle.initialised() === true ? this.view(name).mesh?.generation : undefined
  }

  async end(): Promise<void> {
    this.powerCut(...this.hosts.keys())
    await this.run(1)
  }
}
