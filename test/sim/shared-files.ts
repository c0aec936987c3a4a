// The shared file system of a simulated world: what datastores hold, seen by every host that has it mounted.
import { sleep, type Clock } from '../../src/base/clock.ts'
import { OperationError, refusal } from '../../src/base/errors.ts'
import { type Datastore, type Disk } from '../../src/inventory/model.ts'
import { type Files } from './through-clock.ts'

/** What one piece of file work takes; qemu-img on an idle disk. */
const WORK_MS = 30

export interface Mount {
  /** False: every use of a datastore fails on this host. */
  works: boolean
}

export class SharedFiles {
  /** Size in bytes by path. */
  readonly sizes = new Map<string, number>()
  readonly #clock: Clock

  /** `clock`: of the world. */
  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The view of one host. */
  through(mount: Mount): Files {
    const check = async (datastore: Datastore): Promise<void> => {
      if (mount.works) return
      throw refusal(`datastore ${datastore.name} cannot be used`, [{ code: 'not-mounted', message: `${datastore.path} is not mounted` }])
    }
    const work = async (datastore: Datastore, signal: AbortSignal): Promise<void> => {
      await check(datastore)
      await sleep(this.#clock, WORK_MS, signal)
      await check(datastore)
    }
    return {
      check,
      disk: pathOf,
      async file(datastore, path) {
        await check(datastore)
        return `${datastore.path}/${path}`
      },
      create: async (datastore, disk, signal) => {
        await work(datastore, signal)
        const found = this.sizes.get(pathOf(datastore, disk))
        if (found !== undefined && found !== disk.sizeBytes) {
          throw new OperationError('failed', `${pathOf(datastore, disk)} has ${found} bytes, disk ${disk.name} must have ${disk.sizeBytes}`)
        }
        this.sizes.set(pathOf(datastore, disk), disk.sizeBytes)
      },
      resize: async (datastore, disk, toBytes, signal) => {
        await work(datastore, signal)
        if (!this.sizes.has(pathOf(datastore, disk))) throw new OperationError('failed', `there is no ${pathOf(datastore, disk)}`)
        this.sizes.set(pathOf(datastore, disk), toBytes)
      },
      remove: async (datastore, disk, signal) => {
        await work(datastore, signal)
        this.sizes.delete(pathOf(datastore, disk))
      },
    }
  }
}

/** As storage/dir-datastore.ts names them. */
export function pathOf(datastore: Pick<Datastore, 'path'>, disk: Pick<Disk, 'name' | 'id' | 'format'>): string {
  return `${datastore.path}/hostmesh/disks/${disk.name}-${disk.id}.${disk.format}`
}
