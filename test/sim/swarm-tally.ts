// What many seeds add up to: counters with a floor each, hours, failures and how to see them again.
import { type SeedReport } from './seed-run.ts'
import { COUNTED, type Counted, type Counts, noCounts } from './trace.ts'
import { FAULT_KINDS } from './weather.ts'

/** What a seed is run with; null: as it draws. */
export interface SwarmLengths {
  readonly hosts: number | null
  readonly seconds: number | null
}

/** What to type to see a failing run again, step by step. */
export function replayCommand(seed: number, { hosts, seconds }: SwarmLengths): string {
  const given = [hosts === null ? '' : ` --hosts ${hosts}`, seconds === null ? '' : ` --seconds ${seconds}`].join('')
  return `./dev run node test/sim/swarm.ts --seeds 1 --from ${seed}${given} --trace`
}

export class SwarmTally {
  readonly counts: Record<Counted, number> = noCounts()
  readonly failures: SeedReport[] = []
  seeds = 0
  virtualMs = 0

  add(report: SeedReport): void {
    this.seeds += 1
    this.virtualMs += report.virtualMs
    for (const name of COUNTED) this.counts[name] += report.counts[name]
    if (report.failure !== null) this.failures.push(report)
  }

  /** Counters below their floor: the seeds were spent on a mesh to which nothing happened. Says nothing of a run too short to tell. */
  asleep(): readonly string[] {
    const hours = this.virtualMs / 3_600_000
    return hours < FEWEST_HOURS ? [] : below(this.counts, (name) => Math.floor((FLOOR_AN_HOUR[name] ?? FLOOR_OF_OTHERS) * hours))
  }
}

/** Whatever did not come about as often as it has to. */
export function below(counts: Counts, floor: (name: Counted) => number): readonly string[] {
  return COUNTED.filter((name) => counts[name] < floor(name)).map((name) => `${name}: ${counts[name]}, floor ${floor(name)}`)
}

/** In less, chance decides whether a rare fault comes at all: every seed draws its own. */
const FEWEST_HOURS = 1
/** Of each kind; some come by the hundred. */
const FLOOR_OF_FAULTS = 10
/** Of whatever else is counted. */
const FLOOR_OF_OTHERS = 4

/** At least so many in a virtual hour: about a third of what seeds as they are drawn gave when this was written. */
const FLOOR_AN_HOUR: Partial<Record<Counted, number>> = {
  elections: 110,
  'leader changes': 60,
  truncations: 10,
  'snapshots sent': 110,
  'snapshots installed': 110,
  compactions: 450,
  'config changes': 150,
  'power cuts that lost writes': 95,
  'frames lost': 3_000,
  'hosts joined late': 35,
  'hosts removed': 10,
  'disks wiped': 30,
  'stores unreadable': 15,
  'logs torn': 15,
  'logs shortened': 5,
  'members replaced': 40,
  'leaders handed over': 5,
  'fresh leaders felled': 10,
  'VM starts': 100,
  'VM ends': 100,
  adoptions: 60,
  'writes done': 700,
  'writes refused': 200,
  'writes without quorum': 200,
  'writes of unknown outcome': 70,
  'repeated keys': 25,
  reads: 200,
  entries: 2_000,
  ...Object.fromEntries(FAULT_KINDS.map((kind) => [kind, FLOOR_OF_FAULTS])),
}
