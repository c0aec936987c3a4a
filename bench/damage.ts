// What becomes of a host whose stores are damaged: [--torn N] [--flips N] [--seed N]. Three real agents; the disk-full part needs root.
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { seededRandom } from '../src/base/random.ts'
import { DamageRounds, type Fate, type RoundOutcome } from '../test/lab/damage-rounds.ts'
import { startLoopbackLab } from '../test/lab/loopback-lab.ts'
import { formMesh, meshLab } from '../test/lab/mesh-lab.ts'
import { flipByte, putBack, storesIn, tearTail } from '../test/lab/store-damage.ts'
import { table } from './shared/figures.ts'

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { torn: text, flips: text, old: text, seed: text } })
const random = seededRandom(Number(values.seed ?? 1))

interface Row extends RoundOutcome {
  readonly part: string
}

const rows: Row[] = []
const lab = await meshLab(startLoopbackLab(3))
try {
  await Promise.all(lab.hosts.map((host) => host.startAgent()))
  await formMesh(lab)
  const rounds = new DamageRounds(lab.hosts)
  await part('torn tail', Number(values.torn ?? 6), async (at) => {
    // A handful of bytes, a record, more than what was written since the others were heard.
    const bytes = [1, 7, 40, 200, 1000, 4000][at % 6] ?? 1
    return rounds.round(hostOf(at), (stores) => said('torn tail', at, tearTail(stores, 'log', bytes)))
  })
  await part('flipped byte', Number(values.flips ?? 50), async (at) =>
    rounds.round(hostOf(at), (stores) => said('flipped byte', at, flipByte(stores, random))),
  )
  await part('old directory', Number(values.old ?? 3), async (at) => {
    const host = hostOf(at)
    const copy = join(lab.folder, `copy-${at}`)
    await host.killAgent()
    cpSync(storesIn(host.dataDir), copy, { recursive: true })
    await host.startAgent({ boot: false })
    await rounds.write(host, 3)
    return rounds.round(host, (stores) => putBack(stores, copy))
  })
  const wrong = await rounds.everywhere()
  for (const line of wrong) process.stdout.write(`WRONG: ${line}\n`)
  report(wrong)
} finally {
  await lab.stop()
}

function hostOf(at: number): (typeof lab.hosts)[number] {
  const host = lab.hosts[at % lab.hosts.length]
  if (host === undefined) throw new Error('a lab without hosts')
  return host
}

function said(name: string, at: number, where: string): void {
  process.stdout.write(`${name} ${at + 1}, ${hostOf(at).name}: ${where}`)
}

async function part(name: string, count: number, round: (at: number) => Promise<RoundOutcome>): Promise<void> {
  for (let at = 0; at < count; at += 1) {
    const outcome = await round(at)
    rows.push({ part: name, ...outcome })
    const { fate, why, backMs, wrong } = outcome
    process.stdout.write(` -> ${fate} after ${Math.round(backMs)} ms${why === '' ? '' : `: ${why}`}\n`)
    for (const line of wrong) process.stdout.write(`  WRONG: ${line}\n`)
  }
}

function report(atTheEnd: readonly string[]): void {
  const fates: readonly Fate[] = ['healed', 'repaired', 'refused']
  const parts = [...new Set(rows.map((row) => row.part))]
  const line = (name: string): string[] => {
    const own = rows.filter((row) => row.part === name)
    const count = (fate: Fate): string => String(own.filter((row) => row.fate === fate).length)
    return [name, String(own.length), ...fates.map(count), String(own.flatMap(({ wrong }) => wrong).length)]
  }
  process.stdout.write('\n')
  process.stdout.write(table([['', 'rounds', ...fates, 'lost or wrong'], ...parts.map(line)]))
  const wrong = [...rows.flatMap((row) => row.wrong), ...atTheEnd]
  process.exitCode = wrong.length === 0 && rows.every(({ fate }) => fate !== 'refused') ? 0 : 1
}
