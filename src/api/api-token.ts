// The secret of the TCP listener: made once per data directory, readable by the agent's user only.
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { OperationError } from '../base/errors.ts'
import { type Random } from '../base/random.ts'

/** 256 bits: nobody guesses it, whatever the rate. */
const TOKEN_BYTES = 32

/** The token in DATA_DIR/api-token, made when it is missing. */
export async function loadApiToken(dataDir: string, random: Random): Promise<string> {
  const path = join(dataDir, 'api-token')
  const made = Buffer.from(random.bytes(TOKEN_BYTES)).toString('base64url')
  try {
    await writeFile(path, `${made}\n`, { mode: 0o600, flag: 'wx' })
    return made
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  await chmod(path, 0o600)
  const kept = (await readFile(path, 'utf8')).trim()
  if (/^[\w-]{20,}$/.test(kept)) return kept
  throw new OperationError('failed', `${path} holds no token of at least 20 characters`, {
    reasons: [{ code: 'api-token', message: 'it was damaged or changed by hand', fix: `rm ${path}, and start the agent again` }],
  })
}
