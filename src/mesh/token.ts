// Join tokens: text that lets a host in. The secret in it signs a challenge and never travels.
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { OperationError, type Reason } from '../base/errors.ts'
import { type HostId, type MeshId, type TokenId } from '../base/ids.ts'
import { type Random } from '../base/random.ts'
import { parseAddress, type PeerAddress } from './address.ts'
import { hostIdOf, publicKeyOf } from './host-id.ts'
import { type JoinRequest } from './join-messages.ts'

export interface JoinToken {
  readonly meshId: MeshId
  readonly tokenId: TokenId
  /** Up to three members to ask, with their IP addresses. */
  readonly inviters: readonly PeerAddress[]
  /** Milliseconds since 1970. The leader judges, by its own clock. */
  readonly expiresAt: number
  readonly role: TokenRole
  /** Seed of the token's ed25519 key, 32 bytes. */
  readonly seed: Uint8Array
}

export type TokenRole = 'host' | 'witness'

export const MAX_INVITERS = 3
/** Per inviter: more would only make the token longer. */
const MAX_ADDRESSES = 4

const PREFIX = 'hm1.'
const ROLES: readonly TokenRole[] = ['host', 'witness']
const SEED_BYTES = 32
const CHECKSUM_BYTES = 4
/** Meant for nothing but this challenge: a signature made here is good for no other protocol. */
const CONTEXT = 'hostmesh join 1'
/** DER of a PKCS #8 ed25519 private key up to its 32 bytes (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

/** A new token with its public key (raw, base64url), which is all that the mesh keeps of it. Throws `usage` on inviters that cannot be dialled. */
export function createToken(wish: Omit<JoinToken, 'seed'>, random: Random): { readonly token: JoinToken; readonly publicKey: string } {
  const inviters = wish.inviters.slice(0, MAX_INVITERS).map(({ host, addresses }) => {
    for (const address of addresses) parseAddress(address)
    return { host, addresses: addresses.slice(0, MAX_ADDRESSES) }
  })
  if (inviters.length === 0 || inviters.some(({ addresses }) => addresses.length === 0)) {
    throw new OperationError('usage', 'a join token needs at least one inviter, and each an address')
  }
  const token: JoinToken = { ...wish, inviters, seed: random.bytes(SEED_BYTES) }
  return { token, publicKey: rawPublicKey(privateKey(token.seed)) }
}

/** `hm1.` and base64url of: mesh id, token id, expiry (6 bytes), role, seed, inviters (key, addresses), SHA-256 of it all cut to 4 bytes. */
export function encodeToken(token: JoinToken): string {
  const inviters = token.inviters.map(({ host, addresses }) =>
    Buffer.concat([publicKeyOf(host), Buffer.of(addresses.length), ...addresses.map(shortText)]),
  )
  const expiry = Buffer.alloc(6)
  expiry.writeUIntBE(token.expiresAt, 0, 6)
  const body = Buffer.concat([
    shortText(token.meshId),
    shortText(token.tokenId),
    expiry,
    Buffer.of(ROLES.indexOf(token.role)),
    token.seed,
    Buffer.of(inviters.length),
    ...inviters,
  ])
  return PREFIX + Buffer.concat([body, checksum(body)]).toString('base64url')
}

/** Throws `refused` with the reason `token-version`, `token-malformed`, `token-checksum` or `token-name`. White space around it is ignored. */
export function parseToken(text: string): JoinToken {
  const trimmed = text.trim()
  if (!trimmed.startsWith(PREFIX)) {
    const version = /^hm\d+\./.exec(trimmed)?.[0]
    if (version === undefined) throw refused('token-malformed', `a join token starts with "${PREFIX}"`)
    throw refused('token-version', `this is a join token of version "${version}", version "${PREFIX}" is understood here`)
  }
  const encoded = trimmed.slice(PREFIX.length)
  if (!/^[\w-]+$/.test(encoded)) throw refused('token-malformed', 'the join token has characters that no token has')
  const bytes = Buffer.from(encoded, 'base64url')
  const body = bytes.subarray(0, Math.max(0, bytes.length - CHECKSUM_BYTES))
  if (!checksum(body).equals(bytes.subarray(body.length))) {
    throw refused('token-checksum', 'the join token is damaged or was copied only in part: its checksum is wrong')
  }
  return readToken(new TokenReader(body))
}

/** What the joiner signs and the leader checks. Every party stands in it, so that no signature serves a second purpose. */
export interface JoinChallenge {
  readonly meshId: MeshId
  readonly tokenId: TokenId
  /** Of the inviter, fresh for each try. */
  readonly nonce: Uint8Array
  readonly inviter: HostId
  readonly joiner: HostId
}

export function signChallenge(seed: Uint8Array, challenge: JoinChallenge): Uint8Array {
  return new Uint8Array(sign(null, challengeBytes(challenge), privateKey(seed)))
}

/** `publicKey`: raw, base64url, as the mesh keeps it. False also for a key or a signature that is none. */
export function verifyChallenge(publicKey: string, challenge: JoinChallenge, signature: Uint8Array): boolean {
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' })
    return verify(null, challengeBytes(challenge), key, signature)
  } catch {
    return false
  }
}

/** For the leader: whether who asks to join holds the secret of the token with this public key. */
export function verifyJoin(publicKey: string, request: JoinRequest): boolean {
  const { tokenId, nonce, signature } = request
  if (tokenId === null || signature === null) return false
  return verifyChallenge(publicKey, { ...request, tokenId, nonce: Buffer.from(nonce, 'base64url') }, Buffer.from(signature, 'base64url'))
}

function readToken(reader: TokenReader): JoinToken {
  const meshId = brand<MeshId>(reader.text())
  const tokenId = brand<TokenId>(reader.text())
  const expiresAt = reader.take(6).readUIntBE(0, 6)
  const role = ROLES[reader.byte()]
  if (role === undefined) throw refused('token-malformed', 'the join token is for a role that is not known here')
  const seed = new Uint8Array(reader.take(SEED_BYTES))
  const inviters = reader.list(() => {
    const host = hostIdOf(reader.take(32))
    const addresses = reader.list(() => reader.text())
    for (const address of addresses) checkAddress(address)
    return { host, addresses }
  })
  if (!reader.atEnd || inviters.length === 0) throw malformed()
  return { meshId, tokenId, expiresAt, role, seed, inviters }
}

class TokenReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw malformed()
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  byte(): number {
    return this.take(1).readUInt8()
  }

  text(): string {
    return this.take(this.byte()).toString('utf8')
  }

  list<T>(item: () => T): T[] {
    return Array.from({ length: this.byte() }, item)
  }
}

function checkAddress(address: string): void {
  try {
    parseAddress(address)
  } catch (error) {
    if (error instanceof OperationError) throw refused('token-name', `the join token is of no use: ${error.message}`)
    throw error
  }
}

function challengeBytes({ meshId, tokenId, nonce, inviter, joiner }: JoinChallenge): Uint8Array {
  return Buffer.concat([CONTEXT, meshId, tokenId, nonce, inviter, joiner].map((part) => shortBytes(Buffer.from(part))))
}

function shortText(text: string): Buffer {
  return shortBytes(Buffer.from(text, 'utf8'))
}

/** One byte of length: two different lists of parts never give the same bytes. */
function shortBytes(bytes: Buffer): Buffer {
  if (bytes.length > 255) throw new OperationError('usage', `${bytes.length} bytes are too long for a part of a join token`)
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

function checksum(body: Uint8Array): Buffer {
  return createHash('sha256').update(PREFIX).update(body).digest().subarray(0, CHECKSUM_BYTES)
}

function privateKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' })
}

function rawPublicKey(key: KeyObject): string {
  const { x } = createPublicKey(key).export({ format: 'jwk' })
  return String(x)
}

function malformed(): OperationError {
  return refused('token-malformed', 'the join token is malformed')
}

function refused(code: string, message: string): OperationError {
  const reason: Reason = { code, message, fix: 'hostmesh token create' }
  return new OperationError('refused', message, { reasons: [reason] })
}

function brand<T extends string>(text: string): T {
  return text as T
}
