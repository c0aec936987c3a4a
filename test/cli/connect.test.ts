// How the command line finds its agent; names are never resolved.
import { describe, expect, it } from 'vitest'
import { hasCode } from '../../src/base/errors.ts'
import { parseUrl, targetOf } from '../../src/cli/connect.ts'

describe('the agent', () => {
  it.each([
    ['by default in the data directory of the package', {}, {}, { kind: 'socket', path: '/var/lib/hostmesh/hostmesh.sock' }],
    ['by HOSTMESH_SOCKET', {}, { HOSTMESH_SOCKET: '/run/a' }, { kind: 'socket', path: '/run/a' }],
    ['by --socket before HOSTMESH_SOCKET', { socket: '/run/b' }, { HOSTMESH_SOCKET: '/run/a' }, { kind: 'socket', path: '/run/b' }],
    ['by --data-dir', { dataDir: '/data/' }, {}, { kind: 'socket', path: '/data/hostmesh.sock' }],
    ['by --host', { host: 'http://192.0.2.1:8443' }, {}, { kind: 'tcp', host: '192.0.2.1', port: 8443, token: null }],
    [
      'by --host with a token',
      { host: '192.0.2.1:8443' },
      { HOSTMESH_API_TOKEN: 't' },
      { kind: 'tcp', host: '192.0.2.1', port: 8443, token: 't' },
    ],
    ['by an IPv6 address', { host: 'http://[2001:db8::1]:8443/' }, {}, { kind: 'tcp', host: '2001:db8::1', port: 8443, token: null }],
  ])('is found %s', (_, flags, env, target) => {
    expect(targetOf(flags, env)).toEqual(target)
  })

  it('cannot be named in two ways at once', () => {
    expect(() => targetOf({ socket: '/a', host: '192.0.2.1:1' }, {})).toThrow('--socket and --host')
  })

  it.each([
    'example.org:80',
    'http://example.org:80',
    'localhost:80',
    '192.0.2.1',
    '192.0.2.1:0',
    '192.0.2.1:65536',
    '2001:db8::1:80',
    'https://192.0.2.1:80',
    ':80',
    '',
  ])('is not at "%s"', (text) => {
    let error: unknown
    try {
      parseUrl(text)
    } catch (thrown) {
      error = thrown
    }
    expect(hasCode(error, 'usage')).toBe(true)
  })
})
