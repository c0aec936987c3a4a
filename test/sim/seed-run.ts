// One seed from its founding to its end: a mesh, faults and people for a while, then everything mended and progress demanded.
import { present } from '../../src/base/assert.ts'
import { errorText } from '../../src/base/errors.ts'
import { type DatastoreId, type RequestKey } from '../../src/base/ids.ts'
import { Administrator } from './administrator.ts'
import { initialise, join, powerOn, quorumGrows } from './founding.ts'
import { Membership } from './membership.ts'
import { Nemesis } from './nemesis.ts'
import { demandProgress } from './progress.ts'
import { type Counts, type Sink } from './trace.ts'
import { describeWeather, drawWeather, type Weather } from './weather.ts'
import { Workload } from './workload.ts'
import { World } from './world.ts'

export interface SeedOptions {
  readonly seed: number
  /** Null: drawn from the seed, as the length of the faults in virtual seconds. */
  readonly hosts: number | null
  readonly seconds: number | null
  readonly sink?: Sink
}

export interface SeedReport {
  readonly seed: number
  /** Null: nothing was found. */
  readonly failure: string | null
  readonly counts: Counts
  /** Equal for equal runs. */
  readonly hash: string
  readonly virtualMs: number
  /** What it was drawn with, for people. */
  readonly weather: string
}

/** People who wait for an answer when the faults end get it, or give up, within this. */
const LAST_ANSWERS_MS = 60_000

export async function runSeed(options: SeedOptions): Promise<SeedReport> {
  const weather = drawWeather(options.seed, options.hosts)
  const { hosts, raftLimits } = weather
  const world = await World.of({ seed: options.seed, hosts, raftLimits, ...(options.sink === undefined ? {} : { sink: options.sink }) })
  let failure: string | null = null
  // In production it would end the process.
  const onUnheard = (error: unknown): void => world.faults.report(`a rejection that nobody heard: ${stackOf(error)}`)
  process.on('unhandledRejection', onUnheard)
  try {
    await live(world, weather, (options.seconds ?? weather.seconds) * 1000)
  } catch (error) {
    failure = errorText(error)
  } finally {
    process.off('unhandledRejection', onUnheard)
  }
  world.end()
  const { counts, hash } = world.trace
  return { seed: options.seed, failure, counts, hash, virtualMs: world.clock.now(), weather: describeWeather(weather) }
}

async function live(world: World, weather: Weather, faultsMs: number): Promise<void> {
  const [founder, ...others] = [...world.hosts.values()]
  const firstComers = others.slice(0, others.length - weather.newcomers)
  const membership = new Membership(world, others.slice(firstComers.length))
  const nemesis = new Nemesis(world, weather, membership)
  const workload = new Workload(world, weather)
  await powerOn(world, [...world.hosts.values()])
  await initialise(world, present(founder, 'first host'))
  await addDatastore(world)
  if (weather.early) nemesis.start()
  for (const host of firstComers) await join(world, host)
  if (!weather.early) {
    await quorumGrows(world)
    nemesis.start()
  }
  membership.start()
  workload.start()
  await world.run(faultsMs)
  workload.stop()
  nemesis.stop()
  membership.finish()
  await world.runUntil('everybody has an answer', () => workload.waiting === 0, LAST_ANSWERS_MS)
  await demandProgress(world, () => membership.open)
}

async function addDatastore(world: World): Promise<void> {
  const through = [...world.hosts.values()].slice(0, 1)
  const command = { kind: 'datastore-add', id: 'main' as DatastoreId, name: 'main', path: '/srv/main' } as const
  const asked = new Administrator(world).write({ key: 'datastore' as RequestKey, command: () => command, through })
  await world.settle('a datastore is added', asked, LAST_ANSWERS_MS)
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
