// Which addresses a host tells the others.
import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../src/mesh/address.ts'
import { announcedAddresses, type Interfaces } from '../../src/mesh/own-addresses.ts'

const at = (...ips: readonly string[]) => ips.map((address) => ({ address, internal: false }))

const INTERFACES: Interfaces = {
  lo: [
    { address: '127.0.0.1', internal: true },
    { address: '::1', internal: true },
  ],
  eth0: at('198.18.0.1', 'fd00::1', 'fe80::1'),
  eth1: at('10.1.2.3'),
  docker0: at('172.17.0.1'),
  'br-0a1b2c': at('172.18.0.1'),
  virbr0: at('192.168.122.1'),
  veth12ab: at('169.254.1.1'),
  tap0: at('10.9.9.9'),
  gone: undefined,
}

const announced = (listen: readonly string[], networks: readonly string[] = []) =>
  announcedAddresses(listen.map(parseAddress), INTERFACES, networks)

it('what it listens on, when that is an address', () => {
  expect(announced(['198.18.0.1:7400', '127.0.0.2:7401'])).toEqual(['127.0.0.2:7401', '198.18.0.1:7400'])
})

it('for every IPv4 interface: those of real networks, neither loopback nor bridges of guests and containers', () => {
  expect(announced(['0.0.0.0:7400'])).toEqual(['10.1.2.3:7400', '198.18.0.1:7400'])
})

it('for every interface: IPv6 as well, but nothing link-local', () => {
  expect(announced(['[::]:7400'])).toEqual(['10.1.2.3:7400', '198.18.0.1:7400', '[fd00::1]:7400'])
})

it('only those in the networks that were named, bridges too if they were meant', () => {
  expect(announced(['[::]:7400'], ['198.18.0.0/15', 'fd00::/64'])).toEqual(['198.18.0.1:7400', '[fd00::1]:7400'])
  expect(announced(['0.0.0.0:7400'], ['172.17.0.0/16', '127.0.0.0/8'])).toEqual(['127.0.0.1:7400', '172.17.0.1:7400'])
})

it('each once', () => {
  expect(announced(['0.0.0.0:7400', '10.1.2.3:7400'])).toEqual(['10.1.2.3:7400', '198.18.0.1:7400'])
})

describe('what is no network is refused:', () => {
  it.each(['198.18.0.0', 'lan/24', '198.18.0.0/33', 'fd00::/129', '198.18.0.0/', '198.18.0.0/x', '/8'])('"%s"', (network) => {
    expect(() => announced(['0.0.0.0:7400'], [network])).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(`"${network}"`) }),
    )
  })
})
