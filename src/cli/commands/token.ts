// `hostmesh token …`: what lets new hosts in.
import { buildCommand, buildRouteMap } from '@stricli/core'
import type { TokenAnswer } from '../../api/types.ts'
import { parseDurationMs } from '../../base/units.ts'
import { change, writeQuery } from '../change.ts'
import { type Paint, stateColor } from '../color.ts'
import type { CliContext } from '../context.ts'
import { commonAliases, type CommonFlags, commonFlags, parseCount, type WriteFlags, writeFlags } from '../flags.ts'
import { objectName } from '../names.ts'
import { show } from '../show.ts'
import { table } from '../table.ts'
import { formatTime } from '../units-text.ts'

interface CreateFlags extends WriteFlags {
  readonly uses?: number
  readonly ttl?: number
  readonly role?: 'host' | 'witness'
}

const create = buildCommand<CreateFlags, [], CliContext>({
  docs: { brief: 'Make a token; its text is shown this once' },
  parameters: {
    flags: {
      ...writeFlags,
      uses: { kind: 'parsed', parse: parseCount, optional: true, placeholder: 'N', brief: 'How many hosts may join with it (default: 10)' },
      ttl: {
        kind: 'parsed',
        parse: parseDurationMs,
        optional: true,
        placeholder: 'TIME',
        brief: 'How long it is good for, as 24h or 7d (default: 24h)',
      },
      role: { kind: 'enum', values: ['host', 'witness'], optional: true, brief: 'What joins with it (default: host)' },
    },
    aliases: commonAliases,
  },
  func(flags) {
    const { uses, ttl, role } = flags
    const body = {
      ...(uses === undefined ? {} : { uses }),
      ...(ttl === undefined ? {} : { ttlMs: ttl }),
      ...(role === undefined ? {} : { role }),
    }
    return change(this, flags, {
      route: 'tokenCreate',
      input: { query: writeQuery(flags), body },
      title: 'create a token',
      done: ({ secret }) => `on each new host, with its agent running:\n  hostmesh join ${secret ?? ''}`,
    })
  },
})

const listTokens = buildCommand<CommonFlags, [], CliContext>({
  docs: { brief: 'All tokens, without their secrets' },
  parameters: { flags: commonFlags, aliases: commonAliases },
  func(flags) {
    return show(this, flags, { route: 'tokenList', input: {}, text: tokenTable })
  },
})

const revoke = buildCommand<WriteFlags, [string], CliContext>({
  docs: { brief: 'Let nobody in with this token any more; hosts that joined stay' },
  parameters: {
    flags: writeFlags,
    aliases: commonAliases,
    positional: { kind: 'tuple', parameters: [objectName('token', 'TOKEN', 'Id of the token, or the beginning of it')] },
  },
  func(flags, token) {
    return change(this, flags, {
      route: 'tokenRevoke',
      input: { params: { token }, query: writeQuery(flags) },
      title: `revoke token ${token}`,
      done: () => `token ${token} is revoked`,
    })
  },
})

export const token = buildRouteMap({ routes: { create, list: listTokens, revoke }, docs: { brief: 'Tokens that let hosts join' } })

function tokenTable(tokens: readonly TokenAnswer[], paint: Paint): string {
  return table<TokenAnswer>(
    [
      { title: 'TOKEN', cell: ({ id }) => id },
      { title: 'STATE', cell: ({ state }) => state, color: ({ state }) => stateColor(state) },
      { title: 'ROLE', cell: ({ role }) => role },
      { title: 'USED', right: true, cell: ({ used, uses }) => `${used} of ${uses}` },
      { title: 'EXPIRES', cell: ({ expiresAt }) => formatTime(expiresAt) },
      { title: 'BY', cell: ({ usedBy }) => usedBy.join(', ') },
    ],
    tokens,
    paint,
  )
}
