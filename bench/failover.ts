// How soon a write works again after the leader is gone: kill -9 of its agent, a power cut that nobody hears of, and SIGSTOP.
import { type FailoverPhases } from '../test/lab/failover-phases.ts'
import { comesBack, type Death, type Failover, leaderDies } from '../test/lab/failover.ts'
import { formMesh, startMeshLab } from '../test/lab/mesh-lab.ts'
import { median, printFigures, roundsWanted, table } from './shared/figures.ts'

/** Milliseconds until a write through a surviving host was done. */
const PROMISED = { killed: 700, 'power cut': 1_400, stopped: 1_400 } as const satisfies Record<Death, number>

const rounds = roundsWanted(10)
const lab = await startMeshLab(3)
try {
  await formMesh(lab)
  const measured = { killed: await measure('killed'), 'power cut': await measure('power cut'), stopped: await measure('stopped') }
  printFigures('From the death of the leader until a write through another host was done', [
    { name: 'kill -9 of the agent', values: timesOf(measured.killed), unit: 'ms', promised: PROMISED.killed },
    { name: 'power cut of the host', values: timesOf(measured['power cut']), unit: 'ms', promised: PROMISED['power cut'] },
    { name: 'SIGSTOP of the agent', values: timesOf(measured.stopped), unit: 'ms', promised: PROMISED.stopped },
  ])
  printPhases(measured)
} finally {
  await lab.stop()
}

async function measure(death: Death): Promise<readonly Failover[]> {
  const failovers: Failover[] = []
  for (let round = 1; round <= rounds; round += 1) {
    const failover = await leaderDies(lab.hosts, death)
    failovers.push(failover)
    process.stdout.write(
      `${death} ${round}: ${failover.died.name} led, written through ${failover.through.name} after ${Math.round(failover.writtenAfterMs)} ms\n`,
    )
    await comesBack(failover, lab.hosts, death)
  }
  return failovers
}

function timesOf(failovers: readonly Failover[]): readonly number[] {
  return failovers.map(({ writtenAfterMs }) => writtenAfterMs)
}

/** Medians of each phase on its own: they need not add up. */
function printPhases(measured: Readonly<Record<Death, readonly Failover[]>>): void {
  const rows = Object.entries(measured).map(([death, failovers]) => {
    const known = failovers.flatMap(({ phases }) => phases ?? [])
    const of = (phase: keyof FailoverPhases): string =>
      known.length === 0 ? '?' : `${median(known.map((phases) => phases[phase])).toFixed(0)} ms`
    return [death, String(known.length), of('noticed'), of('elected'), of('leading'), of('written')]
  })
  process.stdout.write('\nWhere it went, medians, as the logs of the survivors tell it\n\n')
  process.stdout.write(table([['', 'n', 'until noticed', 'elected', 'own entry committed', 'written'], ...rows]))
}
