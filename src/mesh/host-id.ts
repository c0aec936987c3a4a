// Host ids are libp2p peer ids of ed25519 keys: the key itself in base58 text.
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { type PeerId, type PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { errorText, OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'

/** From 32 bytes of a public key. */
export function hostIdOf(publicKey: Uint8Array): HostId {
  return hostIdOfPeer(peerIdFromPublicKey(publicKeyFromRaw(publicKey)))
}

export function hostIdOfKey(key: PrivateKey): HostId {
  return hostIdOfPeer(peerIdFromPrivateKey(key))
}

export function hostIdOfPeer(peer: PeerId): HostId {
  return peer.toString() as HostId
}

/** Throws `usage` on text that is no host id. */
export function peerIdOf(host: string): PeerId {
  try {
    const peer = peerIdFromString(host)
    if (peer.type === 'Ed25519') return peer
  } catch (error) {
    throw new OperationError('usage', `"${host}" is no host id: ${errorText(error)}`, { cause: error })
  }
  throw new OperationError('usage', `"${host}" is no host id: its key is not ed25519`)
}

/** The 32 bytes behind a host id. */
export function publicKeyOf(host: HostId): Uint8Array {
  const { publicKey } = peerIdOf(host)
  if (publicKey === undefined) throw new OperationError('usage', `"${host}" carries no key`)
  return publicKey.raw
}
