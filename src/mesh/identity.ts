// Who this host is: an ed25519 key on disk, made once, for its owner's eyes only. The host id is the peer id of this key.
import { constants } from 'node:fs'
import { link, mkdir, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { type PrivateKey } from '@libp2p/interface'
import { errorText, OperationError } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Random } from '../base/random.ts'
import { fieldsOf } from './body.ts'
import { hostIdOfKey } from './host-id.ts'

export interface Identity {
  readonly hostId: HostId
  readonly privateKey: PrivateKey
}

const VERSION = 1
const SEED_BYTES = 32
const OWNER_ONLY = 0o600
const OTHERS = 0o077

/** The identity stored at `path`; made there, and synced to disk, if there is none yet. Throws `failed` when the file is damaged or readable by others. */
export async function loadIdentity(path: string, random: Random): Promise<Identity> {
  const existing = await read(path)
  if (existing !== undefined) return existing
  const seed = random.bytes(SEED_BYTES)
  await create(path, seed, await identityOf(seed))
  // Read back: another process may have been first, and then its key counts.
  const stored = await read(path)
  if (stored === undefined) throw new OperationError('failed', `the host key ${path} vanished while it was made`)
  return stored
}

/** The identity of these 32 bytes. */
export async function identityOf(seed: Uint8Array): Promise<Identity> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', seed)
  return { hostId: hostIdOfKey(privateKey), privateKey }
}

async function read(path: string): Promise<Identity | undefined> {
  let file
  try {
    // Not through a link: what it points to might belong to somebody else.
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw new OperationError('failed', `the host key ${path} cannot be read: ${errorText(error)}`, { cause: error })
  }
  try {
    const { mode } = await file.stat()
    if ((mode & OTHERS) !== 0) {
      const found = (mode & 0o777).toString(8)
      throw new OperationError('failed', `the host key ${path} has mode ${found}, others may read it: chmod 600 ${path}`)
    }
    return await parse(path, await file.readFile('utf8'))
  } finally {
    await file.close()
  }
}

/** The host id stands beside the seed: a damaged seed would be another host, without any error. */
async function parse(path: string, text: string): Promise<Identity> {
  const { version, hostId, seed } = fieldsOf(tolerantJson(text))
  if (version !== VERSION || typeof seed !== 'string') throw damaged(path, 'it is not a host key of version 1')
  const bytes = Buffer.from(seed, 'base64url')
  if (bytes.length !== SEED_BYTES) throw damaged(path, `its seed has ${bytes.length} bytes, ${SEED_BYTES} are needed`)
  const identity = await identityOf(bytes)
  if (identity.hostId !== hostId) throw damaged(path, `its seed is the key of ${identity.hostId}, it says ${String(hostId)}`)
  return identity
}

/** Whole or not at all, and durable: a host that came back with another key would be a stranger. */
async function create(path: string, seed: Uint8Array, { hostId }: Identity): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const fresh = `${path}.${hostId.slice(-8)}.new`
  const file = await open(fresh, 'wx', OWNER_ONLY)
  try {
    await file.writeFile(`${JSON.stringify({ version: VERSION, hostId, seed: Buffer.from(seed).toString('base64url') })}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await link(fresh, path)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
  } finally {
    await unlink(fresh)
  }
  const directory = await open(folder, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function damaged(path: string, why: string): OperationError {
  return new OperationError('failed', `the host key ${path} is damaged: ${why}; restore it from a backup, or remove it and join anew`)
}

function tolerantJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
