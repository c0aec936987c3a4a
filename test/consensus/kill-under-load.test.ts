// A real process on a real disk, killed with SIGKILL in the middle of its writes: what it acknowledged is there.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { bootstrap } from '../../src/consensus/bootstrap.ts'
import { openLevelLog } from '../../src/consensus/level-log.ts'
import { openLevelState } from '../../src/consensus/level-state.ts'
import { recover } from '../../src/consensus/recovery.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

const ROOT = join(import.meta.dirname, '../..')

/** A group of one that proposes on four lanes without a pause and prints the index of every entry it was told is applied. */
function program(directory: string): string {
  return `
    import { realClock } from '${ROOT}/src/base/clock.ts'
    import { silentLog } from '${ROOT}/src/base/log.ts'
    import { realRandom } from '${ROOT}/src/base/random.ts'
    import { openLevelLog } from '${ROOT}/src/consensus/level-log.ts'
    import { openLevelState } from '${ROOT}/src/consensus/level-state.ts'
    import { startReplica } from '${ROOT}/src/consensus/replica.ts'
    import { textMachine, command } from '${ROOT}/test/fixture/text-machine.ts'
    const replica = await startReplica({
      id: 1, clock: realClock, random: realRandom, log: silentLog, machine: textMachine(), transport: { send() {} }, tickMs: 50,
      logStore: await openLevelLog('${directory}/log'), stateStore: await openLevelState('${directory}/state'),
      onFatal: (error) => { throw error }, limits: { compactAbove: 300, keepEntries: 100 },
    })
    await new Promise((resolve) => replica.onStatus(({ leading }) => leading && resolve()))
    const lane = async (name) => {
      for (let at = 0; ; at += 1) console.log((await replica.propose(command('set ' + name + ' ' + at), {})).index)
    }
    for (const name of ['a', 'b', 'c', 'd']) lane(name).catch((error) => { throw error })`
}

/** Runs the program until it has printed `lines` lines, then kills it. Everything it printed, as numbers. */
async function runAndKill(directory: string, lines: number): Promise<number[]> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(directory)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  const printed: number[] = []
  for await (const line of createInterface(child.stdout)) {
    printed.push(Number(line))
    if (printed.length === lines) child.kill('SIGKILL')
  }
  await closed
  return printed
}

it('a member killed in the middle of its writes still has all that it acknowledged', async () => {
  const directory = await temporaryDirectory()
  const logStore = await openLevelLog(join(directory, 'log'))
  const stateStore = await openLevelState(join(directory, 'state'))
  await bootstrap(logStore, stateStore, { voters: [1] })
  await Promise.all([logStore.close(), stateStore.close()])
  let last = 1
  for (const lines of [1, 37, 420, 1000, 155]) {
    const printed = await runAndKill(directory, lines)
    expect(printed.length).toBeGreaterThanOrEqual(lines)
    const acknowledged = Math.max(...printed)
    expect(Math.min(...printed)).toBeGreaterThan(last)
    const log = await openLevelLog(join(directory, 'log'))
    const state = await openLevelState(join(directory, 'state'))
    const stored = await log.load()
    const applied = await state.load(async () => {})
    expect(stored.snapshot.index + stored.entries.length).toBeGreaterThanOrEqual(acknowledged)
    expect(recover(stored, applied).restart).toBeUndefined()
    await Promise.all([log.close(), state.close()])
    last = acknowledged
  }
  expect(last).toBeGreaterThan(1600)
}, 60_000)
