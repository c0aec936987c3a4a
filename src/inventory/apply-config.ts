// Settings of the mesh.
import { type Command } from './command.ts'
import { type Draft } from './draft.ts'
import { type CommandResult } from './model.ts'
import { done, refused } from './results.ts'
import { settingReasons } from './settings.ts'

export function applyConfig(draft: Draft, { key, value }: Extract<Command, { kind: 'config-set' }>): CommandResult {
  const reasons = settingReasons(key, value)
  if (reasons.length > 0) return refused(`setting ${key} is left as it is`, reasons)
  const before = draft.state.settings[key] ?? null
  if (before === value) return done({ key })
  draft.setSetting(key, value ?? undefined)
  draft.event('config.changed', `setting ${key}`, { key, before, after: value })
  return done({ key })
}
