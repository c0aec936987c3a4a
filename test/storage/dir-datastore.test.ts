// Disks are made whole, once, and never over one another; files of a datastore never lead out of it.
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { realClock } from '../../src/base/clock.ts'
import { type DatastoreId, type DiskId } from '../../src/base/ids.ts'
import { realRandom } from '../../src/base/random.ts'
import { type Datastore, type Disk, type DiskFormat } from '../../src/inventory/model.ts'
import { dirDatastores, type DirDatastores } from '../../src/storage/dir-datastore.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'

const MIB = 1024 * 1024
const never = new AbortController().signal

interface World {
  readonly files: DirDatastores
  readonly datastore: Datastore
  readonly folder: string
}

async function world(): Promise<World> {
  const path = await temporaryDirectory()
  const datastore: Datastore = { id: 'ds' as DatastoreId, name: 'fast', kind: 'dir', path, addedAt: 0 }
  return { files: dirDatastores({ clock: realClock, random: realRandom }), datastore, folder: join(path, 'hostmesh', 'disks') }
}

function disk(changes: Partial<Disk> = {}): Disk {
  return {
    id: 'aaaaaaaaaaaaaaaa' as DiskId,
    name: 'web-root',
    datastore: 'ds' as DatastoreId,
    format: 'qcow2',
    sizeBytes: 8 * MIB,
    state: { kind: 'ready' },
    vm: null,
    ...changes,
  }
}

describe('a disk', () => {
  it('lies in the datastore, named for people and by its id', async () => {
    const { files, datastore } = await world()
    expect(files.disk(datastore, disk())).toBe(`${datastore.path}/hostmesh/disks/web-root-aaaaaaaaaaaaaaaa.qcow2`)
    expect(files.disk(datastore, disk({ format: 'raw' }))).toBe(`${datastore.path}/hostmesh/disks/web-root-aaaaaaaaaaaaaaaa.raw`)
  })

  it.each<DiskFormat>(['qcow2', 'raw'])('of format %s is made with its size, sparse, and nothing beside it', async (format) => {
    const { files, datastore, folder } = await world()
    const wanted = disk({ format, sizeBytes: 64 * MIB })
    await files.create(datastore, wanted, never)
    expect(await files.inspect(datastore, wanted, never)).toEqual({
      sizeBytes: 64 * MIB,
      allocatedBytes: expect.any(Number),
      format,
    })
    expect((await files.inspect(datastore, wanted, never)).allocatedBytes).toBeLessThan(MIB)
    expect(await readdir(folder)).toEqual([`web-root-aaaaaaaaaaaaaaaa.${format}`])
  })

  it('made twice is made once: what is in it stays', async () => {
    const { files, datastore } = await world()
    const wanted = disk({ format: 'raw', sizeBytes: MIB })
    await files.create(datastore, wanted, never)
    const content = Buffer.alloc(MIB, 'x')
    await writeFile(files.disk(datastore, wanted), content)
    await files.create(datastore, wanted, never)
    expect(await readFile(files.disk(datastore, wanted))).toEqual(content)
  })

  it('made by two hosts at the same time is one disk', async () => {
    const { files, datastore, folder } = await world()
    const made = await Promise.allSettled([1, 2, 3].map(() => files.create(datastore, disk(), never)))
    expect(made.some(({ status }) => status === 'fulfilled')).toBe(true)
    // One whose scratch file was swept by another says so; asked again it is content.
    await files.create(datastore, disk(), never)
    expect(await readdir(folder)).toEqual(['web-root-aaaaaaaaaaaaaaaa.qcow2'])
  })

  it('goes over what a crash left, and leaves what belongs to others', async () => {
    const { files, datastore, folder } = await world()
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, '.new-aaaaaaaaaaaaaaaa-0000'), 'half of an image')
    await writeFile(join(folder, '.new-bbbbbbbbbbbbbbbb-0000'), "another disk's")
    await files.create(datastore, disk(), never)
    expect((await readdir(folder)).toSorted()).toEqual(['.new-bbbbbbbbbbbbbbbb-0000', 'web-root-aaaaaaaaaaaaaaaa.qcow2'])
  })

  it('of another size under its own name is damage, and stays as it is', async () => {
    const { files, datastore } = await world()
    await files.create(datastore, disk({ sizeBytes: 4 * MIB }), never)
    await expect(files.create(datastore, disk({ sizeBytes: 8 * MIB }), never)).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringMatching(/4194304 bytes.*must have 8388608/),
    })
    expect((await files.inspect(datastore, disk(), never)).sizeBytes).toBe(4 * MIB)
  })

  it('that cannot be made leaves nothing', async () => {
    const { files, datastore, folder } = await world()
    await expect(files.create(datastore, disk({ sizeBytes: -1 }), never)).rejects.toMatchObject({ code: 'failed' })
    expect(await readdir(folder)).toEqual([])
    const caller = new AbortController()
    caller.abort(new Error('cancelled'))
    await expect(files.create(datastore, disk(), caller.signal)).rejects.toThrow('cancelled')
    expect(await readdir(folder)).toEqual([])
  })

  it.each<DiskFormat>(['qcow2', 'raw'])('of format %s grows, once however often it is asked for, and never shrinks', async (format) => {
    const { files, datastore } = await world()
    const wanted = disk({ format })
    await files.create(datastore, wanted, never)
    await files.resize(datastore, wanted, 16 * MIB, never)
    await files.resize(datastore, wanted, 16 * MIB, never)
    expect((await files.inspect(datastore, wanted, never)).sizeBytes).toBe(16 * MIB)
    await expect(files.resize(datastore, wanted, 8 * MIB, never)).rejects.toMatchObject({ code: 'failed' })
    expect((await files.inspect(datastore, wanted, never)).sizeBytes).toBe(16 * MIB)
  })

  it('is removed with all its traces, and may be removed again', async () => {
    const { files, datastore, folder } = await world()
    await files.remove(datastore, disk(), never)
    await files.create(datastore, disk(), never)
    await files.create(datastore, disk({ id: 'bbbbbbbbbbbbbbbb' as DiskId }), never)
    await writeFile(join(folder, '.new-aaaaaaaaaaaaaaaa-0000'), 'half of an image')
    await files.remove(datastore, disk(), never)
    await files.remove(datastore, disk(), never)
    expect(await readdir(folder)).toEqual(['web-root-bbbbbbbbbbbbbbbb.qcow2'])
  })

  it('is not taken for removed where the datastore is not there', async () => {
    const { files, datastore } = await world()
    await rm(datastore.path, { recursive: true })
    await expect(files.remove(datastore, disk(), never)).rejects.toMatchObject({ code: 'refused' })
  })
})

describe('a file of a datastore', () => {
  const withFile = async (): Promise<World> => {
    const made = await world()
    await mkdir(join(made.datastore.path, 'iso'))
    await writeFile(join(made.datastore.path, 'iso', 'debian.iso'), 'x')
    return made
  }

  it('is found, also through a link that stays inside', async () => {
    const { files, datastore } = await withFile()
    const path = join(datastore.path, 'iso', 'debian.iso')
    await symlink(path, join(datastore.path, 'newest.iso'))
    expect(await files.file(datastore, 'iso/debian.iso')).toBe(path)
    expect(await files.file(datastore, 'newest.iso')).toBe(path)
  })

  it.each(['../secret', 'iso/../../secret', '..', 'iso/..'])('is refused where its path leads out: %s', async (path) => {
    const { files, datastore } = await withFile()
    await expect(files.file(datastore, path)).rejects.toMatchObject({ code: 'refused', reasons: [{ code: 'outside-datastore' }] })
  })

  it('is refused where a link leads out, by the file or by a folder on its way', async () => {
    const { files, datastore } = await withFile()
    const outside = await temporaryDirectory()
    await writeFile(join(outside, 'shadow'), 'secret')
    await symlink(join(outside, 'shadow'), join(datastore.path, 'innocent.iso'))
    await symlink(outside, join(datastore.path, 'folder'))
    for (const path of ['innocent.iso', 'folder/shadow']) {
      await expect(files.file(datastore, path)).rejects.toMatchObject({ code: 'refused', reasons: [{ code: 'outside-datastore' }] })
    }
  })

  it('is not found inside a datastore whose name another begins with', async () => {
    const { files, datastore } = await withFile()
    const neighbour = `${datastore.path}-2`
    await mkdir(neighbour)
    await writeFile(join(neighbour, 'x.iso'), 'x')
    await symlink(join(neighbour, 'x.iso'), join(datastore.path, 'x.iso'))
    await expect(files.file(datastore, 'x.iso')).rejects.toMatchObject({ code: 'refused' })
    await rm(neighbour, { recursive: true })
  })

  it('that is missing is named, with the place where it has to be', async () => {
    const { files, datastore } = await withFile()
    await expect(files.file(datastore, 'iso/arch.iso')).rejects.toMatchObject({
      code: 'not-found',
      reasons: [{ code: 'file-missing', message: 'there is no file fast/iso/arch.iso', fix: `put it at ${datastore.path}/iso/arch.iso` }],
    })
  })

  it('is a file, not a folder', async () => {
    const { files, datastore } = await withFile()
    await expect(files.file(datastore, 'iso')).rejects.toMatchObject({ code: 'refused', reasons: [{ code: 'not-a-file' }] })
  })
})

describe('a datastore', () => {
  it('can be used where its path is a folder that may be written', async () => {
    const { files, datastore } = await world()
    await files.check(datastore)
    expect(await readdir(datastore.path)).toEqual([])
  })

  it('cannot be used where its path is missing or no folder, and says what mends it', async () => {
    const { files, datastore } = await world()
    const missing = { ...datastore, path: join(datastore.path, 'missing') }
    const expected = { code: 'refused', reasons: [{ code: 'datastore-unusable', fix: expect.stringContaining('mount it at') }] }
    await expect(files.check(missing)).rejects.toMatchObject(expected)
    await expect(files.create(missing, disk(), never)).rejects.toMatchObject(expected)
    await expect(stat(missing.path)).rejects.toThrow(/ENOENT/)
    await writeFile(join(datastore.path, 'file'), '')
    await expect(files.check({ ...datastore, path: join(datastore.path, 'file') })).rejects.toMatchObject(expected)
    await expect(files.file(missing, 'x.iso')).rejects.toMatchObject(expected)
  })
})
