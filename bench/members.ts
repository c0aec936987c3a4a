// Members come, die, are replaced and removed while clients write: failed writes and the longest gap between two of them, step by step.
import { memberSteps, STEP_HOSTS, type StepReport } from '../test/lab/member-steps.ts'
import { startMeshLab } from '../test/lab/mesh-lab.ts'
import { machine, median, roundsWanted, table } from './shared/figures.ts'

/** Milliseconds: an election after a kill (bench/failover). No step may cost more than one, most cost none. */
const PROMISED_MS = 700

const rounds = roundsWanted(3)
const reports: StepReport[] = []
for (let round = 1; round <= rounds; round += 1) {
  const lab = await startMeshLab(STEP_HOSTS)
  try {
    await memberSteps(lab.hosts, (report) => {
      reports.push(report)
      const { name, ms, written, failed, longestGapMs } = report
      process.stdout.write(
        `round ${round}, ${name}: ${(ms / 1_000).toFixed(1)} s, ${written} writes, ${failed.length} failed, longest gap ${Math.round(longestGapMs)} ms\n`,
      )
      for (const heard of failed) process.stdout.write(`  failed ${heard}\n`)
    })
  } finally {
    await lab.stop()
  }
}
const names = [...new Set(reports.map(({ name }) => name))]
process.stdout.write(`\n${rounds} times from one host to five voters and back to three, four clients that write\n${machine()}\n\n`)
process.stdout.write(table([['', 'writes', 'failed', 'longest gap, median', 'max', 'promised', ''], ...names.map(row)]))
process.exitCode = reports.every(({ failed }) => failed.length === 0) ? 0 : 1

function row(name: string): readonly string[] {
  const steps = reports.filter((report) => report.name === name)
  const gaps = steps.map(({ longestGapMs }) => longestGapMs)
  const sum = (of: (report: StepReport) => number): string => String(steps.reduce((total, report) => total + of(report), 0))
  return [
    name,
    sum(({ written }) => written),
    sum(({ failed }) => failed.length),
    `${Math.round(median(gaps))} ms`,
    `${Math.round(Math.max(...gaps))} ms`,
    `${PROMISED_MS} ms`,
    median(gaps) <= PROMISED_MS ? 'kept' : 'missed',
  ]
}
