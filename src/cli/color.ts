// Colors for people: only on a terminal, never with NO_COLOR or --no-color.
import type { Io, Output } from './io.ts'

export type Color = 'red' | 'green' | 'yellow' | 'bold' | 'dim'
export type Paint = (color: Color, text: string) => string

/** https://no-color.org: any value but an empty one. */
export function wantsColor({ env }: Pick<Io, 'env'>, output: Output, flag: boolean): boolean {
  return flag && output.isTTY && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
}

export function painter(colored: boolean): Paint {
  if (!colored) return (_, text) => text
  // Fetched when it is needed: an import of node:util costs a `--help` more than all of ours.
  const { styleText } = process.getBuiltinModule('node:util')
  return (color, text) => styleText(color, text, { validateStream: false })
}

/** States of hosts, VMs, disks and jobs: what runs, what is on its way, what needs somebody. */
export function stateColor(state: string): Color {
  if (GOOD.has(state)) return 'green'
  if (BAD.has(state)) return 'red'
  return IDLE.has(state) ? 'dim' : 'yellow'
}

const GOOD = new Set(['running', 'up', 'ready', 'done', 'ok', 'usable'])
const BAD = new Set(['failed', 'unplaceable', 'io-error', 'unknown', 'suspect', 'lost', 'critical'])
const IDLE = new Set(['off', 'cancelled', 'expired', 'revoked', 'used-up'])
