// What becomes of a host whose stores are damaged: [--torn N] [--flips N] [--old N] [--full N] [--seed N]. Three real agents; --full needs root.
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { present } from '../src/base/assert.ts'
import { seededRandom } from '../src/base/random.ts'
import { DamageRounds, type Fate, type RoundOutcome } from '../test/lab/damage-rounds.ts'
import { fullDiskRound, mountUnavailable, onSmallDisk } from '../test/lab/full-disk.ts'
import { type LoopbackHost, startLoopbackLab } from '../test/lab/loopback-lab.ts'
import { formMesh, meshLab, type MeshHost, votersAre } from '../test/lab/mesh-lab.ts'
import { flipByte, putBack, storesIn, tearTail } from '../test/lab/store-damage.ts'
import { table } from './shared/figures.ts'

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { torn: text, flips: text, old: text, full: text, seed: text } })
const random = seededRandom(Number(values.seed ?? 1))

type Host = MeshHost<LoopbackHost>

interface Row extends RoundOutcome {
  readonly part: string
}

const rows: Row[] = []
const lab = await meshLab(startLoopbackLab(3))
let victim = 0
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    const exit = (): never => process.exit(signal === 'SIGINT' ? 130 : 143)
    lab.stop().then(exit, exit)
  })
}
try {
  await Promise.all(lab.hosts.map((host) => host.startAgent()))
  await formMesh(lab)
  const rounds = new DamageRounds(lab.hosts)
  await part(rounds, 'torn tail', Number(values.torn ?? 6), async (at, host) => {
    // A handful of bytes, a record, more than what was written since the others were heard.
    const bytes = [1, 7, 40, 200, 1000, 4000][at % 6] ?? 1
    return rounds.round(host, (stores) => said(at, host, tearTail(stores, 'log', bytes)))
  })
  await part(rounds, 'flipped byte', Number(values.flips ?? 50), async (at, host) =>
    rounds.round(host, (stores) => said(at, host, flipByte(stores, random))),
  )
  await part(rounds, 'old directory', Number(values.old ?? 3), async (at, host) => {
    const copy = join(lab.folder, `copy-${at}`)
    await host.killAgent()
    cpSync(storesIn(host.dataDir), copy, { recursive: true })
    await host.startAgent({ boot: false })
    await rounds.write(host, 3)
    return rounds.round(host, (stores) => {
      putBack(stores, copy)
      said(at, host, 'three writes are missing')
    })
  })
  await fullDisks(rounds, Number(values.full ?? (mountUnavailable() === undefined ? 2 : 0)))
  const wrong = await rounds.everywhere()
  for (const line of wrong) process.stdout.write(`WRONG: ${line}\n`)
  report(wrong)
} finally {
  await lab.stop()
}

/** The next host, if all vote; else the one that was repaired: of the voters that count no other may be away. */
async function next(rounds: DamageRounds<LoopbackHost>): Promise<Host> {
  if (await rounds.allVote()) victim += 1
  return present(lab.hosts[victim % lab.hosts.length], 'host of the lab')
}

function said(at: number, host: Host, where: string): void {
  process.stdout.write(`  ${at + 1}, ${host.name}: ${where}`)
}

/** The last part: its host lives on a disk that is gone with its agent. By turns it leads and follows. */
async function fullDisks(rounds: DamageRounds<LoopbackHost>, count: number): Promise<void> {
  if (count === 0) return
  const [other, , host] = lab.hosts
  if (host === undefined || other === undefined) return
  await votersAre(other, lab.hosts.length)
  await host.killAgent()
  await host.startAgent({ boot: false, wrapper: onSmallDisk(host.dataDir) })
  await rounds.everywhere()
  await part(rounds, 'full disk', count, async (at) => {
    const leader = at % 2 === 0 ? other : host
    await other.cli('mesh', 'leader', 'transfer', leader.name)
    said(at, host, `${leader.name} leads`)
    return fullDiskRound(rounds, host, other)
  })
}

async function part(
  rounds: DamageRounds<LoopbackHost>,
  name: string,
  count: number,
  round: (at: number, host: Host) => Promise<RoundOutcome>,
): Promise<void> {
  if (count > 0) process.stdout.write(`${name}\n`)
  for (let at = 0; at < count; at += 1) {
    const outcome = await round(at, await next(rounds))
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
    const faults = own.flatMap(({ wrong }) => wrong)
    const lost = faults.filter((fault) => fault.endsWith('is lost')).length
    return [name, String(own.length), ...fates.map(count), String(lost), String(faults.length - lost)]
  }
  process.stdout.write('\n')
  process.stdout.write(table([['damage', 'rounds', ...fates, 'lost', 'wrong'], ...parts.map(line)]))
  const wrong = [...rows.flatMap((row) => row.wrong), ...atTheEnd]
  process.exitCode = wrong.length === 0 && rows.every(({ fate }) => fate !== 'refused') ? 0 : 1
}
