// Fifty writes through a follower while the leader is killed: what the callers hear, and how often the mesh did what they asked.
import { wholeMesh } from '../test/lab/look.ts'
import { type TriedWrite, writesWhileLeaderDies } from '../test/lab/lost-leader-writes.ts'
import { formMesh, startMeshLab } from '../test/lab/mesh-lab.ts'
import { roundsWanted, table } from './shared/figures.ts'

/** Milliseconds before the kill at which the writes of a round begin; the last one begins after it. */
const BEGIN_MS = [60, 30, 15, 5, -5]

const rounds = roundsWanted(10)
const lab = await startMeshLab(3)
try {
  await formMesh(lab)
  const writes: TriedWrite[] = []
  for (let round = 1; round <= rounds; round += 1) {
    const { died, writes: tried } = await writesWhileLeaderDies(lab.hosts, round, BEGIN_MS)
    writes.push(...tried)
    process.stdout.write(`round ${round}: ${died.name} led; ${tried.map(({ heard, done }) => `${heard}/${done}`).join(', ')}\n`)
    await died.startAgent({ boot: false })
    for (const host of lab.hosts) await wholeMesh(host)
  }
  report(writes)
} finally {
  await lab.stop()
}

function report(writes: readonly TriedWrite[]): void {
  const heard = [...new Set(writes.map((write) => write.heard))].toSorted()
  const count = (said: string, wanted: (done: number) => boolean): string =>
    String(writes.filter((write) => write.heard === said && wanted(write.done)).length)
  process.stdout.write(`\n${writes.length} writes with an idempotency key, through a follower, while the leader is killed\n\n`)
  process.stdout.write(
    table([
      ['the caller heard', 'not done', 'done once', 'done twice or more'],
      ...heard.map((said) => [said, count(said, (done) => done === 0), count(said, (done) => done === 1), count(said, (done) => done > 1)]),
    ]),
  )
  const wrong = writes.filter(({ heard: said, outcomeKnown, done }) => done > 1 || (outcomeKnown && done !== (said === 'done' ? 1 : 0)))
  for (const write of wrong) process.stdout.write(`WRONG: ${JSON.stringify(write)}\n`)
  process.stdout.write(wrong.length === 0 ? '\nEach was done once, or its caller knows better.\n' : '')
  process.exitCode = wrong.length === 0 ? 0 : 1
}
