// Who may speak to the API: the token of a TCP listener, and what keeps a page in a browser from driving it. Pure.
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { OperationError } from '../base/errors.ts'

/** What a request says about itself. */
export interface Credentials {
  readonly host?: string | undefined
  readonly origin?: string | undefined
  readonly authorization?: string | undefined
}

/** `token` is null on the unix socket: its file mode says who may connect. */
export interface Gate {
  readonly token: string | null
}

/**
 * Throws `forbidden` with the reason. A page can make a browser send requests to this address, or to a name that it resolves to it:
 * so the Host must be an IP address, an Origin the same host, and the token must come in a header, which no cookie does.
 */
export function assertAccess(gate: Gate, { host, origin, authorization }: Credentials): void {
  if (gate.token !== null && !isAddress(host)) throw forbidden('host', `the Host header "${host ?? ''}" is not an IP address`)
  if (origin !== undefined && origin !== `http://${host ?? ''}`) throw forbidden('origin', `a page of ${origin} may not use this API`)
  if (gate.token === null) return
  if (authorization === undefined) throw forbidden('token', 'the request carries no token')
  const sent = /^Bearer (\S+)$/.exec(authorization)?.[1]
  if (sent === undefined || !sameSecret(sent, gate.token)) throw forbidden('token', 'the token of the request is wrong')
}

/** Takes as long for any wrong secret. */
function sameSecret(sent: string, kept: string): boolean {
  return timingSafeEqual(digest(sent), digest(kept))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** `IP`, `IP:PORT` or `[IPv6]:PORT`. */
function isAddress(host: string | undefined): boolean {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host ?? '')
  return isIP(match?.[1] ?? match?.[2] ?? '') !== 0
}

function forbidden(check: string, message: string): OperationError {
  const fix =
    check === 'token' ? 'set HOSTMESH_API_TOKEN to the text of DATA_DIR/api-token on that host' : 'name the host by its IP address'
  return new OperationError('forbidden', message, { reasons: [{ code: check, message, fix }] })
}
