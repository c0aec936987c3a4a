// What is done to a group while clients use it: a schedule from a seed, then done to real processes in a lab.
import { between, type Random } from '../../src/base/random.ts'
import { type LabHost } from '../lab/lab.ts'
import { pause } from '../lab/wait-for.ts'
import { type Group, hostOf, membersOf, othersThan } from './group.ts'

/** Whom it hits: decided when it happens, so that it hits a leader as often as wanted. */
export type Target = 'leader' | 'follower' | 'other follower'

export type NetworkFault =
  /** Nothing passes between it and the others; clients reach it all the same. */
  | { readonly kind: 'isolate'; readonly target: Target }
  /** What it says is lost, what it is told arrives; or the other way round; or only between two, one way or both. */
  | { readonly kind: 'mute'; readonly target: Target }
  | { readonly kind: 'deaf'; readonly target: Target }
  | { readonly kind: 'one-way'; readonly from: Target; readonly to: Target }
  | { readonly kind: 'apart'; readonly from: Target; readonly to: Target }
  | { readonly kind: 'lossy'; readonly target: Target; readonly percent: number }

export type ProcessFault =
  /** kill -9 at one moment; they come back after `downMs`. */
  | { readonly kind: 'kill'; readonly targets: readonly Target[]; readonly downMs: number }
  /** The cable first: peers hear nothing. */
  | { readonly kind: 'power cut'; readonly target: Target; readonly downMs: number }
  /** SIGSTOP, SIGCONT. */
  | { readonly kind: 'freeze'; readonly targets: readonly Target[]; readonly forMs: number }
  | { readonly kind: 'transfer'; readonly to: Target }

/** One or both at once, then peace. */
export interface Episode {
  readonly network: NetworkFault | undefined
  readonly process: ProcessFault | undefined
  /** How long the network stays bad, and when in it the process is hit. */
  readonly lastsMs: number
  readonly hitAfterMs: number
  readonly calmMs: number
}

/** Endless. The same seed gives the same schedule; what the group makes of it differs from run to run. */
export function* schedule(random: Random): Generator<Episode, never> {
  for (;;) {
    const dice = random.float()
    const network = dice < 0.6 ? networkFault(random) : undefined
    const process = network === undefined || dice < 0.3 ? processFault(random) : undefined
    const lastsMs = between(random, 200, 2_500)
    yield { network, process, lastsMs, hitAfterMs: between(random, 0, lastsMs), calmMs: between(random, 100, 1_200) }
  }
}

function networkFault(random: Random): NetworkFault {
  const target = anyTarget(random)
  const [from, to] = pairOf(random)
  const faults: readonly NetworkFault[] = [
    { kind: 'isolate', target },
    { kind: 'mute', target },
    { kind: 'deaf', target },
    { kind: 'one-way', from, to },
    { kind: 'apart', from, to },
    { kind: 'lossy', target, percent: between(random, 10, 40) },
  ]
  return oneOf(random, faults)
}

function processFault(random: Random): ProcessFault {
  const target = anyTarget(random)
  const targets = oneOf(random, [[target], [target], pairOf(random), ALL])
  const faults: readonly ProcessFault[] = [
    { kind: 'kill', targets, downMs: between(random, 0, 1_000) },
    { kind: 'power cut', target, downMs: between(random, 200, 1_500) },
    { kind: 'freeze', targets, forMs: between(random, 100, 2_500) },
    { kind: 'transfer', to: 'follower' },
  ]
  return oneOf(random, faults)
}

const ALL: readonly Target[] = ['leader', 'follower', 'other follower']

/** Half of all that happens happens to the leader. */
function anyTarget(random: Random): Target {
  return random.float() < 0.5 ? 'leader' : 'follower'
}

function pairOf(random: Random): readonly [Target, Target] {
  return oneOf<readonly [Target, Target]>(random, [
    ['leader', 'follower'],
    ['follower', 'leader'],
    ['follower', 'other follower'],
  ])
}

function oneOf<T>(random: Random, choices: readonly T[]): T {
  const choice = choices[between(random, 0, choices.length - 1)]
  if (choice === undefined) throw new Error('nothing to choose from')
  return choice
}

/** Carries one episode out and mends everything after it. `tell` hears what is done to whom. */
export async function play(group: Group, episode: Episode, tell: (what: string) => void): Promise<void> {
  const who = await rolesOf(group)
  const { network, process, lastsMs, hitAfterMs, calmMs } = episode
  if (network !== undefined) {
    tell(textOf(network, who))
    await spoil(group, network, who)
  }
  const hit = async (fault: ProcessFault): Promise<void> => {
    if (network !== undefined) await pause(hitAfterMs)
    tell(textOf(fault, who))
    await strike(group, fault, who)
  }
  await Promise.all([process && hit(process), network && pause(lastsMs)])
  if (network !== undefined || process?.kind === 'power cut') await group.lab.heal()
  tell('all is well')
  await pause(calmMs)
}

type Roles = Readonly<Record<Target, number>>

/** Without a leader anybody stands for it. */
async function rolesOf(group: Group): Promise<Roles> {
  const { leader = 1 } = await group.state(300)
  const [follower = 2, other = 3] = membersOf(group).filter((member) => member !== leader)
  return { leader, follower, 'other follower': other }
}

async function spoil(group: Group, fault: NetworkFault, who: Roles): Promise<void> {
  const drop = (pairs: readonly (readonly [LabHost, LabHost])[]) => Promise.all(pairs.map(([from, to]) => from.dropTo(to)))
  const at = (target: Target): LabHost => hostOf(group, who[target])
  const others = (target: Target): readonly LabHost[] => othersThan(group, who[target])
  switch (fault.kind) {
    case 'isolate':
      return group.lab.split([at(fault.target)], others(fault.target))
    case 'mute':
      await drop(others(fault.target).map((other) => [at(fault.target), other]))
      return
    case 'deaf':
      await drop(others(fault.target).map((other) => [other, at(fault.target)]))
      return
    case 'one-way':
      await drop([[at(fault.from), at(fault.to)]])
      return
    case 'apart':
      await drop([
        [at(fault.from), at(fault.to)],
        [at(fault.to), at(fault.from)],
      ])
      return
    case 'lossy':
      await at(fault.target).loss(fault.percent)
  }
}

async function strike(group: Group, fault: ProcessFault, who: Roles): Promise<void> {
  switch (fault.kind) {
    case 'kill': {
      const ids = fault.targets.map((target) => who[target])
      await Promise.all(ids.map((id) => group.signal(id, 'SIGKILL')))
      await pause(fault.downMs)
      await Promise.all(ids.map((id) => group.start(id)))
      return
    }
    case 'power cut': {
      const id = who[fault.target]
      await hostOf(group, id).cut()
      await group.signal(id, 'SIGKILL')
      await pause(fault.downMs)
      await hostOf(group, id).join()
      await group.start(id)
      return
    }
    case 'freeze': {
      const ids = fault.targets.map((target) => who[target])
      for (const id of ids) await group.signal(id, 'SIGSTOP')
      await pause(fault.forMs)
      for (const id of ids) await group.signal(id, 'SIGCONT')
      return
    }
    case 'transfer':
      await group.transfer(who.leader, who[fault.to])
  }
}

function textOf(fault: NetworkFault | ProcessFault, who: Roles): string {
  const name = (target: Target): string => `${who[target]} (${target})`
  switch (fault.kind) {
    case 'isolate':
    case 'mute':
    case 'deaf':
      return `${fault.kind} ${name(fault.target)}`
    case 'one-way':
      return `nothing passes ${name(fault.from)} -> ${name(fault.to)}`
    case 'apart':
      return `nothing passes ${name(fault.from)} <-> ${name(fault.to)}`
    case 'lossy':
      return `${fault.percent} % loss at ${name(fault.target)}`
    case 'kill':
      return `kill -9 ${fault.targets.map(name).join(', ')}, down for ${fault.downMs} ms`
    case 'power cut':
      return `power cut of ${name(fault.target)}, down for ${fault.downMs} ms`
    case 'freeze':
      return `SIGSTOP ${fault.targets.map(name).join(', ')} for ${fault.forMs} ms`
    case 'transfer':
      return `leadership ${name('leader')} -> ${name(fault.to)}`
  }
}
