// Acknowledged writes lost when members are killed at random moments under load: [--rounds N] [--seed N] [--build NAME of a broken one]
import { parseArgs } from 'node:util'
import { seededRandom } from '../src/base/random.ts'
import { RaftProcesses } from '../test/fixture/raft-processes.ts'
import { scratchFolder } from '../test/fixture/scratch-folder.ts'
import { BROKEN_BUILDS, brokenBuild, isBrokenBuild } from '../test/linear/broken-builds.ts'
import { killRound, type RoundResult, type Write, wrongIn } from '../test/linear/kill-rounds.ts'
import { printFigures, table } from './shared/figures.ts'

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { rounds: text, seed: text, build: text } })
const rounds = Number(values.rounds ?? 100)
const seed = Number(values.seed ?? 1)

const build = values.build !== undefined && isBrokenBuild(values.build) ? await brokenBuild(values.build) : undefined
if (values.build !== undefined && build === undefined) throw new Error(`--build: one of ${BROKEN_BUILDS.join(', ')}`)
const folder = scratchFolder('hostmesh-kill-rounds-')
// Short logs: kills hit the cutting of the log and the writing of the state too.
const group = await RaftProcesses.start({
  directory: folder.path,
  args: () => ['--compact-above', '2000', '--keep-entries', '500'],
  ...(build === undefined ? {} : { program: build.program }),
})
const results: RoundResult[] = []
try {
  const random = seededRandom(seed)
  for (let round = 1; round <= rounds; round += 1) {
    const result = await killRound(group, round, random)
    results.push(result)
    const { killed, writes, wrong, backMs } = result
    const [acknowledged, unknown, refused] = [count(writes, 'acknowledged'), count(writes, 'unknown'), count(writes, 'refused')]
    process.stdout.write(
      `round ${round}: killed ${killed.join(' ')}; ${acknowledged} acknowledged, ${unknown} unknown, ${refused} refused, back after ${Math.round(backMs)} ms\n`,
    )
    for (const line of wrong) process.stdout.write(`  WRONG: ${line}\n`)
  }
  const all = results.flatMap(({ writes }) => writes)
  const atTheEnd: string[] = []
  for (const { id, clients } of group.nodes) {
    for (const line of await wrongIn(all, clients)) atTheEnd.push(line)
    process.stdout.write(`all rounds once more, through member ${id}: ${atTheEnd.length} wrong\n`)
  }
  report(all, [...results.flatMap((result) => result.wrong), ...atTheEnd])
} finally {
  await group.stop()
  await build?.remove()
  folder.remove()
}

function count(writes: readonly Write[], wanted: Write['heard']): number {
  return writes.filter(({ heard }) => heard === wanted).length
}

function report(writes: readonly Write[], wrong: readonly string[]): void {
  printFigures('From the kill until a leader serves again, the start of the killed processes included', [
    { name: 'back', values: results.map(({ backMs }) => backMs), unit: 'ms' },
  ])
  process.stdout.write('\n')
  process.stdout.write(
    table([
      ['rounds of kill -9', String(results.length)],
      ...[1, 2, 3].map((many) => [`  of ${many} at once`, String(results.filter(({ killed }) => killed.length === many).length)]),
      ['acknowledged', String(count(writes, 'acknowledged'))],
      ['unknown', String(count(writes, 'unknown'))],
      ['refused', String(count(writes, 'refused'))],
      ['acknowledged and lost', String(wrong.filter((line) => line.startsWith('acknowledged')).length)],
      ['refused and done', String(wrong.filter((line) => line.startsWith('refused')).length)],
    ]),
  )
  process.exitCode = wrong.length === 0 ? 0 : 1
}
