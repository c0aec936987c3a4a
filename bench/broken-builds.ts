// How many histories until a build that is broken on purpose is found out: [NAME...] [--histories N at most] [--seconds N] [--seed N]
import { parseArgs } from 'node:util'
import { BROKEN_BUILDS, brokenBuild, type BrokenBuildName, faultOf, isBrokenBuild } from '../test/linear/broken-builds.ts'
import { RaftLab } from '../test/linear/raft-lab.ts'
import { explain, runHistory } from '../test/linear/run-history.ts'
import { table } from './shared/figures.ts'

const text = { type: 'string' } as const
const { values, positionals } = parseArgs({ allowPositionals: true, options: { histories: text, seconds: text, seed: text } })
const histories = Number(values.histories ?? 10)
const seconds = Number(values.seconds ?? 20)
const seed = Number(values.seed ?? 1)

const wanted = positionals.length > 0 ? positionals.filter(isBrokenBuild) : BROKEN_BUILDS
if (wanted.length < positionals.length) throw new Error(`broken builds are: ${BROKEN_BUILDS.join(', ')}`)
const lab = await RaftLab.start()
const rows: string[][] = [['', 'rejected in history', 'seconds']]
try {
  for (const name of wanted) rows.push([name, ...(await findOut(name))])
} finally {
  await lab.stop()
}
process.stdout.write(`\n${table(rows)}`)

async function findOut(name: BrokenBuildName): Promise<string[]> {
  const build = await brokenBuild(name)
  const from = performance.now()
  const passed = (): string => ((performance.now() - from) / 1_000).toFixed(0)
  process.stdout.write(`${name}: ${faultOf(name)}\n`)
  try {
    for (let at = 0; at < histories; at += 1) {
      const { verdict, counts } = await runHistory({ group: await lab.newGroup(build.program), seed: seed + at, seconds })
      process.stdout.write(`  history ${at + 1}, seed ${seed + at}, ${counts.ok} ok: ${explain(verdict).replaceAll('\n', '\n  ')}\n`)
      if (verdict.kind === 'not-linearizable') return [String(at + 1), passed()]
    }
    return [`none of ${histories}`, passed()]
  } finally {
    await build.remove()
  }
}
