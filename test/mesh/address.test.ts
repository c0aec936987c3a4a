// IP:PORT in all its forms, and nothing that a resolver would have to be asked about.
import { multiaddr } from '@multiformats/multiaddr'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HostId } from '../../src/base/ids.ts'
import { formatAddress, fromMultiaddr, isWildcard, parseAddress, toMultiaddr } from '../../src/mesh/address.ts'
import { isPlainIp } from '../../src/mesh/libp2p-node.ts'

const HOST = '12D3KooWRZHanRwnJFV4WDWECJZN25Rmka1B8c8TJiLweK6L1sMv' as HostId
const address = fc.record({ ip: fc.oneof(fc.ipV4(), fc.ipV6()), port: fc.integer({ min: 0, max: 65_535 }) })

it('an address is the same after writing and reading, and by way of libp2p', () => {
  fc.assert(
    fc.property(address, (one) => {
      expect(parseAddress(formatAddress(one))).toEqual(one)
      expect(fromMultiaddr(toMultiaddr(one))).toEqual(one)
      expect(fromMultiaddr(toMultiaddr(one, HOST))).toEqual(one)
      expect(isPlainIp(multiaddr(toMultiaddr(one, HOST)))).toBe(true)
    }),
  )
})

it('a link-local address keeps its zone', () => {
  expect(parseAddress('[fe80::1%eth0]:7400')).toEqual({ ip: 'fe80::1%eth0', port: 7400 })
  expect(toMultiaddr({ ip: 'fe80::1%eth0', port: 7400 })).toBe('/ip6zone/eth0/ip6/fe80::1/tcp/7400')
  expect(fromMultiaddr('/ip6zone/eth0/ip6/fe80::1/tcp/7400')).toEqual({ ip: 'fe80::1%eth0', port: 7400 })
})

describe('refused with `usage`:', () => {
  it.each(['localhost:7400', 'h1.lan:7400', 'node-1:7400', 'H1:7400'])('the name in %s, as a name', (text) => {
    expect(() => parseAddress(text)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringMatching(/name.*give IP:PORT/) }),
    )
  })
  it.each([
    '',
    ':7400',
    '198.18.0.1',
    '198.18.0.1:',
    '198.18.0.1:65536',
    '198.18.0.1:-1',
    '198.18.0.1:74 00',
    '198.18.0.256:7400',
    '198.18.1:7400',
    'fd00::1:7400',
    '[198.18.0.1]:7400',
    '[fd00::1]',
    '[fd00::g]:7400',
    'http://198.18.0.1:7400',
    '198.18.0.1:7400/x',
  ])('"%s"', (text) => {
    expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'usage', message: expect.stringContaining(`"${text}"`) }))
  })
})

it.each([
  '/dns4/h1.lan/tcp/7400',
  '/dns/h1/tcp/1',
  '/dnsaddr/x',
  '/ip4/1.2.3.4/udp/1/quic-v1',
  '/unix/%2Ftmp%2Fx',
  '/ip4/1.2.3.4/tcp/1/ws',
])('libp2p may not dial %s', (text) => {
  expect(isPlainIp(multiaddr(text))).toBe(false)
  expect(fromMultiaddr(text)).toBeUndefined()
})

it('only the unspecified addresses stand for every interface', () => {
  expect(['0.0.0.0', '::', '0:0:0:0:0:0:0:0'].map((ip) => isWildcard({ ip, port: 1 }))).toEqual([true, true, true])
  expect(['10.0.0.0', '::1', 'fd00::'].map((ip) => isWildcard({ ip, port: 1 }))).toEqual([false, false, false])
})
