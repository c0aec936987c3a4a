// Our Raft against etcd in the same minutes on the same disk: puts of 256 bytes and linearizable reads by 1, 64 and 256 clients.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { present } from '../src/base/assert.ts'
import { RaftProcesses } from '../test/fixture/raft-processes.ts'
import { costOf } from './raft/cost.ts'
import { startEtcd } from './raft/etcd-group.ts'
import { percentile, sumLatencies } from './raft/latencies.ts'
import type { Load, LoadResult } from './raft/load.ts'
import { machine, median, table } from './shared/figures.ts'
import { scratchFolder } from '../test/fixture/scratch-folder.ts'

const USAGE = `./dev bench raft [ROUNDS] [OPTIONS]
  --seconds N     of each measurement (3)
  --loads N       processes that the clients are spread over (1)
  --cells LIST    as put:64 (64 clients), get:256/4 (256 clients that share 4 connections)
  --other DIR     another checkout of this project, measured beside this one
  --no-etcd       this project alone
  --profile DIR   a CPU profile of each of our processes goes there`

/** One of those that are compared. */
interface Contestant {
  readonly name: string
  readonly system: Load['system']
  readonly pids: readonly number[]
  readonly leader: () => Promise<string>
  /** Milliseconds, since the last asking; undefined where nobody knows. */
  readonly longestPauseMs?: () => Promise<number>
  readonly stop: () => Promise<void>
}

interface Cell {
  readonly op: Load['op']
  readonly clients: number
  readonly connections: number
}

/** One measurement. */
interface Measured {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Of all server processes together, of the clients, in microseconds an operation. */
  readonly cpuUs: number
  readonly clientCpuUs: number
  readonly writtenBytes: number
  readonly failed: number
  readonly pauseMs: number
}

/** Of throughput, ours to etcd's. */
const PROMISED: Readonly<Record<string, number>> = { 'put:1': 0.75, 'put:64': 1.5, 'put:256': 1.5, 'get:1': 2, 'get:64': 5, 'get:256': 10 }
/** A connection a client, as judged; and few connections, which show what the connections cost. */
const CELLS = `${Object.keys(PROMISED).join(',')},put:256/4,get:64/4,get:256/4`
const WARM_MS = 700
const LOAD = join(import.meta.dirname, 'raft/load.ts')

const options = optionsFrom(process.argv.slice(2))
const scratch = scratchFolder('hostmesh-bench-')
const directory = scratch.path
const contestants: Contestant[] = []
try {
  contestants.push(await startOurs('ours', {}))
  if (options.other !== undefined) contestants.push(await startOurs('other', { program: join(options.other, 'test/fixture/raft-node.ts') }))
  if (options.etcd) contestants.push(await startTheirs())
  report(await measureAll())
} finally {
  await Promise.all(contestants.map(({ stop }) => stop()))
  scratch.remove()
}

async function startOurs(name: string, how: { readonly program?: string }): Promise<Contestant> {
  const profile = options.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', join(options.profile, name)]
  const group = await RaftProcesses.start({ directory: join(directory, name), ...how, nodeArgs: () => profile })
  return {
    name,
    system: 'ours',
    pids: group.nodes.map(({ child }) => child?.pid ?? 0),
    leader: async () => (await group.leader()).clients,
    longestPauseMs: async () => Math.max(...(await group.statuses()).map((status) => status.longestPauseMs)),
    stop: () => group.stop(),
  }
}

async function startTheirs(): Promise<Contestant> {
  const etcd = await startEtcd(join(directory, 'etcd'))
  return { name: 'etcd', system: 'etcd', ...etcd }
}

/** Round by round, cell by cell, one contestant after the other, so that what disturbs one disturbs all. */
async function measureAll(): Promise<ReadonlyMap<Cell, ReadonlyMap<Contestant, Measured[]>>> {
  const results = new Map(options.cells.map((cell) => [cell, new Map(contestants.map((each) => [each, new Array<Measured>()]))]))
  // Reads find a value everywhere.
  for (const each of contestants) await measure(each, { op: 'put', clients: 64, connections: 64 })
  for (let round = 0; round < options.rounds; round += 1) {
    for (const cell of options.cells) {
      const order = round % 2 === 0 ? contestants : contestants.toReversed()
      for (const each of order) {
        const measured = await measure(each, cell)
        present(results.get(cell)?.get(each), 'cell').push(measured)
        const { perSecond, p50, p99, failed } = measured
        const line = `${round + 1} ${keyOf(cell)} ${each.name}: ${perSecond.toFixed(0)}/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`
        process.stderr.write(`${line}${failed === 0 ? '' : `, ${failed} failed`}\n`)
      }
    }
  }
  return results
}

async function measure(contestant: Contestant, { op, clients, connections }: Cell): Promise<Measured> {
  const { system, pids, leader, longestPauseMs } = contestant
  const address = await leader()
  await longestPauseMs?.()
  const before = costOf(pids)
  const loads = Math.min(options.loads, connections)
  const share = (of: number): number => Math.ceil(of / loads)
  const how = { op, clients: share(clients), connections: share(connections), warmMs: WARM_MS, measureMs: options.seconds * 1000 }
  const load: Load = { system, address, ...how }
  const results = await Promise.all(Array.from({ length: loads }, () => runLoad(load)))
  const after = costOf(pids)
  const sum = (of: (result: LoadResult) => number): number => results.reduce((total, result) => total + of(result), 0)
  const [all, done] = [sum((result) => result.all), sum((result) => result.done)]
  const latencies = sumLatencies(results.map((result) => result.latencies))
  return {
    perSecond: done / options.seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    cpuUs: ((after.cpuMs - before.cpuMs) * 1000) / all,
    clientCpuUs: (sum((result) => result.cpuMs) * 1000) / done,
    writtenBytes: (after.writtenBytes - before.writtenBytes) / all,
    failed: sum((result) => result.failed),
    pauseMs: (await longestPauseMs?.()) ?? Number.NaN,
  }
}

async function runLoad(load: Load): Promise<LoadResult> {
  const child = spawn(process.execPath, [LOAD, JSON.stringify(load)], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  let text = ''
  for await (const chunk of present(child.stdout, 'output')) text += String(chunk)
  return JSON.parse(text) as LoadResult
}

function report(results: ReadonlyMap<Cell, ReadonlyMap<Contestant, Measured[]>>): void {
  process.stdout.write(
    `\n${machine()}\n${options.rounds} rounds, medians; CPU is that of three servers; clients in ${options.loads} process(es)\n\n`,
  )
  const rows = [['', '', '/s', 'p50 ms', 'p99 ms', 'CPU us/op', 'client us/op', 'bytes/op', 'pause ms', '/s to etcd', 'p99 to etcd', '']]
  for (const [cell, byContestant] of results) {
    const etcd = contestants.find(({ system }) => system === 'etcd')
    for (const [contestant, rounds] of byContestant) {
      const of = (value: (measured: Measured) => number): number => median(rounds.map(value))
      const theirs = etcd === undefined || etcd === contestant ? undefined : byContestant.get(etcd)
      // Of each round by itself: its disturbances are those of both.
      const ratio = (value: (measured: Measured) => number): number | undefined =>
        theirs && median(rounds.map((mine, round) => value(mine) / value(present(theirs[round], 'round'))))
      const speed = ratio(({ perSecond }) => perSecond)
      const promised = PROMISED[keyOf(cell)]
      rows.push([
        keyOf(cell),
        contestant.name,
        of(({ perSecond }) => perSecond).toFixed(0),
        of(({ p50 }) => p50).toFixed(2),
        of(({ p99 }) => p99).toFixed(2),
        of(({ cpuUs }) => cpuUs).toFixed(0),
        of(({ clientCpuUs }) => clientCpuUs).toFixed(0),
        cell.op === 'put' ? of(({ writtenBytes }) => writtenBytes).toFixed(0) : '',
        contestant.system === 'ours' ? Math.max(...rounds.map(({ pauseMs }) => pauseMs)).toFixed(0) : '',
        speed?.toFixed(2) ?? '',
        ratio(({ p99 }) => p99)?.toFixed(2) ?? '',
        speed === undefined || promised === undefined ? '' : `${speed >= promised ? 'kept' : 'missed'}: ${promised}`,
      ])
    }
  }
  process.stdout.write(table(rows))
}

function keyOf({ op, clients, connections }: Cell): string {
  return `${op}:${clients}${connections === clients ? '' : `/${connections}`}`
}

function optionsFrom(args: readonly string[]) {
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seconds: text,
      loads: text,
      connections: text,
      cells: text,
      other: text,
      profile: text,
      'no-etcd': { type: 'boolean', default: false },
    },
  })
  const number = (value: string | undefined, otherwise: number): number => {
    const found = value === undefined ? otherwise : Number(value)
    if (!(found > 0)) throw new Error(USAGE)
    return found
  }
  const cells = (values.cells ?? CELLS).split(',').map((cell): Cell => {
    const [, op, clients, connections] = /^(put|get):(\d+)(?:\/(\d+))?$/.exec(cell) ?? []
    if (op !== 'put' && op !== 'get') throw new Error(USAGE)
    return { op, clients: number(clients, 1), connections: number(connections ?? clients, 1) }
  })
  return {
    rounds: number(positionals[0], 5),
    seconds: number(values.seconds, 3),
    loads: number(values.loads, 1),
    cells,
    other: values.other,
    profile: values.profile,
    etcd: !values['no-etcd'],
  }
}
