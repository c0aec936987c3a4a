// People who let hosts in and send them away while everything else goes on: newcomers, hosts that lost their disk, hosts that were removed.
import { type RequestKey } from '../../src/base/ids.ts'
import { between } from '../../src/base/random.ts'
import { belongs, hasAgent, makeToken, useToken } from './admission.ts'
import { Administrator } from './administrator.ts'
import { votersOf } from './founding.ts'
import { type DamageKind } from './host-disk.ts'
import { type SimHost } from './sim-host.ts'
import { type World } from './world.ts'

const LOOK_MS: readonly [number, number] = [300, 1_200]
/** A host that knows itself to be in no mesh is looked after at once, one that was sent away is set up anew after a while. */
const ANEW_MS = 5_000
/** Share of joins with a token that was used before: refused, or the token was good twice. */
const OLD_TOKENS = 0.2
/** Fewer would be no mesh to learn anything from. */
const FEWEST = 3
/** A change of voters whose outcome nobody heard may come this late: what waits in a cut link goes on when it is mended. */
const QUIET_MS = 20_000

export class Membership {
  readonly #world: World
  readonly #administrator: Administrator
  /** Those that are to stay outside. */
  readonly #outside: Set<SimHost>
  readonly #joining = new Set<SimHost>()
  readonly #strangersSince = new Map<SimHost, number>()
  #number = 0
  #lastToken: string | undefined
  #removing = false
  #removalUnknownAt = -QUIET_MS
  #finishing = false

  constructor(world: World, outside: readonly SimHost[] = []) {
    this.#world = world
    this.#administrator = new Administrator(world)
    this.#outside = new Set(outside)
  }

  start(): void {
    this.#world.clock.after(between(this.#world.random, ...LOOK_MS), () => {
      for (const host of this.#world.hosts.values()) this.#look(host)
      this.start()
    })
  }

  /** Everybody is let in from now on, nobody sent away. */
  finish(): void {
    this.#finishing = true
    this.#outside.clear()
  }

  /** What still is to be done; empty: every host that should belong does. */
  get open(): readonly string[] {
    const damaged = [...this.#world.hosts.values()].filter(({ disk }) => disk.isDamaged)
    const strangers = [...this.#world.hosts.values()].filter((host) => !this.#outside.has(host) && !this.#world.isMember(host))
    return [...strangers.map(({ name }) => `${name} is no member`), ...damaged.map(({ name }) => `${name} needs repair`)]
  }

  /** One of those that are outside is wanted in from now on. */
  invite(): void {
    const [host] = this.#outside
    if (host !== undefined) this.#outside.delete(host)
  }

  /** An empty disk in the place of the old one, where the mesh can stand it. True when it was done. */
  wipe(host: SimHost): boolean {
    if (this.#finishing || !host.isOn || !this.#mayLose(host)) return false
    host.wipe()
    return true
  }

  /** As wiping it, but for its host: that has to find out, and to come back as another member by itself. */
  damage(host: SimHost, kind: DamageKind): boolean {
    if (this.#finishing || !host.isOn || !this.#world.isMember(host) || !this.#mayLose(host)) return false
    if (kind === 'shortened' && !this.#isHeldByAll(host)) return false
    return host.damage(kind)
  }

  /** A person asks for another leader, through `host`. */
  async handOver(host: SimHost, to: SimHost): Promise<void> {
    const { logWatch, trace } = this.#world
    const led = new Set<string>()
    const off = logWatch.leaders.on(({ name }) => led.add(name))
    const done = await this.#administrator.handOver(host, to)
    off()
    if (!done) return
    trace.count('leaders handed over')
    if (!led.has(to.name)) this.#world.faults.report(`${host.name} says that ${to.name} took the lead, which it did not`)
  }

  /** Refused while the host owns VMs. */
  async remove(host: SimHost): Promise<void> {
    const { hosts } = this.#world
    const members = [...hosts.values()].filter((one) => this.#world.isMember(one))
    if (this.#finishing || this.#removing || members.length <= FEWEST || !this.#world.isMember(host)) return
    if (this.#hasDebts()) return
    this.#removing = true
    this.#number += 1
    const through = members.filter((one) => one !== host).slice(0, 2)
    const outcome = await this.#administrator.write({
      key: `remove ${this.#number}` as RequestKey,
      command: () => ({ kind: 'host-remove', host: host.id }),
      through,
    })
    if (outcome.kind !== 'answered') this.#removalUnknownAt = this.#world.clock.now()
    else if (outcome.result.kind === 'done') this.#world.trace.count('hosts removed')
    this.#removing = false
  }

  #look(host: SimHost): void {
    const { life } = host
    if (this.#world.isMember(host) || this.#outside.has(host) || this.#joining.has(host)) {
      this.#strangersSince.delete(host)
      return
    }
    // A host with damaged stores comes back by itself.
    if (!hasAgent(life) || life.frozen || host.disk.isDamaged) return
    if (!life.agent.api.lifecycle.initialised()) {
      this.#joining.add(host)
      void this.#letIn(host).finally(() => this.#joining.delete(host))
      return
    }
    // It was removed, and may not have heard of it: a person begins anew there.
    const since = this.#strangersSince.get(host) ?? this.#world.clock.now()
    this.#strangersSince.set(host, since)
    if (this.#world.clock.now() - since >= ANEW_MS) host.wipe()
  }

  async #letIn(host: SimHost): Promise<void> {
    const { life } = host
    const inviters = [...this.#world.hosts.values()].filter((one) => one !== host && belongs(one) && this.#world.isMember(one))
    const inviter = inviters[between(this.#world.random, 0, inviters.length - 1)]
    if (inviter === undefined || !hasAgent(life)) return
    const failure = await this.#tryToJoin(inviter, life)
    this.#world.trace.note(host.name, failure === null ? 'joined' : 'not joined', 0, () => failure ?? '')
    if (failure === null) this.#world.trace.count('hosts joined late')
  }

  async #tryToJoin(inviter: SimHost, life: Parameters<typeof useToken>[1]): Promise<string | null> {
    const { world, text } = { world: this.#world, text: this.#lastToken }
    if (text !== undefined && world.random.float() < OLD_TOKENS) return useToken(world, life, text)
    this.#number += 1
    const made = await makeToken(world, inviter, `late token ${this.#number}`)
    if ('why' in made) return made.why
    this.#lastToken = made.text
    return useToken(world, life, made.text)
  }

  /**
   * Whether a quorum is left when this host's disk is gone. Its member votes never again, and stays in the configuration until the host has
   * joined anew: so only one at a time, of three at least, and not while the configuration may change to one that it would have to carry.
   */
  #mayLose(host: SimHost): boolean {
    const { hosts, logWatch, clock } = this.#world
    if (!this.#world.isMember(host)) return true
    const leader = [...hosts.values()].find((one) => belongs(one) && one.agent?.api.cluster.status().leading)
    const cluster = leader?.agent?.api.cluster
    // One that was deposed without knowing it would count the voters of yesterday.
    if (cluster === undefined || cluster.view().index !== this.#world.stateWatch.newest?.index) return false
    const role = cluster.status().members.find((member) => member.host === host.id)?.role
    if (role === 'learner') return true
    const quiet = !this.#removing && clock.now() - this.#removalUnknownAt >= QUIET_MS
    const settled = [...hosts.values()].every(({ disk }) => !logWatch.hasOpenChange(disk))
    return role !== undefined && quiet && settled && votersOf(cluster) >= FEWEST && !this.#hasDebts()
  }

  /**
   * Whether no voter may have to be told of any entry that this one loses: that others miss an entry is found only where whoever knows of it is
   * up, and the nemesis does not spare them.
   */
  #isHeldByAll({ disk }: SimHost): boolean {
    const last = disk.log.entries.at(-1)
    return last !== undefined && [...this.#world.hosts.values()].every((other) => !this.#world.isMember(other) || other.disk.holds(last))
  }

  /** A host that the mesh counts as a member that it is no more, or that has to become another one. */
  #hasDebts(): boolean {
    const known = this.#world.stateWatch.newest?.hosts
    return [...this.#world.hosts.values()].some(
      (host) => host.disk.isDamaged || (known?.has(host.id) === true && !this.#world.isMember(host)),
    )
  }
}
