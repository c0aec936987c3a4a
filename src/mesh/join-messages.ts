// What joiner and inviter say to each other: JSON in frames, strictly parsed, for the inviter does not know the joiner yet.
import { OperationError, toWireError, type WireError } from '../base/errors.ts'
import { type HostId, type MeshId, type TokenId } from '../base/ids.ts'
import { fieldsOf, parseWireError } from './body.ts'

/** Raised when joiner and inviter of two versions could misunderstand each other. */
export const JOIN_PROTOCOL = 1
export const NONCE_BYTES = 32
/** A stranger may not make the inviter hold more than this. */
export const MAX_JOIN_FRAME_BYTES = 256 * 1024

/** What the joiner tells of itself; `facts` is for the leader. JSON-safe. */
export interface JoinOffer {
  readonly addresses: readonly string[]
  readonly facts: unknown
}

/** What the inviter hands on to the leader, plain data. `joiner` proved to hold its key; `signature` is yet to be checked (verifyJoin). */
export interface JoinRequest extends JoinOffer {
  readonly meshId: MeshId
  /** Null: a host of the mesh asks to be let in again; `signature` is null too. */
  readonly tokenId: TokenId | null
  readonly inviter: HostId
  readonly joiner: HostId
  /** base64url. */
  readonly nonce: string
  /** base64url. */
  readonly signature: string | null
}

export interface JoinAsk {
  readonly protocol: number
  readonly meshId: MeshId
  readonly tokenId: TokenId | null
}

export interface JoinProof extends JoinOffer {
  /** base64url. */
  readonly signature: string | null
}

export type JoinReply = { readonly kind: 'accepted'; readonly reply: unknown } | { readonly kind: 'refused'; readonly error: WireError }

export function encodeJson(message: JoinAsk | JoinProof | JoinReply): Uint8Array {
  return Buffer.from(JSON.stringify(message))
}

export function parseAsk(payload: Uint8Array): JoinAsk {
  const { protocol, meshId, tokenId } = fieldsOf(parseJson(payload))
  if (typeof protocol !== 'number' || typeof meshId !== 'string' || !isTextOrNull(tokenId)) throw malformed('first message')
  return { protocol, meshId: brand<MeshId>(meshId), tokenId: tokenId === null ? null : brand<TokenId>(tokenId) }
}

export function parseProof(payload: Uint8Array): JoinProof {
  const { signature, addresses, facts } = fieldsOf(parseJson(payload))
  if (!isTextOrNull(signature)) throw malformed('answer to the challenge')
  return { signature, addresses: parseTexts(addresses), facts }
}

export function parseJoinReply(payload: Uint8Array): JoinReply {
  const message = fieldsOf(parseJson(payload))
  if (message['kind'] === 'accepted') return { kind: 'accepted', reply: message['reply'] }
  if (message['kind'] === 'refused') return { kind: 'refused', error: parseWireError(message['error']) }
  throw malformed('reply')
}

/** From plain data that came over an RPC. Throws `usage`. */
export function parseJoinRequest(body: unknown): JoinRequest {
  const { meshId, tokenId, inviter, joiner, nonce, signature, addresses, facts } = fieldsOf(body)
  const texts = [meshId, inviter, joiner, nonce]
  if (!texts.every((text) => typeof text === 'string') || !isTextOrNull(tokenId) || !isTextOrNull(signature)) throw malformed('request')
  return {
    meshId: brand<MeshId>(String(meshId)),
    tokenId: tokenId === null ? null : brand<TokenId>(tokenId),
    inviter: brand<HostId>(String(inviter)),
    joiner: brand<HostId>(String(joiner)),
    nonce: String(nonce),
    signature,
    addresses: parseTexts(addresses),
    facts,
  }
}

export function refusedReply(error: unknown): JoinReply {
  return { kind: 'refused', error: toWireError(error) }
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string'
}

function parseTexts(value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw malformed('list of addresses')
  return value.map(String)
}

function parseJson(payload: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString('utf8'))
    return value
  } catch (error) {
    throw new OperationError('usage', 'a message of the join protocol is no JSON', { cause: error })
  }
}

function malformed(what: string): OperationError {
  return new OperationError('usage', `the ${what} of a join is malformed`)
}

function brand<T extends string>(text: string): T {
  return text as T
}
