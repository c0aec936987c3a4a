// Where the agent is: flags first, then the environment, then the default of the package.
import type { Target } from '../api/client.ts'
import { OperationError } from '../base/errors.ts'
import type { CommonFlags } from './flags.ts'
import type { Io } from './io.ts'

export const DEFAULT_DATA_DIR = '/var/lib/hostmesh'

export function socketOf(dataDir: string): string {
  return `${dataDir.replace(/\/+$/, '')}/hostmesh.sock`
}

type Where = Pick<CommonFlags, 'socket' | 'dataDir' | 'host'>

/** Throws `usage` for more than one way to name the agent, and for a URL that is not an IP address. */
export function targetOf({ socket, dataDir, host }: Where, env: Io['env']): Target {
  const given = Object.entries({ '--socket': socket, '--data-dir': dataDir, '--host': host }).filter(([, value]) => value !== undefined)
  if (given.length > 1) {
    throw new OperationError('usage', `${given.map(([name]) => name).join(' and ')} each name an agent: use one of them`)
  }
  if (host !== undefined) return { kind: 'tcp', ...parseUrl(host), token: env['HOSTMESH_API_TOKEN'] ?? null }
  if (socket !== undefined) return { kind: 'socket', path: socket }
  if (dataDir !== undefined) return { kind: 'socket', path: socketOf(dataDir) }
  return { kind: 'socket', path: env['HOSTMESH_SOCKET'] ?? socketOf(DEFAULT_DATA_DIR) }
}

/** `IP:PORT`, `[IPv6]:PORT`, with or without `http://`. Names are never resolved, so they are refused. */
export function parseUrl(text: string): { readonly host: string; readonly port: number } {
  const address = /^(?:http:\/\/)?(.+?)\/?$/.exec(text)?.[1] ?? ''
  return parseAddress(address, `--host ${text}`)
}

/** `what` names the flag in the error. */
export function parseAddress(text: string, what: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3])
  const { isIP } = process.getBuiltinModule('node:net')
  if (isIP(host) === 0 || !(port >= 1 && port <= 65_535)) {
    throw new OperationError('usage', `${what} is not IP:PORT; names are never resolved`, {
      reasons: [{ code: 'address', message: `found "${text}"`, fix: 'use an address like 192.0.2.1:8443 or [2001:db8::1]:8443' }],
    })
  }
  return { host, port }
}
