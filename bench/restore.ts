// A received inventory of 200 MB becomes the agent's state: time, memory, and the longest piece of work. Argument: MB.
import { realClock } from '../src/base/clock.ts'
import { present } from '../src/base/assert.ts'
import { type VmId } from '../src/base/ids.ts'
import { inventoryMachine } from '../src/cluster/inventory-machine.ts'
import { feed } from '../src/consensus/state-feed.ts'
import { type StatePair } from '../src/consensus/types.ts'
import { encodeRow, rowKey, toRows } from '../src/inventory/snapshot.ts'
import { aMeshWithRunningVm } from '../test/fixture/inventory.ts'
import { LongestWork } from '../test/fixture/longest-work.ts'
import { machine, table } from './shared/figures.ts'
import { pause } from '../test/lab/wait-for.ts'

const PROMISED_MS = 100
/** As a store gives them. */
const PAGE = 100

const bytes = Number(process.argv[2] ?? 200) * 1e6
const pairs = rows(bytes)
const work = new LongestWork()
await turn()
work.take()
const before = { rss: process.memoryUsage.rss(), cpu: process.cpuUsage(), at: performance.now() }
const restored = inventoryMachine()
const loader = restored.restore()
const take = feed(realClock, loader)
for (let at = 0; at < pairs.length; at += PAGE) {
  await take(pairs.slice(at, at + PAGE))
  // Here a store would read the next page.
  await turn()
}
loader.finish({ index: 1000, term: 1, conf: { voters: [1], outgoing: [], learners: [], learnersNext: [], autoLeave: false } })
await pause(50)
const longest = work.take()
const { user, system } = process.cpuUsage(before.cpu)
process.stdout.write(`${machine()}\n\n`)
process.stdout.write(
  table([
    ['rows', String(restored.inventory().vms.size)],
    ['time', `${(performance.now() - before.at).toFixed(0)} ms`],
    ['CPU, with the collector’s threads', `${((user + system) / 1000).toFixed(0)} ms`],
    ['resident memory more', `${((process.memoryUsage.rss() - before.rss) / 1e6).toFixed(0)} MB`],
    ['longest piece of work', `${longest.toFixed(0)} ms, ${longest < PROMISED_MS ? 'kept' : 'missed'}`],
  ]),
)

function rows(total: number): readonly StatePair[] {
  const { now } = aMeshWithRunningVm()
  const vm = present([...now.vms.values()][0], 'a VM')
  const others = [...toRows(now)].filter(([key]) => !key.startsWith('vms/')).map(([key, value]) => ({ key, value }))
  const vms: StatePair[] = []
  for (let size = 0, at = 0; size < total; at += 1) {
    const id = `v${String(at).padStart(8, '0')}` as VmId
    const change = { table: 'vms', key: id, row: { ...vm, id, name: id } } as const
    const value = present(encodeRow(change), 'row')
    vms.push({ key: rowKey(change), value })
    size += value.length
  }
  return [...others, ...vms].sort((one, other) => (one.key < other.key ? -1 : 1))
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
