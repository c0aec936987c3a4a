// Flags that many commands share, and what they mean.
import type { FlagParametersForType } from '@stricli/core'
import { OperationError } from '../base/errors.ts'
import type { CliContext } from './context.ts'

/** How a command finds its agent, and how it speaks. */
export interface CommonFlags {
  readonly output: 'table' | 'json'
  readonly socket?: string
  readonly dataDir?: string
  readonly host?: string
  readonly timeout?: number
  readonly color: boolean
}

export const commonFlags: FlagParametersForType<CommonFlags, CliContext> = {
  output: { kind: 'enum', values: ['table', 'json'], default: 'table', brief: 'table for people, json for scripts' },
  socket: { kind: 'parsed', parse: String, optional: true, placeholder: 'PATH', brief: "The agent's socket (or HOSTMESH_SOCKET)" },
  dataDir: { kind: 'parsed', parse: String, optional: true, placeholder: 'DIR', brief: 'The data directory that holds its socket' },
  host: {
    kind: 'parsed',
    parse: String,
    optional: true,
    placeholder: 'URL',
    brief: 'Another host: http://IP:PORT, with HOSTMESH_API_TOKEN',
  },
  timeout: { kind: 'parsed', parse: parseSeconds, optional: true, placeholder: 'S', brief: 'How long to wait, in seconds' },
  color: { kind: 'boolean', default: true, brief: 'Colors on a terminal' },
}

export const commonAliases = { o: 'output' } as const

/** Of every command that changes something. */
export interface WriteFlags extends CommonFlags {
  readonly dryRun: boolean
  readonly reason?: string
  readonly wait: boolean
}

export const writeFlags: FlagParametersForType<WriteFlags, CliContext> = {
  ...commonFlags,
  dryRun: { kind: 'boolean', default: false, withNegated: false, brief: 'Check everything and print the plan; change nothing' },
  reason: { kind: 'parsed', parse: String, optional: true, placeholder: 'TEXT', brief: 'Kept in the event' },
  wait: { kind: 'boolean', default: true, brief: 'Wait until it is done, not only accepted' },
}

export function parseSeconds(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text)
  throw new OperationError('usage', `"${text}" is not a number of seconds`)
}

export function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text)
  throw new OperationError('usage', `"${text}" is not a positive whole number`)
}
