// Joiner's side of a join: finds an inviter of the token, answers its challenge, gets the leader's reply.
import { type Clock } from '../base/clock.ts'
import { within } from '../base/deadline.ts'
import { errorText, fromWireError, hasCode, OperationError } from '../base/errors.ts'
import { type HostId, type MeshId, type TokenId } from '../base/ids.ts'
import { type PeerAddress } from './address.ts'
import { FRAME } from './frame.ts'
import { FrameStream } from './frame-stream.ts'
import { encodeJson, JOIN_PROTOCOL, type JoinOffer, MAX_JOIN_FRAME_BYTES, NONCE_BYTES, parseJoinReply } from './join-messages.ts'
import { STRANGER_MS } from './join-gate.ts'
import { type RequestOptions } from './mesh.ts'
import { type JoinToken, signChallenge } from './token.ts'
import { type WireConnection } from './wire.ts'

const ADDRESS_MS = 3000

export interface JoinerOptions {
  readonly self: HostId
  readonly clock: Clock
  readonly dial: (host: HostId, address: string, signal: AbortSignal) => Promise<WireConnection>
}

/** What a joiner asks by: a token, or, where `tokenId` is null, nothing but its own key, as a host of the mesh. */
export interface JoinClaim {
  readonly meshId: MeshId
  readonly tokenId: TokenId | null
  readonly inviters: readonly PeerAddress[]
  /** The answer to an inviter's challenge; null where no secret is known. */
  readonly sign: (nonce: Uint8Array, parties: { readonly inviter: HostId; readonly joiner: HostId }) => Uint8Array | null
}

export function tokenClaim({ meshId, tokenId, inviters, seed }: JoinToken): JoinClaim {
  return { meshId, tokenId, inviters, sign: (nonce, parties) => signChallenge(seed, { meshId, tokenId, nonce, ...parties }) }
}

/** Asks one inviter after the other until the leader answered. See Mesh.join for the errors. */
export async function joinMesh(joiner: JoinerOptions, claim: JoinClaim, offer: JoinOffer, options: RequestOptions): Promise<unknown> {
  return within({ clock: joiner.clock, ms: options.deadlineMs, what: 'joining the mesh', signal: options.signal }, (signal) =>
    askInviters(joiner, claim, offer, signal),
  )
}

async function askInviters(joiner: JoinerOptions, claim: JoinClaim, offer: JoinOffer, signal: AbortSignal): Promise<unknown> {
  const failures: string[] = []
  for (const { host, addresses } of claim.inviters) {
    for (const address of addresses) {
      try {
        return await ask({ joiner, claim, offer, host, address }, signal)
      } catch (error) {
        signal.throwIfAborted()
        // The mesh said no: another inviter would say the same. All else may be that inviter's trouble alone.
        if (!hasCode(error, 'unreachable', 'timeout', 'no-quorum', 'failed')) throw error
        failures.push(`${address}: ${errorText(error)}`)
      }
    }
  }
  throw new OperationError('unreachable', `no inviter let this host in: ${failures.join('; ')}`, { data: { failures } })
}

interface Attempt {
  readonly joiner: JoinerOptions
  readonly claim: JoinClaim
  readonly offer: JoinOffer
  readonly host: HostId
  readonly address: string
}

async function ask({ joiner, claim, offer, host, address }: Attempt, signal: AbortSignal): Promise<unknown> {
  const { clock, self, dial } = joiner
  const connection = await within({ clock, ms: ADDRESS_MS, what: `dialling ${address}`, signal }, (limit) => dial(host, address, limit))
  try {
    const stream = new FrameStream(await connection.openStream('join', signal), {
      maxFrameBytes: MAX_JOIN_FRAME_BYTES,
      maxWaitingBytes: MAX_JOIN_FRAME_BYTES,
    })
    return await within({ clock, ms: STRANGER_MS, what: `the join through ${address}`, signal }, (limit) =>
      converse({ stream, self, claim, offer, host }, limit),
    )
  } finally {
    connection.close()
  }
}

interface Conversation {
  readonly stream: FrameStream
  readonly self: HostId
  readonly claim: JoinClaim
  readonly offer: JoinOffer
  readonly host: HostId
}

async function converse({ stream, self, claim, offer, host }: Conversation, signal: AbortSignal): Promise<unknown> {
  const { meshId, tokenId } = claim
  stream.send(FRAME.joinAsk, encodeJson({ protocol: JOIN_PROTOCOL, meshId, tokenId }), 'urgent')
  const nonce = await expect(stream, FRAME.joinNonce, signal)
  if (nonce.length !== NONCE_BYTES) throw new OperationError('failed', `the inviter's challenge has ${nonce.length} bytes`)
  const signature = claim.sign(nonce, { inviter: host, joiner: self })
  const proof = { ...offer, signature: signature === null ? null : Buffer.from(signature).toString('base64url') }
  stream.send(FRAME.joinProof, encodeJson(proof), 'normal')
  const reply = parseJoinReply(await expect(stream, FRAME.joinReply, signal))
  if (reply.kind === 'refused') throw fromWireError(reply.error)
  return reply.reply
}

/** A refusal may come at any step. */
async function expect(stream: FrameStream, type: number, signal: AbortSignal): Promise<Uint8Array> {
  const frame = await stream.next(signal)
  if (frame.type === type) return frame.payload
  if (frame.type !== FRAME.joinReply) throw new OperationError('failed', `the inviter sent frame ${frame.type} instead of ${type}`)
  const reply = parseJoinReply(frame.payload)
  if (reply.kind === 'refused') throw fromWireError(reply.error)
  throw new OperationError('failed', 'the inviter accepted before the challenge was answered')
}
