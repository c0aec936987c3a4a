// The last good addresses: a hint that survives a restart and never stands in the way.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type HostId } from '../../src/base/ids.ts'
import { silentLog } from '../../src/base/log.ts'
import { storedAddresses } from '../../src/mesh/known-addresses.ts'
import { manualClock } from '../fixture/manual-clock.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { waitFor } from '../lab/wait-for.ts'

const A = 'a' as HostId
const B = 'b' as HostId
const file = async (): Promise<string> => join(await temporaryDirectory(), 'state', 'peers.json')

it('are the same after a restart', async () => {
  const path = await file()
  const first = await storedAddresses(path, manualClock(), silentLog)
  expect(first.of(A)).toBeUndefined()
  first.good(A, '198.18.0.1:7400')
  first.good(A, '198.18.0.2:7400')
  first.good(B, '198.18.0.3:7400')
  await first.stop()
  const second = await storedAddresses(path, manualClock(), silentLog)
  expect([second.of(A), second.of(B)]).toEqual(['198.18.0.2:7400', '198.18.0.3:7400'])
})

it('are written a second after a change, many changes at once, and not again without one', async () => {
  const path = await file()
  const clock = manualClock()
  const known = await storedAddresses(path, clock, silentLog)
  known.good(A, '198.18.0.1:7400')
  known.good(B, '198.18.0.2:7400')
  await clock.run(1000)
  expect(JSON.parse(await waitFor('the file', () => readFile(path, 'utf8')))).toEqual({ a: '198.18.0.1:7400', b: '198.18.0.2:7400' })
  await writeFile(path, 'untouched')
  known.good(A, '198.18.0.1:7400')
  await clock.run(5000)
  await known.stop()
  expect(await readFile(path, 'utf8')).toBe('untouched')
})

it.each(['', '{"a":', '[1]', '{"a":7}', 'null'])('start empty from a damaged file: %s', async (text) => {
  const path = join(await temporaryDirectory(), 'peers.json')
  await writeFile(path, text)
  const known = await storedAddresses(path, manualClock(), silentLog)
  expect(known.of(A)).toBeUndefined()
})

it('that cannot be written are a warning, not a failure', async () => {
  const warnings: string[] = []
  const log = { ...silentLog, warn: (_facts: object, message: string) => void warnings.push(message) }
  const inTheWay = join(await temporaryDirectory(), 'file')
  await writeFile(inTheWay, '')
  const known = await storedAddresses(join(inTheWay, 'state', 'peers.json'), manualClock(), log)
  known.good(A, '198.18.0.1:7400')
  await known.stop()
  expect(warnings).toHaveLength(1)
  expect(known.of(A)).toBe('198.18.0.1:7400')
})

it('are of a thousand hosts at most: the one that was not heard of longest goes', async () => {
  const path = await file()
  const known = await storedAddresses(path, manualClock(), silentLog)
  for (let host = 0; host < 1024; host += 1) known.good(`h${host}` as HostId, '198.18.0.1:7400')
  known.good('h0' as HostId, '198.18.0.2:7400')
  known.good('late' as HostId, '198.18.0.1:7400')
  expect([known.of('h0' as HostId), known.of('h1' as HostId), known.of('late' as HostId)]).toEqual([
    '198.18.0.2:7400',
    undefined,
    '198.18.0.1:7400',
  ])
  await known.stop()
})
