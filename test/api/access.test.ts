// The gate of the API: who may speak, and which pages may not make a browser speak for them.
import { describe, expect, it } from 'vitest'
import { OperationError } from '../../src/base/errors.ts'
import { assertAccess, type Credentials } from '../../src/api/access.ts'

const TOKEN = 'a'.repeat(43)
const bearer = `Bearer ${TOKEN}`

function refusedBy(token: string | null, credentials: Credentials): string | null {
  try {
    assertAccess({ token }, credentials)
    return null
  } catch (error) {
    if (!(error instanceof OperationError) || error.code !== 'forbidden') throw error
    return error.reasons[0]?.code ?? ''
  }
}

describe('over TCP', () => {
  it.each<[string, Credentials]>([
    ['the right token at an IPv4 address', { host: '192.0.2.1:8443', authorization: bearer }],
    ['the right token at an IPv6 address', { host: '[2001:db8::1]:8443', authorization: bearer }],
    ['the right token without a port', { host: '192.0.2.1', authorization: bearer }],
    ['a page of the agent itself', { host: '192.0.2.1:8443', origin: 'http://192.0.2.1:8443', authorization: bearer }],
  ])('lets %s in', (_, credentials) => {
    expect(refusedBy(TOKEN, credentials)).toBeNull()
  })

  it.each<[string, string, Credentials]>([
    ['no token', 'token', { host: '192.0.2.1:8443' }],
    ['a wrong token', 'token', { host: '192.0.2.1:8443', authorization: `Bearer ${'b'.repeat(43)}` }],
    ['a token cut short', 'token', { host: '192.0.2.1:8443', authorization: `Bearer ${TOKEN.slice(1)}` }],
    ['a token and more', 'token', { host: '192.0.2.1:8443', authorization: `${bearer} x` }],
    ['another scheme', 'token', { host: '192.0.2.1:8443', authorization: `Basic ${TOKEN}` }],
    ['an empty token', 'token', { host: '192.0.2.1:8443', authorization: 'Bearer ' }],
    ['a page of somebody else', 'origin', { host: '192.0.2.1:8443', origin: 'http://evil.example', authorization: bearer }],
    ['a page without an origin', 'origin', { host: '192.0.2.1:8443', origin: 'null', authorization: bearer }],
    ['a page of another port', 'origin', { host: '192.0.2.1:8443', origin: 'http://192.0.2.1:80', authorization: bearer }],
    ['a name that was made to point here', 'host', { host: 'evil.example:8443', authorization: bearer }],
    ['localhost, which is a name', 'host', { host: 'localhost:8443', authorization: bearer }],
    ['no Host', 'host', { authorization: bearer }],
  ])('keeps %s out, for its %s', (_, check, credentials) => {
    expect(refusedBy(TOKEN, credentials)).toBe(check)
  })
})

describe('over the unix socket', () => {
  it('asks for no token: the file mode said who may connect', () => {
    expect(refusedBy(null, { host: 'localhost' })).toBeNull()
    expect(refusedBy(null, {})).toBeNull()
  })

  it('still refuses pages', () => {
    expect(refusedBy(null, { host: 'localhost', origin: 'http://evil.example' })).toBe('origin')
  })
})
