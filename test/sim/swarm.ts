// Runs many seeds of the simulated world: ./dev run node test/sim/swarm.ts --minutes 30, or --seeds 100; one seed step by step with --trace.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { runSeed, type SeedReport } from './seed-run.ts'
import { replayCommand, type SwarmLengths, SwarmTally } from './swarm-tally.ts'
import { runInWorkers } from './swarm-workers.ts'
import { COUNTED, type Sink } from './trace.ts'

/** How often a long run says that it lives. */
const TELL_MS = 60_000

interface SwarmWish extends SwarmLengths {
  readonly from: number
  /** Whichever comes first. */
  readonly seeds: number
  readonly minutes: number
  readonly workers: number
  readonly trace: boolean
}

function parseWish(): SwarmWish {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      from: { type: 'string', default: '1' },
      hosts: { type: 'string' },
      seconds: { type: 'string' },
      workers: { type: 'string' },
      trace: { type: 'boolean', default: false },
    },
  })
  const number = (name: 'seeds' | 'minutes' | 'from' | 'hosts' | 'seconds' | 'workers'): number | undefined => {
    const text = values[name]
    const value = Number(text)
    if (text !== undefined && !(value > 0 && (Number.isInteger(value) || name === 'minutes'))) {
      throw new Error(`--${name} ${text}: a whole number above 0 is needed`)
    }
    return text === undefined ? undefined : value
  }
  const minutes = number('minutes')
  return {
    from: number('from') ?? 1,
    seeds: number('seeds') ?? (minutes === undefined ? 20 : Number.MAX_SAFE_INTEGER),
    minutes: minutes ?? Number.MAX_SAFE_INTEGER,
    hosts: number('hosts') ?? null,
    seconds: number('seconds') ?? null,
    workers: number('workers') ?? availableParallelism(),
    trace: values.trace,
  }
}

async function runMany(wish: SwarmWish): Promise<void> {
  const { from, seeds, minutes, hosts, seconds } = wish
  const tally = new SwarmTally()
  const startedAt = performance.now()
  const elapsedS = (): number => (performance.now() - startedAt) / 1000
  let given = 0
  const next = (): Parameters<typeof runSeed>[0] | undefined => {
    if (given >= seeds || elapsedS() >= minutes * 60) return undefined
    given += 1
    return { seed: from + given - 1, hosts, seconds }
  }
  const ticker = setInterval(() => console.log(progress(tally, elapsedS())), TELL_MS)
  await runInWorkers(Math.min(wish.workers, seeds), next, (report) => {
    tally.add(report)
    if (report.failure !== null) tellFailure(report, wish)
  })
  clearInterval(ticker)
  tellEnd(tally, elapsedS(), wish)
}

function progress({ seeds, virtualMs, failures }: SwarmTally, realS: number): string {
  const hours = (virtualMs / 3_600_000).toFixed(2)
  return `${(realS / 60).toFixed(1)} min: ${seeds} seeds, ${hours} virtual hours (${(virtualMs / 1000 / realS).toFixed(0)}x), ${failures.length} failed`
}

function tellFailure({ seed, failure, hash, weather }: SeedReport, lengths: SwarmLengths): void {
  console.log(`seed ${seed} ${hash} FAILED\n${failure}\n  ${weather}\n  ${replayCommand(seed, lengths)}`)
}

function tellEnd(tally: SwarmTally, realS: number, wish: SwarmWish): void {
  for (const name of COUNTED) console.log(`${String(tally.counts[name]).padStart(9)}  ${name}`)
  console.log(progress(tally, realS))
  const asleep = tally.asleep()
  for (const line of asleep) console.log(`nothing happened: ${line}`)
  for (const { seed } of tally.failures) console.log(`failed: ${replayCommand(seed, wish)}`)
  if (tally.failures.length === 0) console.log('no violation')
  process.exitCode = tally.failures.length === 0 && asleep.length === 0 ? 0 : 1
}

async function traceOne({ from, hosts, seconds }: SwarmWish): Promise<void> {
  const sink: Sink = (atMs, who, what, words) => console.log(`${(atMs / 1000).toFixed(3).padStart(9)} ${who.padEnd(4)} ${what} ${words}`)
  const report = await runSeed({ seed: from, hosts, seconds, sink })
  console.log(`${report.weather}\n${report.failure ?? 'no violation'}`)
  process.exitCode = report.failure === null ? 0 : 1
}

const wish = parseWish()
await (wish.trace ? traceOne(wish) : runMany(wish))
