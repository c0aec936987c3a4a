// Files are whole or not there, and closed to others.
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { errnoOf, makePrivateDirectory, readTail, readTextIfExists, syncDirectory, writeAtomic } from '../../src/system/files.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

const mode = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

describe('an atomic write', () => {
  it('replaces the content as a whole, and leaves nothing beside it', async () => {
    const directory = await temporaryDirectory()
    const path = join(directory, 'state')
    await writeAtomic(path, 'one, and longer')
    await writeAtomic(path, 'two')
    expect(await readFile(path, 'utf8')).toBe('two')
    expect(await readdir(directory)).toEqual(['state'])
    expect(await mode(path)).toBe(0o600)
  })

  it('closes a file that was open to others', async () => {
    const path = join(await temporaryDirectory(), 'key')
    await writeFile(path, 'old', { mode: 0o644 })
    await writeAtomic(path, new Uint8Array([1, 2]))
    expect(await readFile(path)).toEqual(Buffer.from([1, 2]))
    expect(await mode(path)).toBe(0o600)
  })

  it('goes over what an attempt before a crash left, without trusting it', async () => {
    const path = join(await temporaryDirectory(), 'state')
    await writeFile(`${path}.new`, 'half of someth', { mode: 0o666 })
    await writeAtomic(path, 'whole')
    expect(await readFile(path, 'utf8')).toBe('whole')
    expect(await mode(path)).toBe(0o600)
  })

  it('that fails leaves the old content', async () => {
    const path = join(await temporaryDirectory(), 'state')
    await writeAtomic(path, 'old')
    await mkdir(join(`${path}.new`, 'in-the-way'), { recursive: true })
    await expect(writeAtomic(path, 'new')).rejects.toThrow(/\.new/)
    expect(await readFile(path, 'utf8')).toBe('old')
  })
})

describe('a private directory', () => {
  it('is made with its parents, and closed also where it was open', async () => {
    const directory = join(await temporaryDirectory(), 'a', 'b')
    await makePrivateDirectory(directory)
    expect(await mode(directory)).toBe(0o700)
    const open = join(directory, 'open')
    await mkdir(open, { mode: 0o755 })
    await makePrivateDirectory(open)
    expect(await mode(open)).toBe(0o700)
  })

  it('can be synced; one that is not there cannot', async () => {
    const directory = await temporaryDirectory()
    await syncDirectory(directory)
    await expect(syncDirectory(join(directory, 'missing'))).rejects.toThrow(/ENOENT/)
  })
})

describe('reading', () => {
  it('tells a missing file from one that cannot be read', async () => {
    const directory = await temporaryDirectory()
    expect(await readTextIfExists(join(directory, 'missing'))).toBeUndefined()
    await expect(readTextIfExists(directory)).rejects.toThrow(/EISDIR/)
    await expect(readTail(directory, 1)).rejects.toThrow(/EISDIR/)
  })

  it('gives the end of a file, all of a short one, and nothing of a missing one', async () => {
    const path = join(await temporaryDirectory(), 'log')
    const text = async (bytes: number): Promise<string> => new TextDecoder().decode(await readTail(path, bytes))
    expect(await text(5)).toBe('')
    await writeFile(path, 'one two')
    expect([await text(0), await text(3), await text(7), await text(100)]).toEqual(['', 'two', 'one two', 'one two'])
  })

  it('names the error of the system, and no other', () => {
    expect(errnoOf(Object.assign(new Error('x'), { code: 'ENOENT' }))).toBe('ENOENT')
    expect(errnoOf(Object.assign(new Error('x'), { code: 7 }))).toBeUndefined()
    expect(errnoOf(new Error('x'))).toBeUndefined()
    expect(errnoOf('ENOENT')).toBeUndefined()
  })
})
