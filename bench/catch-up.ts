// How a member that was away catches up while others write: time, memory and pauses at both ends. [--short] [--cases LIST] [--profile DIR]
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { present } from '../src/base/assert.ts'
import { KvClient } from '../test/fixture/kv-client.ts'
import { type NodeStatus } from '../test/fixture/kv-protocol.ts'
import { RaftProcesses } from '../test/fixture/raft-processes.ts'
import { scratchFolder } from '../test/fixture/scratch-folder.ts'
import { pause } from '../test/lab/wait-for.ts'
import { plainCopyMs } from './catch-up/plain-copy.ts'
import { fill, WRITERS, Writers } from './catch-up/writers.ts'
import { machine, table } from './shared/figures.ts'

/** What the others write while the member is away. */
interface Case {
  readonly name: string
  readonly what: string
  readonly keys: number
  readonly puts: number
  readonly valueBytes: number
  /** Limits of the log: what is left of it decides whether it takes a snapshot. */
  readonly keepEntries: number
}

interface Side {
  /** Resident before (of the receiver: when it serves), the most meanwhile, resident at the end. Bytes. */
  readonly before: number
  readonly peak: number
  readonly after: number
  readonly pauseMs: number
  /** CPU time of the longest piece of work: what a machine with nothing else to do would see as the pause. */
  readonly workMs: number
}

/** The member once more, after kill -9: what lies on its disk is read, checked, applied. */
interface Again {
  readonly startMs: number
  readonly workMs: number
  readonly peak: number
}

interface Outcome {
  readonly of: Case
  readonly bytes: number
  readonly startMs: number
  readonly catchUpMs: number
  readonly copyMs: number
  readonly leader: Side
  readonly member: Side
  readonly again: Again
  readonly startWorkMs: number
  readonly ratesBefore: number
  readonly rate: number
}

const { values: options } = parseArgs({
  options: { short: { type: 'boolean', default: false }, cases: { type: 'string' }, profile: { type: 'string' } },
})
const share = options.short ? 0.05 : 1
/** What a put costs in the log beside its value: key, entry. */
const PUT_BYTES = 60
const PROMISED_PAUSE_MS = 100
const LOOK_MS = 20
const PATIENCE_MS = 180_000

const CASES: readonly Case[] = [
  { name: 'log', what: 'small puts, all still in the log', keys: 20_000, puts: 200_000 * share, valueBytes: 64, keepEntries: 1_000_000 },
  { name: 'tail', what: 'small puts, the log was cut', keys: 20_000, puts: 200_000 * share, valueBytes: 64, keepEntries: 10_000 },
  { name: 'state', what: '200 MB of state', keys: 50_000 * share, puts: 50_000 * share, valueBytes: 4096, keepEntries: 1000 },
]

const wanted = options.cases?.split(',') ?? CASES.map(({ name }) => name)
const outcomes: Outcome[] = []
for (const of of CASES.filter(({ name }) => wanted.includes(name))) outcomes.push(await measure(of))
report(outcomes)

async function measure(of: Case): Promise<Outcome> {
  const scratch = scratchFolder('hostmesh-bench-')
  const profile = options.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', join(options.profile, of.name)]
  const group = await RaftProcesses.start({
    directory: scratch.path,
    args: () => ['--compact-above', String(of.keepEntries * 2), '--keep-entries', String(of.keepEntries)],
    nodeArgs: () => profile,
  })
  try {
    return await catchUp(of, group)
  } finally {
    await group.stop()
    scratch.remove()
  }
}

async function catchUp(of: Case, group: RaftProcesses): Promise<Outcome> {
  const first = (await group.leader()).id
  const away = present(
    group.nodes.map(({ id }) => id).find((id) => id !== first),
    'follower',
  )
  await group.signal(away, 'SIGTERM')
  const refused = await fill(group, of)
  if (refused > 0) process.stderr.write(`${of.name}: ${refused} puts were written again\n`)
  const leader = await group.leader()
  const bytes = (of.keepEntries > of.puts ? of.puts : of.keys) * (of.valueBytes + PUT_BYTES)
  const copyMs = await plainCopyMs(bytes)
  const writers = await Writers.start(leader.clients)
  await pause(2000)
  const ratesBefore = await writers.rate(options.short ? 1000 : 3000)
  const leaderPid = present(leader.child?.pid, 'leader')
  await forgetPeak(leaderPid)
  await look(leader.clients)
  const leaderBefore = (await memory(leaderPid)).now
  const begun = performance.now()
  await group.start(away)
  const startMs = performance.now() - begun
  const member = group.node(away)
  const memberPid = present(member.child?.pid, 'member')
  const returned = await look(member.clients)
  const memberBefore = (await memory(memberPid)).now
  const countFrom = writers.done
  const longest = await untilLevel(leader.clients, member.clients)
  const catchUpMs = performance.now() - begun - startMs
  const rate = ((writers.done - countFrom) / catchUpMs) * 1000
  const [leaderMemory, memberMemory] = [await memory(leaderPid), await memory(memberPid)]
  await writers.stop()
  const outcome = {
    ...{
      of,
      bytes,
      again: await startAgain(group, away),
      startMs,
      catchUpMs,
      copyMs,
      rate,
      ratesBefore,
      startWorkMs: returned.longestWorkMs,
    },
    leader: { before: leaderBefore, peak: leaderMemory.peak, after: leaderMemory.now, ...longest.leader },
    member: { before: memberBefore, peak: memberMemory.peak, after: memberMemory.now, ...longest.member },
  }
  process.stderr.write(`${of.name}: up again ${startMs.toFixed(0)} ms, level after ${catchUpMs.toFixed(0)} ms\n`)
  return outcome
}

async function startAgain(group: RaftProcesses, id: number): Promise<Again> {
  await group.signal(id, 'SIGKILL')
  const begun = performance.now()
  await group.start(id)
  const startMs = performance.now() - begun
  const { pid, longestWorkMs } = await look(group.node(id).clients)
  return { startMs, workMs: longestWorkMs, peak: (await memory(pid)).peak }
}

type Longest = Pick<Side, 'pauseMs' | 'workMs'>

/** Until the member has applied what the leader had committed a look before. */
async function untilLevel(leaderAt: string, memberAt: string): Promise<{ readonly leader: Longest; readonly member: Longest }> {
  let longest = { leader: { pauseMs: 0, workMs: 0 }, member: { pauseMs: 0, workMs: 0 } }
  let enough = Number.POSITIVE_INFINITY
  for (const until = performance.now() + PATIENCE_MS; performance.now() < until; await pause(LOOK_MS)) {
    const member = await look(memberAt)
    const leader = await look(leaderAt)
    longest = { leader: longer(longest.leader, leader), member: longer(longest.member, member) }
    if (member.appliedIndex >= enough) return longest
    enough = leader.commitIndex
  }
  throw new Error(`the member has not caught up within ${PATIENCE_MS} ms`)
}

function longer({ pauseMs, workMs }: Longest, { longestPauseMs, longestWorkMs }: NodeStatus): Longest {
  return { pauseMs: Math.max(pauseMs, longestPauseMs), workMs: Math.max(workMs, longestWorkMs) }
}

async function look(address: string): Promise<NodeStatus> {
  const client = await KvClient.connect(address, 10_000)
  try {
    return present(await client.status(), 'status')
  } finally {
    client.close()
  }
}

/** Resident bytes, and the most since the last `forgetPeak`. */
async function memory(pid: number): Promise<{ readonly now: number; readonly peak: number }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN)
  return { now: kib('VmRSS') * 1024, peak: kib('VmHWM') * 1024 }
}

async function forgetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5')
}

function report(all: readonly Outcome[]): void {
  process.stdout.write(
    `\n${machine()}\ncopy: as many bytes through one stream of the mesh; writes by ${WRITERS} clients before and meanwhile\n\n`,
  )
  const head = ['', 'MB', 'start', 'level after', 'copy', 'ratio', 'writes/s before', 'meanwhile']
  const rows = all.map(({ of, bytes, startMs, catchUpMs, copyMs, ratesBefore, rate }) => [
    of.what,
    megabytes(bytes),
    `${startMs.toFixed(0)} ms`,
    `${catchUpMs.toFixed(0)} ms`,
    `${copyMs.toFixed(0)} ms`,
    (catchUpMs / copyMs).toFixed(1),
    ratesBefore.toFixed(0),
    rate.toFixed(0),
  ])
  process.stdout.write(`${table([head, ...rows])}\n`)
  const sides = all.flatMap(({ of, leader, member }) => [
    [`${of.name}: leader`, ...sideCells(leader)],
    [`${of.name}: member`, ...sideCells(member)],
  ])
  process.stdout.write(`${table([['', 'MB before', 'peak', 'after', 'longest pause', 'own work', ''], ...sides])}\n`)
  const again = all.map(({ of, again: { startMs, workMs, peak }, startWorkMs }) => [
    `${of.name}: member`,
    `${startWorkMs.toFixed(0)} ms`,
    `${startMs.toFixed(0)} ms`,
    `${workMs.toFixed(0)} ms`,
    megabytes(peak),
  ])
  process.stdout.write(table([['', 'work at its return', 'start after kill -9', 'work', 'peak MB'], ...again]))
}

function sideCells({ before, peak, after, pauseMs, workMs }: Side): readonly string[] {
  const verdict = workMs < PROMISED_PAUSE_MS ? 'kept' : 'missed'
  return [megabytes(before), megabytes(peak), megabytes(after), `${pauseMs.toFixed(0)} ms`, `${workMs.toFixed(0)} ms`, verdict]
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}
