// Settings: the closed list, its limits, and how they are set and reset.
import { describe, expect, it } from 'vitest'
import { SETTINGS, settingNumber, settingReasons, type SettingKey } from '../../src/inventory/settings.ts'
import { aMesh } from '../fixture/inventory.ts'

const keys = Object.keys(SETTINGS) as SettingKey[]
const set = (key: string, value: string | number | boolean | null) => ({ kind: 'config-set', key, value }) as const

describe('every setting', () => {
  it.each(keys)('%s has a default within its own limits, and says what it is', (key) => {
    const { default: value, min, max, description } = SETTINGS[key]
    expect(settingReasons(key, value)).toEqual([])
    expect(settingReasons(key, min)).toEqual([])
    expect(settingReasons(key, max)).toEqual([])
    expect(settingReasons(key, min - 1)).toHaveLength(1)
    expect(settingReasons(key, max + 1)).toHaveLength(1)
    expect(description).toMatch(/^[A-Z].*\.$/)
    expect(settingNumber(aMesh().now, key)).toBe(value)
  })

  it.each(keys)('%s is a number, nothing else', (key) => {
    for (const value of ['90', true, Number.NaN]) expect(settingReasons(key, value)).toMatchObject([{ code: 'setting-value' }])
  })
})

it('whole settings refuse fractions, the overcommit takes them', () => {
  expect(settingReasons('vm.shutdown-timeout-s', 1.5)).toMatchObject([
    { message: expect.stringContaining('a whole number from 1 to 3600, found 1.5') },
  ])
  expect(settingReasons('placement.memory-overcommit', 1.5)).toEqual([])
})

it('an unknown key is refused with the list of all', () => {
  const [reason] = settingReasons('nonsense', null)
  expect(reason?.code).toBe('setting-unknown')
  for (const key of keys) expect(reason?.message).toContain(key)
  expect(settingReasons('toString', 1)).toMatchObject([{ code: 'setting-unknown' }])
})

describe('config-set', () => {
  it('sets, tells what it was, and resets to the default by null', () => {
    const log = aMesh()
    log.do(set('vm.shutdown-timeout-s', 30))
    expect(settingNumber(log.now, 'vm.shutdown-timeout-s')).toBe(30)
    expect(log.now.events.at(-1)).toMatchObject({ type: 'config.changed', data: { key: 'vm.shutdown-timeout-s', before: null, after: 30 } })
    log.do(set('vm.shutdown-timeout-s', null))
    expect(log.now.settings).toEqual({})
    expect(log.now.events.at(-1)).toMatchObject({ data: { before: 30, after: null } })
    expect(log.steps.at(-1)?.changes).toContainEqual({ table: 'settings', key: 'vm.shutdown-timeout-s', row: undefined })
  })

  it('to what is set already is done without an event', () => {
    const log = aMesh()
    log.do(set('vm.shutdown-timeout-s', null))
    expect(log.lastEvents()).toEqual([])
    log.do(set('vm.shutdown-timeout-s', 30))
    log.do(set('vm.shutdown-timeout-s', 30))
    expect(log.lastEvents()).toEqual([])
  })

  it('refused leaves the setting as it is', () => {
    const log = aMesh()
    log.do(set('placement.memory-overcommit', 2))
    expect(log.try(set('placement.memory-overcommit', 9))).toMatchObject({ kind: 'refused', reasons: [{ code: 'setting-value' }] })
    expect(settingNumber(log.now, 'placement.memory-overcommit')).toBe(2)
  })
})
