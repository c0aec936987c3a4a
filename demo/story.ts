// The story of the demo, chapter by chapter: what an administrator does, and what becomes of it.
import { guestCommandLine } from '../test/fixture/guest/guest-files.ts'
import {
  consoleLog,
  consoleSays,
  FIRST_TICKS,
  leadership,
  startsNoted,
  statusOf,
  vmBecomes,
  vmOf,
  vmsOf,
  wholeMesh,
} from '../test/lab/look.ts'
import { type Machine } from '../test/lab/machine.ts'
import { type MeshHost, type MeshLab, votersAre } from '../test/lab/mesh-lab.ts'
import { waitFor } from '../test/lab/wait-for.ts'
import { BrokenPromise, type Stage } from './stage.ts'

type Host<M extends Machine> = MeshHost<M>

const TICKS = guestCommandLine({ tickMs: 500 })
const GUEST = ['--kernel', 'shared/vmlinuz', '--initrd', 'shared/initrd', '--append', TICKS]
/** With the kernel of the test guest nothing smaller boots. */
const SIZE = ['--vcpus', '1', '--memory', '96']

export async function tellStory<M extends Machine>(stage: Stage, lab: MeshLab<M>, silentPowerCut: boolean): Promise<void> {
  const [h1, h2, h3] = three(lab.hosts)
  await agents(stage, lab.hosts)
  await meshOfThree(stage, [h1, h2, h3], lab.datastore)
  await machines(stage, [h1, h2, h3])
  await sameEverywhere(stage, lab.hosts)
  const { leader, others } = await leadership(lab.hosts)
  const lost = (await vmsOf(leader)).find(({ owner }) => owner?.host === leader.name)?.name
  if (lost === undefined) throw new BrokenPromise(`no VM runs on ${leader.name}, which leads`)
  await powerCut(stage, leader, others, silentPowerCut)
  await lifeGoesOn(stage, others)
  await powerBack(stage, { returned: leader, others, lost })
  await sameEverywhere(stage, lab.hosts)
}

async function agents<M extends Machine>(stage: Stage, hosts: readonly Host<M>[]): Promise<void> {
  stage.chapter('Three hosts, an agent on each, no mesh yet')
  for (const host of hosts) stage.tell(`${host.name}$ hostmesh agent --data-dir DIR --listen ${host.host.address}:7400 &`)
  await stage.step('the agents listen', () => Promise.all(hosts.map((host) => host.startAgent())))
}

/** Two commands a host. */
async function meshOfThree<M extends Machine>(stage: Stage, [h1, ...others]: Trio<Host<M>>, datastore: string): Promise<void> {
  stage.chapter('h1 begins a mesh, h2 and h3 join with one token')
  stage.figure('a mesh of one host', await stage.type(h1, ['init', '--name', 'home'], { lines: 1 }), { promisedMs: 1_000, limitMs: 20_000 })
  const { secret } = await h1.json<{ secret: string }>('token', 'create')
  for (const host of others) {
    stage.figure(`${host.name} is a member that follows the log`, await stage.type(host, ['join', secret]), {
      promisedMs: 5_000,
      limitMs: 60_000,
    })
  }
  await stage.type(h1, ['datastore', 'add', 'shared', datastore])
}

/** Whoever leads when the power fails: its host has a guest. */
async function machines<M extends Machine>(stage: Stage, [h1, h2, h3]: Trio<Host<M>>): Promise<void> {
  stage.chapter('A virtual machine, made through h2, seen ticking through h3')
  const create = async (name: string): Promise<string> => {
    await stage.type(h2, ['vm', 'create', name, ...SIZE, ...GUEST, '--start'])
    return (await vmOf(h2, name)).owner?.host ?? 'no host'
  }
  const placed = new Map([['web', await create('web')]])
  await stage.step('its kernel boots, and it ticks', () => consoleSays(h3, 'web', FIRST_TICKS))
  const live = await stage.follow(h3, ['vm', 'console', 'web', '--timeout', '3'])
  stage.claim(/tick \d+/.test(live), `web runs on ${placed.get('web') ?? 'no host'}, its console was read through h3`)

  stage.chapter('One for each host, and three voters')
  for (const name of ['db', 'mail', 'cache', 'wiki']) {
    if (new Set(placed.values()).size === 3) break
    placed.set(name, await create(name))
  }
  stage.claim(new Set(placed.values()).size === 3, `the mesh put ${[...placed].map(([name, host]) => `${name} on ${host}`).join(', ')}`)
  await stage.step('all of them tick', () => Promise.all([...placed.keys()].map((name) => consoleSays(h3, name, FIRST_TICKS))))
  await stage.step('three hosts vote: a newcomer has to be up for 10 s before its word counts', () => votersAre(h1, 3))
  await stage.type(h3, ['status'])
}

/** Usage and uptime are measured, not agreed on: each host has what it heard last. All else is the same, byte by byte. */
async function sameEverywhere<M extends Machine>(stage: Stage, hosts: readonly Host<M>[]): Promise<void> {
  stage.chapter('Any host answers, and all say the same')
  const [first] = hosts
  if (first !== undefined) await stage.type(first, ['vm', 'list'])
  for (const noun of ['vm', 'host']) {
    const same = async (): Promise<number | false> => {
      const lists = await Promise.all(hosts.map(async (host) => agreed(await host.ok(noun, 'list', '-o', 'json'))))
      return new Set(lists).size === 1 && (lists[0]?.length ?? 0)
    }
    const bytes = await waitFor(`${noun} list to be the same on all hosts`, same, { limitMs: 20_000, everyMs: 200 })
    stage.claim(true, `hostmesh ${noun} list -o json: ${bytes} bytes, identical on ${hosts.map(({ name }) => name).join(', ')}`)
  }
}

function agreed(list: string): string {
  return JSON.stringify(JSON.parse(list), (key, value: unknown) => (key === 'usage' || key === 'uptimeS' ? undefined : value))
}

async function powerCut<M extends Machine>(stage: Stage, leader: Host<M>, others: readonly Host<M>[], silent: boolean): Promise<void> {
  stage.chapter(`The power of ${leader.name} fails: it leads, and has guests`)
  stage.tell(
    silent
      ? 'The cable is pulled first: its peers hear nothing, no connection is closed.'
      : 'Without namespaces its processes are killed: its peers hear of it at once, a real power cut would be silent.',
  )
  const [second] = others
  if (second === undefined) throw new BrokenPromise('nobody is left')
  const cut = performance.now()
  await leader.host.cut()
  const off = leader.host.poweroff()
  // Typed at once, into the gap: it travels to the new leader as soon as there is one.
  await stage.type(second, ['config', 'set', 'vm.shutdown-timeout-s', '60', '--reason', 'a write into the gap'])
  stage.figure('from the cut until a write through another host was done', performance.now() - cut, { promisedMs: 1_400, limitMs: 20_000 })
  await off
  const { leader: next } = await leadership(others)
  stage.claim(true, `${next.name} leads now, in term ${(await statusOf(next)).term}`)
  await stage.type(second, ['status'])
}

async function lifeGoesOn<M extends Machine>(stage: Stage, others: readonly Host<M>[]): Promise<void> {
  stage.chapter('A new VM, while a host is missing')
  const [second, third] = others
  if (second === undefined || third === undefined) throw new BrokenPromise('two hosts should be left')
  await stage.type(third, ['vm', 'create', 'new', ...SIZE, ...GUEST, '--start'])
  await stage.step(`new ticks, seen through ${second.name}`, () => consoleSays(second, 'new', FIRST_TICKS))
  await stage.type(second, ['vm', 'list'])
  stage.tell('VMs of the host without power stay its own: restarting them elsewhere needs high availability,\nwhich this version has not.')
}

interface Return<M extends Machine> {
  readonly returned: Host<M>
  readonly others: readonly Host<M>[]
  /** A VM that ran on the host when its power failed. */
  readonly lost: string
}

async function powerBack<M extends Machine>(stage: Stage, { returned, others, lost }: Return<M>): Promise<void> {
  stage.chapter(`The power of ${returned.name} is back`)
  await stage.step('its agent listens', () => returned.powerOn())
  // What its guest said before the cut is still there: what comes behind it is of the next boot.
  const said = (await consoleLog(returned, lost)).length
  await stage.step('it has caught up with the others', async () => {
    await wholeMesh(returned)
    const { commitIndex } = await statusOf(others[0] ?? returned)
    await waitFor('its log', async () => (await statusOf(returned)).appliedIndex >= commitIndex, { limitMs: 60_000 })
  })
  const vm = await stage.step(`${lost} was wanted on: it is started again`, () =>
    vmBecomes(returned, lost, ({ state, owner }) => state === 'running' && owner !== null && owner.epoch !== '1.1'),
  )
  stage.claim(
    vm.owner?.epoch === '1.2',
    `${lost} runs on ${vm.owner?.host ?? 'no host'} in epoch ${vm.owner?.epoch ?? 'none'}: its second start`,
  )
  await stage.step(`${lost} boots and ticks`, () => consoleSays(returned, lost, FIRST_TICKS, vm.owner?.host === returned.name ? said : 0))
  const starts = [returned, ...others].flatMap(startsNoted).filter((start) => start.startsWith(vm.id))
  stage.claim(
    new Set(starts).size === starts.length,
    `the run ledgers of all hosts hold each epoch of it once: ${starts.map((start) => start.split(' ')[1]).join(', ')}`,
  )
  const boots = (await consoleLog(returned, lost)).match(/guest: ready/g)?.length ?? 0
  stage.claim(boots <= 2, `its console shows ${boots} boots`)
  await stage.type(returned, ['vm', 'list'])
}

type Trio<T> = readonly [T, T, T]

function three<T>([one, two, other]: readonly T[]): Trio<T> {
  if (one === undefined || two === undefined || other === undefined) throw new Error('the story needs three hosts')
  return [one, two, other]
}
