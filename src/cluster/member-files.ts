// The durable side of a membership in the data directory: member.json, and two LevelDB directories for each member that this host is or was.
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { errorText, OperationError } from '../base/errors.ts'
import { type GenerationId, type HostId, type MemberId, type MeshId } from '../base/ids.ts'
import { openLevelLog } from '../consensus/level-log.ts'
import { openLevelState } from '../consensus/level-state.ts'
import { errnoOf, readTextIfExists, syncDirectory, writeAtomic } from '../system/files.ts'
import { type MemberIdentity, type MemberStore } from './member.ts'
import { type Removal, removalShape } from './removal.ts'

const FORMAT = 1

// Ids are opaque text and numbers here: whoever meets one that is nobody's says so.
const branded = <T extends string>() => v.custom<T>((value) => typeof value === 'string')
const memberId = v.custom<MemberId>((value) => typeof value === 'number' && Number.isSafeInteger(value))

const memberFile = v.object({
  format: v.literal(FORMAT),
  mesh: v.object({ id: branded<MeshId>(), name: v.string(), generation: v.number(), generationId: v.nullable(branded<GenerationId>()) }),
  member: memberId,
  introduced: v.array(v.object({ id: branded<HostId>(), member: memberId, addresses: v.array(v.string()) })),
  damaged: v.optional(v.string()),
})

export function memberFiles(dataDir: string): MemberStore {
  const file = join(dataDir, 'member.json')
  const stores = join(dataDir, 'raft')
  const aside = join(dataDir, 'damaged')
  const removalFile = join(dataDir, 'removed.json')
  const former = join(dataDir, 'removed')
  return {
    async load() {
      const text = await readTextIfExists(file)
      return text === undefined ? null : parseMemberFile(file, text)
    },
    async save(identity) {
      await writeAtomic(file, `${JSON.stringify({ format: FORMAT, ...identity })}\n`)
      await rm(removalFile, { force: true })
    },
    async retire(removal) {
      await writeAtomic(removalFile, `${JSON.stringify(removal)}\n`)
      // From here on this host is no member; what a crash leaves in its place is swept by the next init or join.
      await rm(file, { force: true })
      await syncDirectory(dataDir)
      await rm(former, { recursive: true, force: true })
      await rename(stores, former)
      await syncDirectory(dataDir)
    },
    async removal() {
      const text = await readTextIfExists(removalFile)
      return text === undefined ? null : parseRemovalFile(removalFile, text)
    },
    async setAside(member) {
      await rm(aside, { recursive: true, force: true })
      await mkdir(aside)
      const place = join(aside, String(member))
      await rename(join(stores, String(member)), place).catch((error: unknown) => {
        // Somebody removed them by hand: that may have been the damage.
        if (errnoOf(error) !== 'ENOENT') throw error
      })
      for (const directory of [aside, stores, dataDir]) await syncDirectory(directory)
      return place
    },
    async removeOthers(keep) {
      await mkdir(stores, { recursive: true })
      for (const name of await readdir(stores)) if (name !== String(keep)) await rm(join(stores, name), { recursive: true, force: true })
      await syncDirectory(stores)
    },
    async openStores(member) {
      const own = join(stores, String(member))
      await mkdir(own, { recursive: true })
      const logStore = await openLevelLog(join(own, 'log'))
      try {
        const stateStore = await openLevelState(join(own, 'inventory'))
        for (const directory of [own, stores, dataDir]) await syncDirectory(directory)
        return { logStore, stateStore }
      } catch (error) {
        await logStore.close()
        throw error
      }
    },
  }
}

function parseMemberFile(file: string, text: string): MemberIdentity {
  try {
    const { format: _, ...identity } = v.parse(memberFile, JSON.parse(text))
    return identity
  } catch (error) {
    throw new OperationError('failed', `${file} is damaged: ${errorText(error)}; join the mesh again with a new data directory`, {
      cause: error,
    })
  }
}

function parseRemovalFile(file: string, text: string): Removal {
  try {
    return v.parse(removalShape, JSON.parse(text))
  } catch (error) {
    throw new OperationError('failed', `${file} is damaged: ${errorText(error)}; it only says why this host left its mesh: remove it`, {
      cause: error,
    })
  }
}
