// Routes of the mesh's settings.
import { OperationError } from '../base/errors.ts'
import { isSettingKey, SETTINGS, type SettingKey } from '../inventory/settings.ts'
import { type ReadHandlers, type WriteHandlers } from './handler.ts'
import { settingAnswer } from './shapes.ts'

export const configReads: ReadHandlers<'configList' | 'configShow'> = {
  configList: ({ inventory }) => settingKeys().map((key) => settingAnswer(inventory, key)),
  configShow: ({ inventory, params }) => settingAnswer(inventory, findSetting(params.key)),
}

export const configWrites: WriteHandlers<'configSet'> = {
  configSet({ inventory, params, body: { value } }) {
    const key = findSetting(params.key)
    const before = settingAnswer(inventory, key)
    const after = value ?? `its default ${before.default}`
    return { what: `set ${key}`, command: { kind: 'config-set', key, value }, steps: [`set ${key} from ${before.value} to ${after}`] }
  },
}

export function settingKeys(): SettingKey[] {
  return Object.keys(SETTINGS).filter(isSettingKey)
}

function findSetting(key: string): SettingKey {
  if (isSettingKey(key)) return key
  const reason = { code: 'not-found', message: `there are: ${settingKeys().join(', ')}`, fix: 'hostmesh config list' }
  throw new OperationError('not-found', `there is no setting "${key}"`, { reasons: [reason] })
}
