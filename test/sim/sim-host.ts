// One machine of a simulated world: power, an agent process that comes and goes, and what outlives it (disk, guests under the warden).
import { type AgentPorts } from '../../src/agent-ports.ts'
import { startAgent, type Agent } from '../../src/agent.ts'
import { present } from '../../src/base/assert.ts'
import { type Timer } from '../../src/base/clock.ts'
import { errorText } from '../../src/base/errors.ts'
import { type HostId } from '../../src/base/ids.ts'
import { type Log } from '../../src/base/log.ts'
import { between, type Random, seededRandom } from '../../src/base/random.ts'
import { LOAD_TOPIC } from '../../src/host/report-load.ts'
import { SNAPSHOT_STREAM } from '../../src/cluster/raft-transport.ts'
import { COMMAND_VERSION } from '../../src/inventory/command.ts'
import { type HostFacts } from '../../src/inventory/model.ts'
import { rememberedAddresses } from '../../src/mesh/known-addresses.ts'
import { type Mesh } from '../../src/mesh/mesh.ts'
import { FakeHypervisor } from '../../src/vm/fake-driver.ts'
import { startFakeMesh } from '../fixture/fake-mesh.ts'
import { type FakeHost, type FakeNetwork } from '../fixture/fake-network.ts'
import { type MachineClock, type ManualClock } from '../fixture/manual-clock.ts'
import { type DamageKind, HostDisk } from './host-disk.ts'
import { type LogWatch } from './log-watch.ts'
import { type Mount, type SharedFiles } from './shared-files.ts'
import { driverThrough, filesThrough, through } from './through-clock.ts'
import { type Faults, type Trace } from './trace.ts'

export interface HostWish {
  readonly name: string
  readonly memoryMiB: number
  /** How fast its clock goes. */
  readonly clockRate: number
  readonly wallOffsetMs: number
}

/** What a host shares with its world. */
export interface Surroundings {
  readonly clock: ManualClock
  readonly random: Random
  readonly network: FakeNetwork
  readonly files: SharedFiles
  readonly trace: Trace
  readonly faults: Faults
  readonly logWatch: LogWatch
  readonly nameOf: (host: HostId) => string
  readonly raftLimits: AgentPorts['raftLimits']
}

/** One agent process, from its start to its end. */
export interface Life {
  readonly number: number
  readonly clock: MachineClock
  readonly mesh: Mesh
  readonly network: FakeHost
  /** Undefined while it starts. */
  agent: Agent | undefined
  frozen: boolean
  /** Its disk told it of a fault: then it may end itself. */
  diskFailed: boolean
  /** Settles when this process is gone. */
  readonly over: PromiseWithResolvers<void>
}

/** Share of agents that end right after they noted that their member is damaged. */
const CRASHES_AFTER_DAMAGE = 0.5
/** Supervisor: systemd's RestartSec, and the start of a process. */
const RESTART_MS: readonly [number, number] = [150, 600]

export class SimHost {
  readonly name: string
  readonly id: HostId
  readonly disk: HostDisk
  readonly hypervisor: FakeHypervisor
  readonly mount: Mount = { works: true }
  readonly #wish: HostWish
  readonly #world: Surroundings
  readonly #address: string
  readonly #known = rememberedAddresses()
  #isOn = false
  #boots = 0
  #lives = 0
  #life: Life | undefined
  #restart: Timer | undefined
  #wallOffsetMs: number

  constructor(wish: HostWish, identity: { readonly id: HostId; readonly address: string }, world: Surroundings) {
    this.name = wish.name
    this.id = identity.id
    this.#address = identity.address
    this.#wish = wish
    this.#wallOffsetMs = wish.wallOffsetMs
    this.#world = world
    this.hypervisor = new FakeHypervisor({ clock: this.#newClock() })
    this.disk = new HostDisk(world.clock, world.random, {
      onLogWrite: (batch, before) => {
        world.trace.note(this.name, 'log', batch.entries.at(-1)?.index ?? 0)
        world.logWatch.logWritten(this, batch, before)
      },
      onCompaction: () => world.trace.count('compactions'),
      onStateInstalled: (index) => world.logWatch.restored(this, index),
      onDamageKnown: () => {
        // The moment that matters most: what was just learned must hold for the next process too.
        if (world.random.float() < CRASHES_AFTER_DAMAGE) world.clock.after(0, () => this.killAgent())
      },
      onReplaced: () => {
        world.trace.count('members replaced')
        world.trace.note(this.name, 'member replaced')
        world.logWatch.wiped(this)
      },
      onFault: () => {
        if (this.#life !== undefined) this.#life.diskFailed = true
      },
    })
  }

  get isOn(): boolean {
    return this.#isOn
  }

  /** The process that runs (or is frozen) now. */
  get life(): Life | undefined {
    return this.#life
  }

  /** What its agent offers; undefined while none is up. */
  get agent(): Agent | undefined {
    return this.#life?.agent
  }

  powerOn(): void {
    if (this.#isOn) return
    this.#isOn = true
    this.#boots += 1
    this.#world.trace.note(this.name, 'power on')
    this.startAgent()
  }

  /** Guests die, what was not synced is lost, nobody is told. */
  powerCut(): void {
    if (!this.#isOn) return
    this.#isOn = false
    this.#restart?.cancel()
    const life = this.#life
    this.#endLife()
    life?.network.powerOff()
    this.hypervisor.powerCut()
    const lost = this.disk.powerEnds()
    this.#world.trace.count('power cuts')
    if (lost > 0) this.#world.trace.count('power cuts that lost writes')
    this.#world.trace.note(this.name, 'power cut', lost, () => `(${lost} unsynced groups lost)`)
  }

  /** kill -9; the supervisor starts it again, unless told not to. Guests live on. */
  killAgent(restarts = true): void {
    const life = this.#life
    if (life === undefined) return
    this.#world.trace.count('agent kills')
    this.#world.trace.note(this.name, 'agent killed')
    this.#processEnds(life, restarts)
  }

  /** SIGTERM: it stops in its own order, then the supervisor starts it again. */
  async restartAgent(): Promise<void> {
    const life = this.#life
    if (life?.agent === undefined || life.frozen) return
    this.#world.trace.count('agent restarts')
    this.#world.trace.note(this.name, 'agent stops')
    try {
      await life.agent.stop()
      await life.mesh.stop()
      if (this.#life === life) this.#processEnds(life, true)
    } catch (error) {
      this.#onFatal(life, error)
    }
  }

  freeze(): void {
    const life = this.#life
    if (life === undefined || life.frozen) return
    life.frozen = true
    life.clock.pause()
    this.#world.trace.count('freezes')
    this.#world.trace.note(this.name, 'agent frozen')
  }

  thaw(): void {
    const life = this.#life
    if (life === undefined || !life.frozen) return
    life.frozen = false
    life.clock.resume()
    this.#world.trace.note(this.name, 'agent thawed')
  }

  /** Its wall clock is set by somebody; every process of this host sees it. */
  jumpClock(toOffsetMs: number): void {
    this.#life?.clock.jump(toOffsetMs - this.#wallOffsetMs)
    this.#wallOffsetMs = toOffsetMs
    this.#world.trace.note(this.name, 'wall clock set', Math.round(toOffsetMs), () => `${Math.round(toOffsetMs)} ms off`)
  }

  /** Its membership is gone with its disk; identity, run ledger and guests stay. The new agent waits for a token. */
  wipe(): void {
    this.killAgent(false)
    this.disk.replace()
    this.#world.logWatch.wiped(this)
    this.#world.trace.note(this.name, 'wiped')
    this.startAgent()
  }

  /** The agent ends, and comes back to stores that are not what they were. False where there was nothing to damage. */
  damage(kind: DamageKind): boolean {
    this.killAgent()
    if (!this.disk.damage(kind)) return false
    this.#world.trace.note(this.name, `stores damaged: ${kind}`)
    return true
  }

  startAgent(): void {
    this.#restart?.cancel()
    if (!this.#isOn || this.#life !== undefined) return
    this.#lives += 1
    void this.#live(this.#lives)
  }

  async #live(number: number): Promise<void> {
    const { network, trace } = this.#world
    const clock = this.#newClock()
    const machine = network.machine({ id: this.id, addresses: [this.#address], clock })
    const random = seededRandom(between(this.#world.random, 0, 0x7fff_ffff))
    const log = this.#log(number)
    const mesh = await startFakeMesh({
      host: machine,
      random,
      bootId: `${this.name}-${number}`,
      version: VERSION,
      topics: [LOAD_TOPIC],
      log,
      known: this.#known,
    })
    mesh.onPeer(({ kind, host }) => trace.note(this.name, `peer ${kind}`, 0, () => this.#world.nameOf(host)))
    const life: Life = {
      number,
      clock,
      mesh,
      network: machine,
      agent: undefined,
      frozen: false,
      diskFailed: false,
      over: Promise.withResolvers(),
    }
    this.#life = life
    trace.count('adoptions', this.hypervisor.running().length)
    trace.note(this.name, 'agent starts', number)
    try {
      life.agent = await startAgent(this.#ports(life, { random, log }))
    } catch (error) {
      this.#onFatal(life, error)
    }
  }

  #ports({ clock, mesh }: Life, { random, log }: { readonly random: Random; readonly log: Log }): AgentPorts {
    const life = present(this.#life, 'life of this agent')
    this.#watchFrames(mesh)
    return {
      clock,
      random,
      log,
      mesh,
      driver: driverThrough(clock, this.hypervisor.connect()),
      files: filesThrough(clock, this.#world.files.through(this.mount)),
      meter: { measure: () => through(clock, Promise.resolve({ cpuPercent: 10, memoryUsedMiB: 512 })) },
      store: this.disk.store(clock),
      freeMiB: () => through(clock, Promise.resolve(4096)),
      facts: factsOf(this.#wish.memoryMiB),
      bootId: `${this.name}-boot-${this.#boots}`,
      hostName: this.name,
      raftLimits: this.#world.raftLimits,
      onFatal: (error) => this.#onFatal(life, error),
    }
  }

  #watchFrames(mesh: Mesh): void {
    const send = mesh.send.bind(mesh)
    mesh.send = (to, frame, priority) => {
      const message = this.#world.logWatch.sent(this, frame)
      const sent = send(to, frame, priority)
      this.#world.trace.note(this.name, 'frame', frame.length, () => `${sent ? '' : '(link down) '}${JSON.stringify(message)}`)
      if (!sent) this.#world.trace.count('frames lost')
      return sent
    }
    const openStream = mesh.openStream.bind(mesh)
    mesh.openStream = (to, purpose, header, options) => {
      if (purpose === SNAPSHOT_STREAM) this.#world.trace.count('snapshots sent')
      return openStream(to, purpose, header, options)
    }
  }

  /** The process ends itself: right after a fault of its disk, a bug at any other time. */
  #onFatal(life: Life, error: unknown): void {
    if (this.#life !== life) return
    const { faults, trace } = this.#world
    if (!life.diskFailed) faults.report(`the agent of ${this.name} ended itself: ${stackOf(error)}`)
    trace.note(this.name, 'agent ends itself', 0, () => errorText(error))
    this.#processEnds(life, true)
  }

  #processEnds(life: Life, restarts: boolean): void {
    this.#endLife()
    life.network.kill()
    // The next process has a clock of its own, and so an entry of its own in the network.
    life.network.powerOff()
    this.hypervisor.killAgent()
    this.disk.processEnds()
    if (!restarts) return
    const { clock, random } = this.#world
    this.#restart = clock.after(between(random, ...RESTART_MS), () => this.startAgent())
  }

  #endLife(): void {
    const life = this.#life
    if (life === undefined) return
    life.clock.kill()
    this.#life = undefined
    life.over.resolve()
  }

  #newClock(): MachineClock {
    return this.#world.clock.machine({ rate: this.#wish.clockRate, wallOffsetMs: this.#wallOffsetMs })
  }

  #log(number: number): Log {
    const { trace } = this.#world
    const line =
      (level: string) =>
      (facts: object, message: string): void =>
        trace.note(this.name, level, number, () => `${message} ${JSON.stringify(facts, (_key, value: unknown) => plain(value))}`)
    return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
  }
}

export const VERSION = '0.1.0'

function factsOf(memoryMiB: number): HostFacts {
  return {
    cpu: { cores: 8, mhz: 3_000, model: 'Simulated CPU', flags: ['sse4_2'] },
    memoryMiB,
    version: VERSION,
    commandVersion: COMMAND_VERSION,
    machineTypes: ['pc-q35-10.0'],
    qemuVersion: '10.0.2',
    accelerator: 'tcg',
  }
}

function plain(value: unknown): unknown {
  return value instanceof Error ? value.message : value
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
