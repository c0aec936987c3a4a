// Alarms are for people: the same one once a minute, and never a flood.
import { expect, it } from 'vitest'
import { type HostId } from '../../src/base/ids.ts'
import { Alarms } from '../../src/mesh/alarms.ts'
import { type MeshAlarm } from '../../src/mesh/mesh.ts'
import { manualClock } from '../fixture/manual-clock.ts'

const refused = (host: string, reason = 'stranger'): MeshAlarm => ({
  kind: 'refused',
  host: host as HostId,
  address: '198.18.0.9:1',
  reason,
})

it('the same alarm comes once a minute', async () => {
  const clock = manualClock()
  const alarms = new Alarms(clock)
  const heard: MeshAlarm[] = []
  alarms.on((alarm) => heard.push(alarm))
  for (let second = 0; second < 59; second += 1) {
    alarms.raise(refused('a'))
    await clock.run(1000)
  }
  expect(heard).toHaveLength(1)
  await clock.run(1000)
  alarms.raise(refused('a'))
  expect(heard).toHaveLength(2)
})

it('another host, reason or kind is another alarm; another port is not', () => {
  const alarms = new Alarms(manualClock())
  const heard: MeshAlarm[] = []
  alarms.on((alarm) => heard.push(alarm))
  alarms.raise(refused('a'))
  alarms.raise(refused('b'))
  alarms.raise(refused('a', 'wrong mesh'))
  alarms.raise({ kind: 'cloned-identity', host: 'a' as HostId, bootIds: ['1', '2'] })
  alarms.raise({ kind: 'cloned-identity', host: 'a' as HostId, bootIds: ['1', '3'] })
  alarms.raise({ kind: 'refused', host: 'a' as HostId, address: '198.18.0.9:2', reason: 'stranger' })
  expect(heard.map(({ kind, host }) => `${kind} ${host}`)).toEqual(['refused a', 'refused b', 'refused a', 'cloned-identity a'])
})

it('a stranger with ever new identities raises 64 alarms a minute, not more', async () => {
  const clock = manualClock()
  const alarms = new Alarms(clock)
  let heard = 0
  alarms.on(() => (heard += 1))
  for (let host = 0; host < 1000; host += 1) alarms.raise(refused(`h${host}`))
  expect(heard).toBe(64)
  await clock.run(60_000)
  alarms.raise(refused('late'))
  expect(heard).toBe(65)
})
