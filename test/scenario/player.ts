// Plays a story in a simulated world and writes down what happens, each event with its time.
import { present } from '../../src/base/assert.ts'
import { errorText } from '../../src/base/errors.ts'
import { newId, type DatastoreId, type DiskId, type JobId, type RequestKey, type VmId, type Branded } from '../../src/base/ids.ts'
import { parseDurationMs, parseMemoryMiB } from '../../src/base/units.ts'
import { type AdminCommand } from '../../src/inventory/command.ts'
import { type Inventory } from '../../src/inventory/inventory.ts'
import { compareText, vmState } from '../../src/inventory/view.ts'
import { Administrator } from '../sim/administrator.ts'
import { clusterOf, foundMesh, initialise, join, powerOn } from '../sim/founding.ts'
import { demandProgress } from '../sim/progress.ts'
import { type Outcome } from '../sim/request-watch.ts'
import { type SimHost } from '../sim/sim-host.ts'
import { World } from '../sim/world.ts'
import { eventLines, type Line, noteLine, vmLine } from './event-lines.ts'
import { type Step, type Story } from './story.ts'

const SEED = 1
/** An answer, or that there is none, comes within this. */
const ANSWER_MS = 30_000
const DEFAULT_MEMORY_MIB = '8192'

/** The events of the story, a line each, ending with `check: ok` or what is broken. Throws for a command that it does not know. */
export async function play(story: Story): Promise<string> {
  const [first, ...rest] = story.steps
  if (first === undefined) throw new Error('a story needs a command')
  const player = await Player.of(first)
  for (const step of rest) {
    try {
      await player.step(step)
    } catch (error) {
      throw new Error(`line ${step.line}: ${step.verb}`, { cause: error })
    }
  }
  return player.finish()
}

class Player {
  readonly #world: World
  readonly #administrator: Administrator
  readonly #lines: string[]
  #asked = 0
  /** What is only asked to see whether all is well, is no part of the story. */
  #muted = false
  #startedAt = 0

  /** The first command says which hosts there are. */
  static async of(step: Step): Promise<Player> {
    const names = listOf(step, 'hosts')
    const leader = step.options.get('leader')
    const memory = listOf(step, 'memory', DEFAULT_MEMORY_MIB)
    const memories = new Map(names.map((name, at) => [name, parseMemoryMiB(memory[at] ?? memory[0] ?? DEFAULT_MEMORY_MIB)]))
    // Whoever founds the mesh leads it at first.
    const order = leader === undefined ? names : [leader, ...names.filter((name) => name !== leader)]
    const lines: string[] = []
    const told = { add: (_line: Line): void => {} }
    const world: World = await World.of({
      seed: SEED,
      hosts: order.map((name) => ({ name, memoryMiB: memories.get(name) ?? 0, clockRate: 1, wallOffsetMs: 0 })),
      sink: (_at, who, what, words) => {
        const line = noteLine(who, what, words)
        if (line !== undefined) told.add(line)
      },
      onApplied: (applied) => eventLines(applied, (host) => nameIn(world, host)).forEach((line) => told.add(line)),
    })
    const player = new Player(world, lines)
    if (step.verb === 'cluster') await player.#found()
    else if (step.verb === 'hosts') await powerOn(world, [...world.hosts.values()])
    else throw new Error(`line ${step.line}: a story begins with "cluster" or "hosts"`)
    told.add = (line) => player.#tell(line)
    return player
  }

  private constructor(world: World, lines: string[]) {
    this.#world = world
    this.#lines = lines
    this.#administrator = new Administrator(world)
  }

  async step(step: Step): Promise<void> {
    const { verb, words, options } = step
    const [name = ''] = words
    switch (verb) {
      case 'run':
        return this.#world.run(parseDurationMs(name))
      case 'init':
        return initialise(this.#world, this.#host(name))
      case 'join':
        return join(this.#world, this.#host(name))
      case 'voters':
        return this.#voters(this.#host(name))
      case 'membership':
        return this.#membership(this.#host(name))
      case 'transfer':
        return this.#transfer(this.#host(name), this.#host(options.get('via') ?? 'leader'))
      case 'show':
        return this.#show(this.#host(name))
      case 'read':
        return this.#read(this.#host(name))
      case 'progress':
        return this.#demandProgress()
      case 'guest':
        return this.#guest(name, words[1] ?? '')
      default:
        if (this.#bringFault(step)) return
        return this.#ask(this.#host(options.get('via') ?? 'leader'), this.#command(step), words.join(' '))
    }
  }

  finish(): string {
    this.#muted = true
    this.#world.end()
    const { found } = this.#world.faults
    return `${[...this.#lines, found.length === 0 ? 'check: ok' : `check: ${found.join('\n       ')}`].join('\n')}\n`
  }

  /** All that comes before the story: its time begins afterwards. */
  async #found(): Promise<void> {
    await foundMesh(this.#world)
    const command = { kind: 'datastore-add', id: 'main' as DatastoreId, name: 'main', path: '/srv/main' } as const
    await this.#write(this.#host('leader'), () => command)
    await this.#world.run(1_000)
    this.#startedAt = this.#world.clock.now()
  }

  async #demandProgress(): Promise<void> {
    this.#muted = true
    await demandProgress(this.#world)
    this.#muted = false
    this.#tell({ who: '-', text: 'everything is as it is wanted' })
  }

  #bringFault({ verb, words }: Step): boolean {
    const world = this.#world
    switch (verb) {
      case 'power-cut':
        words.flatMap((name) => this.#hosts(name)).forEach((host) => host.powerCut())
        return true
      case 'power-on':
        words.flatMap((name) => this.#hosts(name)).forEach((host) => host.powerOn())
        return true
      case 'kill':
        words.forEach((name) => this.#host(name).killAgent())
        return true
      case 'freeze':
        words.forEach((name) => this.#host(name).freeze())
        return true
      case 'thaw':
        words.forEach((name) => this.#host(name).thaw())
        return true
      case 'partition':
        world.partition(words.map((name) => this.#host(name)))
        this.#tell({ who: '-', text: `cut off: ${words.map((name) => this.#host(name).name).join(', ')}` })
        return true
      case 'heal':
        world.heal()
        this.#tell({ who: '-', text: 'network whole again' })
        return true
      default:
        return false
    }
  }

  /** What a guest does by itself, on whichever host it runs. */
  #guest(name: string, does: string): void {
    const { id } = this.#vm(name)
    for (const { hypervisor } of this.#world.hosts.values()) {
      switch (does) {
        case 'powers-off':
          hypervisor.powerOffFromInside(id)
          break
        case 'crashes':
          hypervisor.crash(id)
          break
        case 'ignores-button':
          hypervisor.ignoreButton(id)
          break
        case 'disk-fails':
          hypervisor.failDisk(id)
          break
        case 'cannot-start':
          hypervisor.failNextStart(id, { code: 'qemu', message: 'QEMU could not start' })
          break
        default:
          throw new Error(`a guest cannot "${does}"`)
      }
    }
  }

  #command({ verb, words, options }: Step): AdminCommand {
    const [name = ''] = words
    switch (verb) {
      case 'vm':
        return this.#create(name, options)
      case 'start':
      case 'stop':
      case 'shutdown':
      case 'pause':
      case 'resume':
        return { kind: `vm-${verb}`, vm: this.#vm(name).id, job: this.#id<JobId>() }
      case 'reboot':
        return { kind: 'vm-reboot', vm: this.#vm(name).id, force: options.has('force'), job: this.#id<JobId>() }
      case 'delete':
        return { kind: 'vm-delete', vm: this.#vm(name).id, keepDisks: false, host: this.#host('leader').id, job: this.#id<JobId>() }
      case 'remove':
        return { kind: 'host-remove', host: this.#host(name).id }
      case 'label':
        return { kind: 'host-set', host: this.#host(name).id, labels: { zone: options.get('zone') ?? null } }
      case 'set':
        return { kind: 'config-set', key: name, value: Number(options.get('value')) }
      default:
        throw new Error(`unknown command "${verb}"`)
    }
  }

  #create(name: string, options: ReadonlyMap<string, string>): AdminCommand {
    const sizeBytes = options.get('disk') === undefined ? undefined : parseMemoryMiB(options.get('disk') ?? '') * 1024 ** 2
    const disk = { kind: 'new', id: this.#id<DiskId>(), name: `${name}-root`, datastore: 'main' as DatastoreId, format: 'qcow2' } as const
    return {
      kind: 'vm-create',
      id: this.#id<VmId>(),
      name,
      vcpus: 1,
      memoryMiB: parseMemoryMiB(options.get('memory') ?? '512'),
      cpu: 'mesh-baseline',
      firmware: 'bios',
      machineType: 'pc-q35-10.0',
      disks: sizeBytes === undefined ? [] : [{ ...disk, sizeBytes }],
      cdrom: null,
      boot: null,
      ha: 'off',
      priority: 2,
      drs: 'auto',
      host: this.#host(options.get('via') ?? 'leader').id,
      startJob: options.get('start') === 'no' ? null : this.#id<JobId>(),
    }
  }

  async #ask(host: SimHost, command: AdminCommand, object: string): Promise<void> {
    const outcome = await this.#write(host, () => command)
    this.#tell({ who: host.name, text: `> ${command.kind.replace('-', ' ')} ${object}: ${outcomeText(outcome)}` })
  }

  #write(host: SimHost, command: () => AdminCommand): Promise<Outcome> {
    this.#asked += 1
    const key = `story-${this.#asked}` as RequestKey
    return this.#world.settle('an answer', this.#administrator.write({ key, command, through: [host] }), ANSWER_MS)
  }

  /** Who votes, as this host sees it; the leader is starred. */
  #voters(host: SimHost): void {
    const { members, strangers } = clusterOf(host).status()
    const names = members
      .filter(({ role }) => role !== 'learner')
      .map((member) => `${nameIn(this.#world, member.host)}${member.role === 'leader' ? '*' : ''}`)
      .toSorted(compareText)
    const lost = strangers.length === 0 ? '' : ` and ${strangers.length} lost`
    this.#tell({ who: host.name, text: `> voters: ${names.join(', ')}${lost}` })
  }

  /** Whether this host belongs to the mesh, or why it does not. Who removed it is the world's own administrator. */
  #membership({ name, agent }: SimHost): void {
    const { lifecycle } = present(agent, `agent of ${name}`).api
    const text = lifecycle.initialised() ? 'a member' : (lifecycle.ended() ?? 'none')
    this.#tell({ who: name, text: `> membership: ${text}` })
  }

  async #transfer(to: SimHost, via: SimHost): Promise<void> {
    const wish = { to: to.id, why: 'a story', actor: `admin@${via.name}`, reason: null, dryRun: false }
    const handed = clusterOf(via)
      .handOver(wish, new AbortController().signal)
      .then(
        () => 'done',
        (error: unknown) => errorText(error),
      )
    this.#tell({ who: via.name, text: `> transfer to ${to.name}: ${await this.#world.settle('the transfer', handed, ANSWER_MS)}` })
  }

  /** What this host has applied, fresh or not. */
  #show(host: SimHost): void {
    const cluster = clusterOf(host)
    const { staleMs } = cluster.status()
    const age = staleMs === null ? '' : ` (stale: no leader for ${(staleMs / 1000).toFixed(1)} s)`
    this.#tell({ who: host.name, text: `> vm list: ${this.#list(host, cluster.view())}${age}` })
  }

  async #read(host: SimHost): Promise<void> {
    const answered = await this.#world.settle('a read', this.#administrator.read(host), ANSWER_MS)
    this.#tell({ who: host.name, text: `> fresh read: ${answered ? this.#list(host, clusterOf(host).view()) : 'no-quorum'}` })
  }

  #list(host: SimHost, inventory: Inventory): string {
    const liveness = present(host.agent, `agent of ${host.name}`).api.liveness()
    const vms = [...inventory.vms.values()].sort((a, b) => compareText(a.name, b.name))
    return vms.map((vm) => vmLine(vm, vmState(vm, liveness), (id) => nameIn(this.#world, id))).join(', ') || 'none'
  }

  #hosts(name: string): readonly SimHost[] {
    return name === 'all' ? [...this.#world.hosts.values()] : [this.#host(name)]
  }

  #host(name: string): SimHost {
    if (name !== 'leader') return this.#world.host(name)
    const leader = [...this.#world.hosts.values()].find(({ agent }) => {
      return agent?.api.lifecycle.initialised() === true && agent.api.cluster.status().leading
    })
    return present(leader, 'a leader')
  }

  #vm(name: string): { readonly id: VmId } {
    const vms = [...present(this.#world.stateWatch.newest, 'a state').vms.values()]
    return present(
      vms.find((vm) => vm.name === name),
      `VM ${name}`,
    )
  }

  #id<T extends Branded<string, string>>(): T {
    return newId<T>((length) => this.#world.random.bytes(length))
  }

  #tell({ who, text }: Line): void {
    if (this.#muted) return
    const seconds = (this.#world.clock.now() - this.#startedAt) / 1000
    this.#lines.push(`${seconds.toFixed(1).padStart(6)}s ${who.padEnd(2)} ${text}`)
  }
}

function nameIn(world: World, host: string): string {
  return [...world.hosts.values()].find(({ id }) => id === host)?.name ?? host
}

function outcomeText(outcome: Outcome): string {
  if (outcome.kind !== 'answered') return outcome.code
  const { result } = outcome
  if (result.kind === 'done') return 'done'
  if (result.kind === 'stale') return `stale: ${result.why}`
  return `refused: ${result.reasons.map(({ message, fix }) => (fix === undefined ? message : `${message} -> ${fix}`)).join('; ')}`
}

function listOf(step: Step, option: string, otherwise?: string): readonly string[] {
  const text = step.options.get(option) ?? otherwise
  if (text === undefined) throw new Error(`line ${step.line}: ${option}= is missing`)
  return text.split(',')
}
