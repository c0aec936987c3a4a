// Join tokens: made and revoked by people, used up by hosts that join (apply-mesh.ts).
import { type Reason } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Command } from './command.ts'
import { type Draft } from './draft.ts'
import { type CommandResult, type HostRole, type Token } from './model.ts'
import { done, notFound, refused } from './results.ts'
import { validate } from './validate.ts'

/** Tokens that no longer open anything are still listed for a week, for whoever wonders why a join was refused. */
const EXPIRED_KEPT_MS = 7 * 86_400_000
/** Far beyond need; what can be made without limit would fill every host. */
const TOKENS_MAX = 1_000

type TokenCommand = Extract<Command, { kind: 'token-create' | 'token-revoke' }>

export function applyToken(draft: Draft, command: TokenCommand): CommandResult {
  switch (command.kind) {
    case 'token-create':
      return create(draft, command)
    case 'token-revoke':
      return revoke(draft, command)
  }
}

function create(draft: Draft, command: Extract<Command, { kind: 'token-create' }>): CommandResult {
  const gone = [...draft.state.tokens.values()].filter(({ expiresAt }) => expiresAt + EXPIRED_KEPT_MS <= draft.at)
  const reasons: Reason[] = [...validate(command)]
  if (draft.state.tokens.has(command.id)) reasons.push({ code: 'id-taken', message: `token ${command.id} exists already` })
  if (command.expiresAt <= draft.at) reasons.push({ code: 'token-expired', message: `token ${command.id} would be expired from its start` })
  if (draft.state.tokens.size - gone.length >= TOKENS_MAX) {
    reasons.push({
      code: 'tokens-max',
      message: `there are ${TOKENS_MAX} tokens already`,
      fix: 'let old ones expire, or raise the uses of new ones',
    })
  }
  if (reasons.length > 0) return refused('the token was not made', reasons)
  for (const token of gone) draft.remove('tokens', token.id)
  const { kind: _, ...given } = command
  draft.put('tokens', { ...given, usedBy: [], revoked: false, createdAt: draft.at })
  draft.event('token.created', `token ${command.id}`, { role: command.role, uses: command.uses, expiresAt: command.expiresAt })
  return done({ id: command.id })
}

function revoke(draft: Draft, command: Extract<Command, { kind: 'token-revoke' }>): CommandResult {
  const token = draft.state.tokens.get(command.id)
  if (token === undefined) return notFound('token', command.id)
  if (token.revoked) return done({ id: token.id })
  draft.put('tokens', { ...token, revoked: true })
  draft.event('token.revoked', `token ${token.id}`)
  return done({ id: token.id })
}

export type TokenState = 'usable' | 'used-up' | 'expired' | 'revoked'

/** What a token is good for at `at` (milliseconds since 1970). */
export function tokenState(token: Token, at: number): TokenState {
  if (token.revoked) return 'revoked'
  if (at >= token.expiresAt) return 'expired'
  return token.usedBy.length >= token.uses ? 'used-up' : 'usable'
}

/** Why `host` may not join with this token at `at`; empty: it may. A host that used it before may use it again without a further use. */
export function tokenReasons(
  token: Token | undefined,
  join: { readonly host: HostId; readonly role: HostRole; readonly at: number },
): readonly Reason[] {
  const fix = 'on a host of the mesh: hostmesh token create'
  if (token === undefined) return [{ code: 'token-unknown', message: 'this mesh has no such token', fix }]
  const reasons: Reason[] = []
  const state = tokenState(token, join.at)
  const mayAgain = state === 'used-up' && token.usedBy.includes(join.host)
  if (state !== 'usable' && !mayAgain) reasons.push({ code: `token-${state}`, message: stateMessage(token, state), fix })
  if (token.role !== join.role) {
    reasons.push({ code: 'token-role', message: `token ${token.id} is for role ${token.role}, the host asks for ${join.role}`, fix })
  }
  return reasons
}

function stateMessage(token: Token, state: TokenState): string {
  switch (state) {
    case 'expired':
      return `token ${token.id} expired at ${new Date(token.expiresAt).toISOString()}`
    case 'used-up':
      return `token ${token.id} is used up: ${token.usedBy.length} of ${token.uses} uses`
    default:
      return `token ${token.id} is ${state}`
  }
}
