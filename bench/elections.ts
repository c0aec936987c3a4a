// Full load, and the elections in it that no wait for processor or disk explains: [--minutes N] [--clients N] [--folder DIR on the disk to be used]
import { parseArgs } from 'node:util'
import { KvClient } from '../test/fixture/kv-client.ts'
import { RaftProcesses } from '../test/fixture/raft-processes.ts'
import { scratchFolder } from '../test/fixture/scratch-folder.ts'
import { type Spread, type WatchReport } from '../test/fixture/stall-watch.ts'
import { pause } from '../test/lab/wait-for.ts'
import { type Election, electionsIn, eventText, type Noted, SILENCE_MS } from '../test/linear/elections.ts'
import { table } from './shared/figures.ts'

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { minutes: text, clients: text, folder: text } })
const minutes = Number(values.minutes ?? 10)
const clients = Number(values.clients ?? 64)

/** Share of reads; the rest are puts of 256 bytes. */
const READS = 0.2
const VALUE = Buffer.alloc(256, 'v')
const KEYS = 10_000
const EVERY_MS = 30_000

interface Done {
  writes: number
  reads: number
  failed: number
  readonly latencies: number[]
}

const folder = scratchFolder('hostmesh-elections-', values.folder)
const group = await RaftProcesses.start({ directory: folder.path, args: () => ['--watch'] })
const done: Done = { writes: 0, reads: 0, failed: 0, latencies: [] }
try {
  await group.leader(60_000)
  const from = Date.now()
  const end = from + minutes * 60_000
  const running = Array.from({ length: clients }, (_, client) => use(client, end))
  while (Date.now() < end) {
    await pause(Math.min(EVERY_MS, end - Date.now()))
    const elections = electionsIn(notesOf(await reports()))
    say(`${Math.round((Date.now() - from) / 1_000)} s: ${done.writes} writes, ${done.reads} reads, ${elections.length} elections`)
  }
  await Promise.all(running)
  report(await reports(), from)
} finally {
  await group.stop()
  folder.remove()
}

/** One client, one request at a time, at whoever leads. */
async function use(number: number, end: number): Promise<void> {
  let client: KvClient | undefined
  for (let at = 0; Date.now() < end; at += 1) {
    client ??= await connectToLeader()
    const key = `key ${(number * 7_919 + at * 31) % KEYS}`
    const reading = (at * READS) % 1 < READS
    const began = performance.now()
    const { kind } = reading ? await client.get(key) : await client.put(key, VALUE)
    done.latencies.push(performance.now() - began)
    if (kind === 'refused' || kind === 'unknown') {
      done.failed += 1
      client.close()
      client = undefined
    } else {
      done[reading ? 'reads' : 'writes'] += 1
    }
  }
  client?.close()
}

async function connectToLeader(): Promise<KvClient> {
  const leader = await group.leader(60_000)
  return KvClient.connect(leader.clients, 10_000)
}

type Reports = ReadonlyMap<number, WatchReport>

async function reports(): Promise<Reports> {
  const all = new Map<number, WatchReport>()
  for (const { id, clients: address } of group.nodes) {
    const client = await KvClient.connect(address, 10_000)
    const watched = await client.watchReport()
    client.close()
    if (watched !== undefined) all.set(id, watched)
  }
  return all
}

function notesOf(of: Reports): readonly Noted[] {
  return [...of].flatMap(([member, { events }]) => events.map((event) => ({ member, event })))
}

function report(of: Reports, from: number): void {
  const elections = electionsIn(notesOf(of))
  const spread = ({ count, p50, p99, max }: Spread): string[] => [String(count), ...[p50, p99, max].map((ms) => `${ms.toFixed(1)} ms`)]
  say(`\n${clients} clients for ${minutes} minutes, puts of ${VALUE.length} bytes, ${READS * 100} % reads\n`)
  const rows = [...of].flatMap(([id, { loop, sync, events }]) => [
    [`member ${id}: event loop late by`, ...spread(loop), String(stallsIn(events, 'event loop')), `${longestRun(events)} ms`],
    [`member ${id}: sync`, ...spread(sync), String(stallsIn(events, 'sync')), ''],
  ])
  const latencies = Float64Array.from(done.latencies).toSorted()
  const quantile = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? 0
  const requests: Spread = { count: latencies.length, p50: quantile(0.5), p99: quantile(0.99), max: quantile(1) }
  process.stdout.write(
    table([
      ['', 'n', 'p50', 'p99', 'max', `>= ${SILENCE_MS} ms`, 'longest work'],
      ...rows,
      ['request, as its client saw it', ...spread(requests), '', ''],
    ]),
  )
  for (const election of elections) say(electionText(election, from))
  const unexplained = elections.filter(({ stall }) => stall === undefined).length
  const own = elections.filter(({ ownWork }) => ownWork).length
  say(`\n${done.writes} writes, ${done.reads} reads, ${done.failed} without success`)
  say(`${elections.length} elections, of these explained by no stall: ${unexplained}, by a member that worked instead of listening: ${own}`)
  process.exitCode = unexplained + own === 0 ? 0 : 1
}

function stallsIn(events: WatchReport['events'], of: 'event loop' | 'sync'): number {
  return events.filter((event) => event.kind === 'stall' && event.of === of && event.ms >= SILENCE_MS).length
}

/** The longest that a member worked without listening, of all times that it was late by two ticks. */
function longestRun(events: WatchReport['events']): number {
  return Math.max(0, ...events.map((event) => (event.kind === 'stall' && event.of === 'event loop' ? event.ranMs : 0)))
}

function electionText({ term, at, stall, ownWork, before }: Election, from: number): string {
  const verdict = stall === undefined ? 'UNEXPLAINED' : `${ownWork ? 'OUR OWN WORK' : 'explained'}: ${eventText(stall, from)}`
  const lines = before.map((noted) => `    ${eventText(noted, from)}`)
  return [`\nterm ${term} at ${((at - from) / 1_000).toFixed(3)} s: ${verdict}`, ...lines].join('\n')
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
