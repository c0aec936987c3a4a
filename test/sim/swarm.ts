// Runs many seeds of the simulated world: ./dev run node test/sim/swarm.ts --seeds 100 --from 1 --hosts 3 --seconds 60 [--trace]
import { parseArgs } from 'node:util'
import { runSeed, type SeedReport } from './seed-run.ts'
import { COUNTED, type Counted, noCounts, type Sink } from './trace.ts'

export interface SwarmOptions {
  readonly seeds: readonly number[]
  readonly hosts: number
  readonly seconds: number
}

export interface SwarmReport {
  readonly runs: readonly SeedReport[]
  readonly counts: Readonly<Record<Counted, number>>
}

export async function runSwarm(options: SwarmOptions, onRun: (report: SeedReport) => void = () => {}): Promise<SwarmReport> {
  const runs: SeedReport[] = []
  const counts = noCounts()
  for (const seed of options.seeds) {
    const report = await runSeed({ seed, hosts: options.hosts, seconds: options.seconds })
    for (const name of COUNTED) counts[name] += report.counts[name]
    runs.push(report)
    onRun(report)
  }
  return { runs, counts }
}

/** What to type to see a failing run again, step by step. */
export function replayCommand(seed: number, { hosts, seconds }: Pick<SwarmOptions, 'hosts' | 'seconds'>): string {
  return `./dev run node test/sim/swarm.ts --seeds 1 --from ${seed} --hosts ${hosts} --seconds ${seconds} --trace`
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '20' },
      from: { type: 'string', default: '1' },
      hosts: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '60' },
      trace: { type: 'boolean', default: false },
    },
  })
  const [seeds, from, hosts, seconds] = [values.seeds, values.from, values.hosts, values.seconds].map(Number)
  if (![seeds, from, hosts, seconds].every((value) => value !== undefined && Number.isInteger(value) && value > 0)) {
    throw new Error('--seeds, --from, --hosts and --seconds are whole numbers above 0')
  }
  const options = { seeds: Array.from({ length: seeds ?? 0 }, (_, at) => (from ?? 1) + at), hosts: hosts ?? 3, seconds: seconds ?? 60 }
  if (values.trace) return traceOne(options)
  const startedAt = performance.now()
  const { runs, counts } = await runSwarm(options, (report) => tell(report, options))
  const realS = (performance.now() - startedAt) / 1000
  const virtualS = runs.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 1000
  for (const [name, count] of Object.entries(counts)) console.log(`${String(count).padStart(9)}  ${name}`)
  const failed = runs.filter(({ failure }) => failure !== null)
  console.log(`${runs.length} seeds, ${virtualS.toFixed(0)} virtual seconds in ${realS.toFixed(1)} s (${(virtualS / realS).toFixed(0)}x)`)
  console.log(failed.length === 0 ? 'no violation' : `${failed.length} seeds failed: ${failed.map(({ seed }) => seed).join(' ')}`)
  process.exitCode = failed.length === 0 ? 0 : 1
}

function tell({ seed, failure, hash, weather }: SeedReport, options: SwarmOptions): void {
  if (failure === null) return console.log(`seed ${seed} ${hash} ok`)
  console.log(`seed ${seed} ${hash} FAILED\n${failure}\n  ${weather}\n  ${replayCommand(seed, options)}`)
}

async function traceOne({ seeds, hosts, seconds }: SwarmOptions): Promise<void> {
  const sink: Sink = (atMs, who, what, words) => console.log(`${(atMs / 1000).toFixed(3).padStart(9)} ${who.padEnd(4)} ${what} ${words}`)
  for (const seed of seeds) {
    const report = await runSeed({ seed, hosts, seconds, sink })
    console.log(`${report.weather}\n${report.failure ?? 'no violation'}`)
    process.exitCode = report.failure === null ? 0 : 1
  }
}

if (import.meta.main) await main()
