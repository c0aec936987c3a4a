// Where this host can be dialled: what it listens on, and for "every interface" those that belong to the mesh's networks.
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { type NetworkInterfaceInfo } from 'node:os'
import { OperationError } from '../base/errors.ts'
import { type Address, formatAddress, isWildcard } from './address.ts'

/** As os.networkInterfaces() tells them. */
export type Interfaces = Readonly<Record<string, readonly Pick<NetworkInterfaceInfo, 'address' | 'internal'>[] | undefined>>

/** Bridges and ends of guests and containers: they lead to this machine's own guests, never to another host. */
const NOT_FOR_HOSTS = /^(docker|br-|virbr|veth|tap|vnet|cni|flannel|lxc|lxd|podman|hm)/

/** Sorted, so that the same addresses are the same list. `networks`: CIDRs that the mesh uses; empty: all but those of bridges. */
export function announcedAddresses(listening: readonly Address[], interfaces: Interfaces, networks: readonly string[]): string[] {
  const isMeshNetwork = networkFilter(networks)
  const announced = new Set<string>()
  for (const address of listening) {
    if (!isWildcard(address)) announced.add(formatAddress(address))
    else for (const ip of usableIps(address, interfaces, isMeshNetwork)) announced.add(formatAddress({ ip, port: address.port }))
  }
  return [...announced].toSorted()
}

/** Throws `usage` on text that is no CIDR. */
export function networkFilter(networks: readonly string[]): ((ip: string) => boolean) | undefined {
  if (networks.length === 0) return undefined
  const list = new BlockList()
  for (const network of networks) {
    const [ip = '', bits = ''] = network.split('/')
    const family = familyOf(ip)
    const prefix = Number(bits)
    if (family === undefined || !/^\d+$/.test(bits) || prefix > (family === 'ipv4' ? 32 : 128)) {
      throw new OperationError('usage', `network "${network}" is no CIDR, for example 198.18.0.0/24 or fd00::/64`)
    }
    list.addSubnet(ip, prefix, family)
  }
  return (ip) => {
    const family = familyOf(ip)
    return family !== undefined && list.check(ip, family)
  }
}

function usableIps(wildcard: Address, interfaces: Interfaces, isMeshNetwork: ((ip: string) => boolean) | undefined): string[] {
  return Object.entries(interfaces).flatMap(([name, addresses = []]) =>
    addresses
      // 0.0.0.0 takes IPv4 only; Node opens :: for both.
      .filter(({ address }) => !isIPv4(wildcard.ip) || isIPv4(address))
      .filter(({ address, internal }) =>
        isMeshNetwork === undefined ? !internal && !/^fe80:/i.test(address) && !NOT_FOR_HOSTS.test(name) : isMeshNetwork(address),
      )
      .map(({ address }) => address),
  )
}

function familyOf(ip: string): 'ipv4' | 'ipv6' | undefined {
  if (isIPv4(ip)) return 'ipv4'
  return isIPv6(ip) ? 'ipv6' : undefined
}
