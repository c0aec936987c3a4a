// Addresses as people write them, IP:PORT, to and from libp2p's. A name is refused: hostmesh never asks a resolver.
import { isIP, isIPv4 } from 'node:net'
import { OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'

export interface Address {
  /** Without brackets; an IPv6 link-local address carries its zone: `fe80::1%eth0`. */
  readonly ip: string
  /** 0 only in what to listen on: the system chooses. */
  readonly port: number
}

/** A member and where it listens: `198.18.0.1:7400`, `[fd00::1]:7400`. Never names. */
export interface PeerAddress {
  readonly host: HostId
  readonly addresses: readonly string[]
}

/** Throws `usage` that names what is wrong. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  const ip = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3])
  if (match !== null && port <= 65_535) {
    if (isIP(ip) !== 0 && isIPv4(ip) === (match[1] === undefined)) return { ip, port }
    if (isIP(ip) === 0 && /^[\w.-]*[a-z][\w.-]*$/i.test(ip)) {
      throw new OperationError('usage', `address "${text}" has the name "${ip}"; hostmesh resolves no names: give IP:PORT`)
    }
  }
  throw new OperationError('usage', `address "${text}" is not IP:PORT, for example 198.18.0.1:7400 or [fd00::1]:7400`)
}

export function formatAddress({ ip, port }: Address): string {
  return isIPv4(ip) ? `${ip}:${port}` : `[${ip}]:${port}`
}

/** As libp2p writes it; with `host` it dials nobody else. */
export function toMultiaddr({ ip, port }: Address, host?: HostId): string {
  const [bare = ip, zone] = ip.split('%')
  const prefix = isIPv4(ip) ? `/ip4/${ip}` : `${zone === undefined ? '' : `/ip6zone/${zone}`}/ip6/${bare}`
  return `${prefix}/tcp/${port}${host === undefined ? '' : `/p2p/${host}`}`
}

/** Undefined for anything but IP and TCP. */
export function fromMultiaddr(text: string): Address | undefined {
  const match = /^(?:\/ip6zone\/([^/]+))?\/ip[46]\/([^/]+)\/tcp\/(\d+)(?:\/p2p\/[^/]+)?$/.exec(text)
  if (match === null) return undefined
  const [, zone, ip = '', port = ''] = match
  return { ip: zone === undefined ? ip : `${ip}%${zone}`, port: Number(port) }
}

/** True for 0.0.0.0 and ::, which stand for every interface. */
export function isWildcard({ ip }: Address): boolean {
  return ip === '0.0.0.0' || /^[0:]+$/.test(ip)
}
