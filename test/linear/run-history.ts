// One history of a new group: clients, faults from a seed, everything healed, all read once more, and the verdict.
import { seededRandom } from '../../src/base/random.ts'
import { pause } from '../lab/wait-for.ts'
import { Clients, type Counts } from './clients.ts'
import { type Group } from './group.ts'
import { minimise } from './minimise.ts'
import { type Episode, play, schedule } from './nemesis.ts'
import { checkRegisters, type HistoryVerdict } from './register.ts'
import { timelineText } from './timeline.ts'

export interface HistoryOptions {
  /** Nobody has used it before. */
  readonly group: Group
  readonly seed: number
  readonly seconds: number
  readonly clients?: number
  /** Instead of the seed's schedule. */
  readonly episodes?: Iterable<Episode>
  readonly tell?: (what: string) => void
}

export interface HistoryResult {
  readonly seed: number
  readonly counts: Readonly<Counts>
  /** By kind. */
  readonly faults: ReadonlyMap<string, number>
  /** Terms gone by since the first leader. */
  readonly elections: number
  readonly verdict: HistoryVerdict
  readonly checkMs: number
}

/** A group that is well again elects within a second; a busy machine starts three processes in several. */
const HEALED_MS = 30_000

export async function runHistory(options: HistoryOptions): Promise<HistoryResult> {
  const { group, seed, seconds, tell = () => {} } = options
  const random = seededRandom(seed)
  await group.ready(HEALED_MS)
  const firstTerm = await highestTerm(group)
  const clients = new Clients({
    group,
    random: seededRandom(seed + 1_000_000),
    clients: options.clients ?? 8,
  })
  const start = performance.now()
  const faults = new Map<string, number>()
  for (const episode of options.episodes ?? schedule(random)) {
    if (performance.now() - start >= seconds * 1_000) break
    for (const { kind } of [episode.network, episode.process].filter((fault) => fault !== undefined)) {
      faults.set(kind, (faults.get(kind) ?? 0) + 1)
    }
    await play(group, episode, (what) => tell(`${((performance.now() - start) / 1_000).toFixed(1)} s, ${clients.counts.ok} ok: ${what}`))
  }
  await pause(Math.max(0, start + seconds * 1_000 - performance.now()))
  await clients.stop()
  await group.lab.heal()
  await group.ready(HEALED_MS)
  await clients.readAll()
  const elections = (await highestTerm(group)) - firstTerm
  const checkFrom = performance.now()
  const verdict = checkRegisters(clients.history)
  return { seed, counts: clients.counts, faults, elections, verdict, checkMs: performance.now() - checkFrom }
}

/** What a rejected history boils down to. */
export function explain(verdict: HistoryVerdict): string {
  switch (verdict.kind) {
    case 'linearizable':
      return 'accepted'
    case 'undecided':
      return `undecided: key ${verdict.key} takes longer than the checker may`
    case 'not-linearizable': {
      const left = minimise(verdict.history)
      return `rejected: ${verdict.history.length} operations on key ${verdict.key}, of these contradict each other\n${timelineText(left)}`
    }
  }
}

async function highestTerm(group: Group): Promise<number> {
  return (await group.state(1_000)).term
}
