// The answers that commands give, and the reasons that many of them share.
import { type ErrorCode, type Reason } from '../base/errors.ts'
import { type CommandResult, type CommandValue } from './model.ts'

export function done(value: CommandValue = {}): CommandResult {
  return { kind: 'done', value }
}

export function stale(why: string): CommandResult {
  return { kind: 'stale', why }
}

export function refused(message: string, reasons: readonly Reason[], code: ErrorCode = codeOf(reasons)): CommandResult {
  return { kind: 'refused', code, message, reasons }
}

/** A command that names an object which is not there (any more). */
export function notFound(noun: string, id: string): CommandResult {
  return refused(`there is no ${noun} ${id}`, [missing(noun, id)], 'not-found')
}

export function missing(noun: string, id: string): Reason {
  return { code: 'not-found', message: `there is no ${noun} ${id}`, fix: `hostmesh ${noun} list` }
}

export function taken(noun: string, name: string): Reason {
  return {
    code: 'name-taken',
    message: `a ${noun} named "${name}" exists already`,
    fix: `choose another name, or see hostmesh ${noun} list`,
  }
}

/** Another job at work on the same object is a conflict that passes by itself; an object that is gone is not found; all else is a refusal. */
function codeOf(reasons: readonly Reason[]): ErrorCode {
  if (reasons.some(({ code }) => code === 'job-open')) return 'conflict'
  if (reasons.length > 0 && reasons.every(({ code }) => code === 'not-found')) return 'not-found'
  return 'refused'
}
