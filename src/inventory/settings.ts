// The settings of the mesh: a closed list with types, limits, defaults and meanings. What is not in it does not exist.
import { type Reason } from '../base/errors.ts'
import { type Inventory } from './inventory.ts'

interface NumberSetting {
  readonly default: number
  readonly min: number
  readonly max: number
  readonly whole: boolean
  readonly description: string
}

export const SETTINGS = {
  'vm.shutdown-timeout-s': {
    default: 90,
    min: 1,
    max: 3600,
    whole: true,
    description: 'Seconds a guest gets to react to its power button before "vm shutdown" and "vm reboot" fail.',
  },
  'placement.memory-overcommit': {
    default: 1,
    min: 0.1,
    max: 4,
    whole: false,
    description: 'Memory promised to VMs per memory of a host: 1 promises no more than there is, 1.5 half as much again.',
  },
  'placement.memory-reserve-mib': {
    default: 512,
    min: 0,
    max: 1_048_576,
    whole: true,
    description: 'MiB of each host that placement leaves to the host itself and to the overhead of its QEMUs.',
  },
  'mesh.voter-replace-after-s': {
    default: 300,
    min: 1,
    max: 86_400,
    whole: true,
    description:
      'Seconds a voter is away before another host gets its vote: longer than a reboot, shorter than the wait for a second failure.',
  },
} as const satisfies Readonly<Record<string, NumberSetting>>

export type SettingKey = keyof typeof SETTINGS

export function isSettingKey(key: string): key is SettingKey {
  return Object.hasOwn(SETTINGS, key)
}

/** What holds now: the value that was set, or the default. */
export function settingNumber(inventory: Pick<Inventory, 'settings'>, key: SettingKey): number {
  const value = inventory.settings[key]
  return typeof value === 'number' ? value : SETTINGS[key].default
}

/** Why `value` cannot be set; null resets a setting to its default and is always fine. */
export function settingReasons(key: string, value: string | number | boolean | null): readonly Reason[] {
  if (!isSettingKey(key)) {
    const known = Object.keys(SETTINGS).join(', ')
    return [{ code: 'setting-unknown', message: `there is no setting "${key}"; settings are: ${known}`, fix: 'hostmesh config list' }]
  }
  if (value === null) return []
  const { min, max, whole }: NumberSetting = SETTINGS[key]
  if (typeof value === 'number' && value >= min && value <= max && (!whole || Number.isInteger(value))) return []
  const wanted = `${whole ? 'a whole number' : 'a number'} from ${min} to ${max}`
  return [{ code: 'setting-value', message: `setting ${key} must be ${wanted}, found ${JSON.stringify(value)}` }]
}
