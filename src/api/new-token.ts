// Join tokens in the making: the secret is made here, once per request key, so that a repeated request shows the same one.
import { OperationError } from '../base/errors.ts'
import { type RequestKey } from '../base/ids.ts'
import { type HostRole } from '../inventory/model.ts'
import { type ApiContext, type NewToken } from './context.ts'
import { type Plan, type WriteRequest } from './handler.ts'
import { isoTime } from './shapes.ts'

/** A token is for the hosts of today: long enough to set up a rack, short enough to be forgotten without harm. */
const TOKEN_TTL_MS = 24 * 3_600_000
const TOKEN_USES = 10
/** Secrets that are kept for a repeated request; people make tokens one by one. */
const MADE_KEPT = 64

interface Made {
  readonly token: NewToken
  readonly expiresAt: number
}

const madeBy = new WeakMap<ApiContext, Map<RequestKey, Made>>()

export function planToken({ context, body, key }: WriteRequest<'tokenCreate'>): Plan {
  const { role = 'host', uses = TOKEN_USES, ttlMs = TOKEN_TTL_MS } = body
  const { token, expiresAt } = madeFor(context, key, { role, ttlMs })
  return {
    what: 'create a token',
    command: { kind: 'token-create', id: token.id, publicKey: token.publicKey, role, uses, expiresAt },
    steps: [`let up to ${uses} hosts join as ${role} until ${isoTime(expiresAt)}`],
    secretOf(id) {
      if (id === token.id) return token.text
      // The agent was restarted between the first try and this one: the secret went with it, the public half is in the log.
      const message = `token ${id ?? ''} was made by an earlier try of this request, but its secret is lost`
      const fix = `hostmesh token revoke ${id ?? ''}, then hostmesh token create`
      throw new OperationError('conflict', message, { reasons: [{ code: 'token-lost', message, fix }] })
    },
  }
}

function madeFor(context: ApiContext, key: RequestKey, wish: { readonly role: HostRole; readonly ttlMs: number }): Made {
  const made = madeBy.get(context) ?? new Map<RequestKey, Made>()
  madeBy.set(context, made)
  const known = made.get(key)
  if (known !== undefined) return known
  const expiresAt = context.clock.wall() + wish.ttlMs
  const fresh = { token: context.createToken(wish.role, expiresAt), expiresAt }
  made.set(key, fresh)
  for (const oldest of made.keys()) {
    if (made.size <= MADE_KEPT) break
    made.delete(oldest)
  }
  return fresh
}
