// Histories under mixed faults, judged, of raft-only processes or of real agents: [--agents] [--histories N] [--seconds N] [--seed N] [--clients N] [--members N] [--verbose]
import { parseArgs } from 'node:util'
import { AgentLab } from '../test/linear/agent-lab.ts'
import { RaftLab } from '../test/linear/raft-lab.ts'
import { explain, type HistoryResult, runHistory } from '../test/linear/run-history.ts'
import { table } from './shared/figures.ts'

const number = { type: 'string' } as const
const flag = { type: 'boolean' } as const
const { values } = parseArgs({
  options: { histories: number, seconds: number, seed: number, clients: number, members: number, agents: flag, verbose: flag },
})
const wanted = { histories: 50, seconds: 20, seed: Date.now() % 1_000_000, clients: 8, members: 3 }
const [histories, seconds, seed, clients, members] = [of('histories'), of('seconds'), of('seed'), of('clients'), of('members')]
const again = (from: number, times: number): string =>
  `again: ./dev bench histories --histories ${times} --seconds ${seconds} --clients ${clients} --members ${members} --seed ${from}${values.agents === true ? ' --agents' : ''}`

const lab = await (values.agents === true ? AgentLab : RaftLab).start(members)
const results: HistoryResult[] = []
try {
  for (let at = 0; at < histories; at += 1) {
    const result = await runHistory({
      group: await lab.newGroup(),
      seed: seed + at,
      seconds,
      clients,
      tell: values.verbose === true ? say : () => {},
    })
    results.push(result)
    say(lineOf(result))
    if (result.verdict.kind !== 'linearizable') {
      say(explain(result.verdict))
      say(again(result.seed, 1))
    }
  }
  summary()
} finally {
  await lab.stop()
}

function of(name: keyof typeof wanted): number {
  const value = Number(values[name] ?? wanted[name])
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new Error(`--${name}: expected a number, found "${values[name]}"`)
}

function lineOf({ seed: own, counts, elections, faults, verdict, checkMs }: HistoryResult): string {
  const { ok, failed, unknown } = counts
  const done = [...faults].map(([kind, times]) => (times === 1 ? kind : `${times} ${kind}`)).join(', ')
  return `seed ${own}: ${ok + failed + unknown} ops, ${ok} ok / ${failed} failed / ${unknown} unknown, ${elections} elections, ${verdict.kind} (${Math.round(checkMs)} ms); ${done}`
}

function summary(): void {
  const sum = (of: (result: HistoryResult) => number): string => String(results.reduce((total, result) => total + of(result), 0))
  const kinds = [...new Set(results.flatMap(({ faults }) => [...faults.keys()]))].toSorted()
  process.stdout.write('\n')
  process.stdout.write(
    table([
      ['histories', String(results.length)],
      ['ok', sum(({ counts }) => counts.ok)],
      ['failed', sum(({ counts }) => counts.failed)],
      ['unknown', sum(({ counts }) => counts.unknown)],
      ['elections', sum(({ elections }) => elections)],
      ...kinds.map((kind) => [`fault: ${kind}`, sum(({ faults }) => faults.get(kind) ?? 0)]),
      ['accepted', sum(({ verdict }) => Number(verdict.kind === 'linearizable'))],
      ['undecided', sum(({ verdict }) => Number(verdict.kind === 'undecided'))],
      ['rejected', sum(({ verdict }) => Number(verdict.kind === 'not-linearizable'))],
    ]),
  )
  say(again(seed, histories))
  process.exitCode = results.every(({ verdict }) => verdict.kind === 'linearizable') ? 0 : 1
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
