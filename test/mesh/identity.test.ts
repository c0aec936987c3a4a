// The host key on disk: made once, readable by its owner alone, and never silently another one.
import { chmod, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { realRandom, seededRandom } from '../../src/base/random.ts'
import { identityOf, loadIdentity } from '../../src/mesh/identity.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

const inNewDirectory = async (): Promise<string> => join(await temporaryDirectory(), 'state', 'identity.key')

describe('a host key', () => {
  it('is made at the first start, with mode 0600, and nothing else is left beside it', async () => {
    const path = await inNewDirectory()
    const { hostId } = await loadIdentity(path, realRandom)
    expect(hostId).toMatch(/^12D3KooW\w{44}$/)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(join(path, '..'))).toEqual(['identity.key'])
  })

  it('is the same at every later start', async () => {
    const path = await inNewDirectory()
    const first = await loadIdentity(path, realRandom)
    const second = await loadIdentity(path, realRandom)
    expect(second.hostId).toBe(first.hostId)
    expect(second.privateKey.equals(first.privateKey)).toBe(true)
  })

  it('is the key of its seed', async () => {
    const path = await inNewDirectory()
    const { hostId } = await loadIdentity(path, seededRandom(5))
    expect(hostId).toBe((await identityOf(seededRandom(5).bytes(32))).hostId)
  })

  it('is one and the same when several processes make it at once', async () => {
    const path = await inNewDirectory()
    const made = await Promise.all(Array.from({ length: 5 }, () => loadIdentity(path, realRandom)))
    expect(new Set(made.map(({ hostId }) => hostId)).size).toBe(1)
  })

  it.each([0o640, 0o604, 0o660, 0o644])('with mode %o is refused, with the command that mends it', async (mode) => {
    const path = await inNewDirectory()
    await loadIdentity(path, realRandom)
    await chmod(path, mode)
    await expect(loadIdentity(path, realRandom)).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringContaining(`chmod 600 ${path}`),
    })
  })

  it.each([
    ['empty', ''],
    ['no JSON', 'ssh-ed25519 AAAA'],
    ['of another version', '{"version":2,"hostId":"x","seed":"x"}'],
    ['without its seed', '{"version":1,"hostId":"x"}'],
    ['with half a seed', '{"version":1,"hostId":"x","seed":"AAAA"}'],
  ])('that is %s is refused, not replaced', async (_name, text) => {
    const path = await inNewDirectory()
    await loadIdentity(path, realRandom)
    await writeFile(path, text)
    await expect(loadIdentity(path, realRandom)).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining('damaged') })
    expect(await readFile(path, 'utf8')).toBe(text)
  })

  it('whose seed was flipped is refused: it would be another host', async () => {
    const path = await inNewDirectory()
    await loadIdentity(path, realRandom)
    const { hostId } = await identityOf(realRandom.bytes(32))
    await writeFile(path, (await readFile(path, 'utf8')).replace(/"hostId":"\w+"/, `"hostId":"${hostId}"`))
    await expect(loadIdentity(path, realRandom)).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining(hostId) })
  })

  it('is not read through a symbolic link', async () => {
    const path = await inNewDirectory()
    await loadIdentity(path, realRandom)
    await rename(path, `${path}.real`)
    await symlink(`${path}.real`, path)
    await expect(loadIdentity(path, realRandom)).rejects.toMatchObject({ code: 'failed', message: expect.stringContaining(path) })
  })
})
