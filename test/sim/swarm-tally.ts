// What many seeds add up to: counters with a floor each, hours, failures and how to see them again.
import { type SeedReport } from './seed-run.ts'
import { COUNTED, type Counted, type Counts, noCounts } from './trace.ts'

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

  /** Counters below their floor: the seeds were spent on a mesh to which nothing happened. */
  asleep(): readonly string[] {
    return nothingHappened(this.counts, this.virtualMs)
  }
}

/**
 * At least so many in a virtual hour of the swarm as it is drawn: about a third of what it gave when this was written. What is not here has a
 * floor of 1 in as many hours as give 20 of it elsewhere: every fault has to come at all.
 */
const FLOOR_AN_HOUR: Partial<Record<Counted, number>> = {}

function nothingHappened(counts: Counts, virtualMs: number): readonly string[] {
  const hours = virtualMs / 3_600_000
  return COUNTED.flatMap((name) => {
    const floor = Math.floor((FLOOR_AN_HOUR[name] ?? 1) * hours)
    return counts[name] >= floor ? [] : [`${name}: ${counts[name]}, floor ${floor}`]
  })
}
