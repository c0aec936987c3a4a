// How soon a write works again after the leader is gone: kill -9 of its agent, a power cut that nobody hears of, and SIGSTOP.
import { comesBack, type Death, leaderDies } from '../test/lab/failover.ts'
import { formMesh, startMeshLab } from '../test/lab/mesh-lab.ts'
import { printFigures, roundsWanted } from './shared/figures.ts'

/** Milliseconds until a write through a surviving host was done. */
const PROMISED = { killed: 700, 'power cut': 1_400, stopped: 1_400 } as const satisfies Record<Death, number>

const rounds = roundsWanted(10)
const lab = await startMeshLab(3)
try {
  await formMesh(lab)
  const measured = { killed: await measure('killed'), 'power cut': await measure('power cut'), stopped: await measure('stopped') }
  printFigures('From the death of the leader until a write through another host was done', [
    { name: 'kill -9 of the agent', values: measured.killed, unit: 'ms', promised: PROMISED.killed },
    { name: 'power cut of the host', values: measured['power cut'], unit: 'ms', promised: PROMISED['power cut'] },
    { name: 'SIGSTOP of the agent', values: measured.stopped, unit: 'ms', promised: PROMISED.stopped },
  ])
} finally {
  await lab.stop()
}

async function measure(death: Death): Promise<readonly number[]> {
  const times: number[] = []
  for (let round = 1; round <= rounds; round += 1) {
    const failover = await leaderDies(lab.hosts, death)
    times.push(failover.writtenAfterMs)
    process.stdout.write(
      `${death} ${round}: ${failover.died.name} led, written through ${failover.through.name} after ${Math.round(failover.writtenAfterMs)} ms\n`,
    )
    await comesBack(failover, lab.hosts, death)
  }
  return times
}
