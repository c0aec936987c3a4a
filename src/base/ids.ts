// Branded ids: a VM's id cannot be passed where a host's is wanted.

declare const brand: unique symbol
export type Branded<T, B extends string> = T & { readonly [brand]: B }

/** libp2p peer id of a host (base58 text of its ed25519 key). It stays when a data directory is wiped and the key kept. */
export type HostId = Branded<string, 'HostId'>
/** 16 characters, see newId. */
export type MeshId = Branded<string, 'MeshId'>
/** Of one generation of a mesh, see newId: two hosts that were recovered apart begin the same number, never the same id. */
export type GenerationId = Branded<string, 'GenerationId'>
export type VmId = Branded<string, 'VmId'>
export type DiskId = Branded<string, 'DiskId'>
export type DatastoreId = Branded<string, 'DatastoreId'>
export type JobId = Branded<string, 'JobId'>
export type TokenId = Branded<string, 'TokenId'>
/** Chosen by whoever asks; the same key with the same request is carried out once (10 minutes). */
export type RequestKey = Branded<string, 'RequestKey'>
/** Raft member id: random per data directory, never reused. A positive safe integer. */
export type MemberId = Branded<number, 'MemberId'>

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** 16 characters of Crockford base32 from 10 random bytes: short enough to type a prefix of, 80 bits against collisions. */
export function newId<T extends Branded<string, string>>(randomBytes: (length: number) => Uint8Array): T {
  let id = ''
  let bits = 0
  let held = 0
  for (const byte of randomBytes(10)) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      id += ALPHABET.charAt((held >> bits) & 31)
    }
    held &= (1 << bits) - 1
  }
  return id as T
}
