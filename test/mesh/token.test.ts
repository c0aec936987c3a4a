// Join tokens: what goes in comes out, any change is noticed, and only the secret answers the challenge.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { present } from '../../src/base/assert.ts'
import { OperationError } from '../../src/base/errors.ts'
import { type HostId, type MeshId, newId, type TokenId } from '../../src/base/ids.ts'
import { realRandom, seededRandom } from '../../src/base/random.ts'
import { hostIdOf, publicKeyOf } from '../../src/mesh/host-id.ts'
import { identityOf } from '../../src/mesh/identity.ts'
import {
  createToken,
  encodeToken,
  type JoinChallenge,
  type JoinToken,
  parseToken,
  signChallenge,
  verifyChallenge,
} from '../../src/mesh/token.ts'

const MESH = newId<MeshId>((length) => seededRandom(1).bytes(length))
const TOKEN = newId<TokenId>((length) => seededRandom(2).bytes(length))
const [H1, H2, H3, H4] = await Promise.all([1, 2, 3, 4].map(async (seed) => (await identityOf(seededRandom(seed).bytes(32))).hostId))
const HOSTS = [H1, H2, H3, H4].map((host) => present(host, 'a host id'))

const wish = (changes: Partial<JoinToken> = {}): Omit<JoinToken, 'seed'> => ({
  meshId: MESH,
  tokenId: TOKEN,
  inviters: [{ host: host(0), addresses: ['198.18.0.1:7400', '[fd00::1]:7400'] }],
  expiresAt: Date.UTC(2026, 10, 26),
  role: 'host',
  ...changes,
})

const made = createToken(wish(), seededRandom(3))

describe('a token', () => {
  it('is the same after writing and reading', () => {
    const tokens = fc.record({
      inviters: fc.array(fc.record({ host: fc.constantFrom(...HOSTS), addresses: fc.array(ipPort(), { minLength: 1, maxLength: 4 }) }), {
        minLength: 1,
        maxLength: 3,
      }),
      expiresAt: fc.integer({ min: 0, max: 2 ** 45 }),
      role: fc.constantFrom('host' as const, 'witness' as const),
      seed: fc.integer(),
    })
    fc.assert(
      fc.property(tokens, ({ seed, ...changes }) => {
        const { token } = createToken(wish(changes), seededRandom(seed))
        expect(parseToken(encodeToken(token))).toEqual(token)
        expect(parseToken(`  ${encodeToken(token)}\n`)).toEqual(token)
      }),
    )
  })

  it('is one word that survives a shell, and short enough to send', () => {
    const { token } = createToken(wish({ inviters: HOSTS.map((id) => ({ host: id, addresses: ['198.18.100.100:7400'] })) }), realRandom)
    expect(encodeToken(token)).toMatch(/^hm1\.[\w-]+$/)
    expect(encodeToken(token).length).toBeLessThan(360)
  })

  it('names three inviters at most, with four addresses each at most', () => {
    const addresses = Array.from({ length: 9 }, (_, index) => `198.18.0.${index + 1}:7400`)
    const { token } = createToken(wish({ inviters: HOSTS.map((id) => ({ host: id, addresses })) }), seededRandom(1))
    expect(token.inviters).toEqual(HOSTS.slice(0, 3).map((id) => ({ host: id, addresses: addresses.slice(0, 4) })))
  })

  it('has a secret of its own each time', () => {
    expect(createToken(wish(), realRandom).publicKey).not.toBe(createToken(wish(), realRandom).publicKey)
  })

  it.each([
    ['a name instead of an IP', [{ host: host(0), addresses: ['h1.lan:7400'] }], 'resolves no names'],
    ['no inviter', [], 'at least one inviter'],
    ['an inviter without address', [{ host: host(0), addresses: [] }], 'each an address'],
  ])('is not made with %s', (_name, inviters, message) => {
    expect(() => createToken(wish({ inviters }), realRandom)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) }),
    )
  })
})

describe('a text that is no token is refused:', () => {
  const text = encodeToken(made.token)

  it.each([
    ['nothing', '', 'token-malformed'],
    ['other text', 'hello', 'token-malformed'],
    ['the prefix alone', 'hm1.', 'token-malformed'],
    ['a space inside', `${text.slice(0, 50)} ${text.slice(50)}`, 'token-malformed'],
    ['a later version', `hm2.${text.slice(4)}`, 'token-version'],
    ['its first half', text.slice(0, text.length / 2), 'token-checksum'],
    ['one character lost', text.slice(0, -1), 'token-checksum'],
    ['too short for a checksum', 'hm1.AA', 'token-checksum'],
  ])('%s', (_name, broken, code) => expect(reasonOf(() => parseToken(broken))).toBe(code))

  it('any single changed character', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    fc.assert(
      // The last character may hold bits that carry nothing.
      fc.property(fc.integer({ min: 4, max: text.length - 2 }), fc.constantFrom(...alphabet.split('')), (at, letter) => {
        fc.pre(text[at] !== letter)
        expect(reasonOf(() => parseToken(text.slice(0, at) + letter + text.slice(at + 1)))).toBe('token-checksum')
      }),
    )
  })

  it('a name in it, even when its checksum is right', () => {
    const forged = resealed((body) => Buffer.from(body.toString('latin1').replace('198.18.0.1:7400', 'h1.home.net:740'), 'latin1'))
    expect(reasonOf(() => parseToken(forged))).toBe('token-name')
  })

  it.each([
    ['bytes after its end', (body: Buffer) => Buffer.concat([body, Buffer.of(0)])],
    ['an end before its time', (body: Buffer) => body.subarray(0, -3)],
    ['a role that nobody knows', (body: Buffer) => setByte(body, 17 + 17 + 6, 7)],
    ['no inviters', (body: Buffer) => Buffer.concat([body.subarray(0, 17 + 17 + 6 + 1 + 32), Buffer.of(0)])],
  ])('%s, even when its checksum is right', (_name, change) => {
    expect(reasonOf(() => parseToken(resealed(change)))).toBe('token-malformed')
  })

  it('random bytes, whatever they are, with no other error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(reasonOf(() => parseToken(seal(Buffer.from(bytes))))).toMatch(/^token-/)
      }),
    )
  })
})

describe('the challenge', () => {
  const challenge: JoinChallenge = { meshId: MESH, tokenId: TOKEN, nonce: seededRandom(9).bytes(32), inviter: host(0), joiner: host(1) }
  const signature = signChallenge(made.token.seed, challenge)

  it('is passed by who holds the secret', () => expect(verifyChallenge(made.publicKey, challenge, signature)).toBe(true))

  it.each([
    ['another mesh', { meshId: 'm' as MeshId }],
    ['another token', { tokenId: 't' as TokenId }],
    ['another nonce', { nonce: seededRandom(10).bytes(32) }],
    ['another inviter', { inviter: host(2) }],
    ['another joiner', { joiner: host(2) }],
    ['inviter and joiner exchanged', { inviter: host(1), joiner: host(0) }],
  ])('is not passed with a signature for %s', (_name, change) => {
    expect(verifyChallenge(made.publicKey, { ...challenge, ...change }, signature)).toBe(false)
  })

  it('is not passed with another secret, a damaged signature, or a key that is none', () => {
    expect(verifyChallenge(made.publicKey, challenge, signChallenge(realRandom.bytes(32), challenge))).toBe(false)
    expect(verifyChallenge(made.publicKey, challenge, signature.with(5, (signature[5] ?? 0) ^ 1))).toBe(false)
    expect(verifyChallenge(made.publicKey, challenge, new Uint8Array(0))).toBe(false)
    expect(verifyChallenge('no key', challenge, signature)).toBe(false)
  })

  it('cannot be shifted: moving a letter from one part to the next is another challenge', () => {
    const shifted = { ...challenge, meshId: MESH.slice(0, -1) as MeshId, tokenId: `${MESH.slice(-1)}${TOKEN}` as TokenId }
    expect(verifyChallenge(made.publicKey, shifted, signature)).toBe(false)
  })
})

it('a host id is its public key in another form', () => {
  for (const id of HOSTS) expect(hostIdOf(publicKeyOf(id))).toBe(id)
  expect(() => publicKeyOf('nonsense' as HostId)).toThrow(
    expect.objectContaining({ code: 'usage', message: expect.stringContaining('"nonsense"') }),
  )
})

function host(index: number): HostId {
  return present([H1, H2, H3, H4][index], 'a host id')
}

function ipPort(): fc.Arbitrary<string> {
  return fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 })).map(([ip, port]) => `${ip}:${port}`)
}

function reasonOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof OperationError && error.code === 'refused') return error.reasons[0]?.code ?? 'no reason'
    throw error
  }
  return 'accepted'
}

function setByte(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = value
  return copy
}

/** The token with its body changed and the checksum made right again. */
function resealed(change: (body: Buffer) => Buffer): string {
  return seal(change(Buffer.from(encodeToken(made.token).slice(4), 'base64url').subarray(0, -4)))
}

function seal(body: Buffer): string {
  const sum = createHash('sha256').update('hm1.').update(body).digest().subarray(0, 4)
  return `hm1.${Buffer.concat([body, sum]).toString('base64url')}`
}
