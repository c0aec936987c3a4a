// The address at which each peer last answered, kept on disk: a hint for the first dial after a start, never more.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Clock } from '../base/clock.ts'
import { errorText } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'

export interface KnownAddresses {
  of(host: HostId): string | undefined
  good(host: HostId, address: string): void
  /** Writes what is not written yet. */
  stop(): Promise<void>
}

/** Members of a mesh, with room; the file cannot grow beyond. */
const MAX_HOSTS = 1024
/** Many links come up together after a start: one write for all of them. */
const WRITE_AFTER_MS = 1000

/** For the simulator, and wherever nothing is to be written. */
export function rememberedAddresses(): KnownAddresses {
  const addresses = new Map<HostId, string>()
  return { of: (host) => addresses.get(host), good: (host, address) => void addresses.set(host, address), stop: async () => {} }
}

/** A file that is missing or damaged counts as empty; one that cannot be written is a warning in the log. */
export async function storedAddresses(path: string, clock: Clock, log: Log): Promise<KnownAddresses> {
  const addresses = await load(path)
  let writing: Promise<void> = Promise.resolve()
  let timer: { cancel(): void } | undefined
  const write = (): Promise<void> => {
    timer = undefined
    writing = writing
      .then(() => save(path, addresses))
      .catch((error: unknown) => log.warn({ path, error: errorText(error) }, 'last good addresses not saved'))
    return writing
  }
  return {
    of: (host) => addresses.get(host),
    good(host, address) {
      if (addresses.get(host) === address) return
      // Deleted first, so that the order is by time and the oldest entry goes.
      addresses.delete(host)
      addresses.set(host, address)
      for (const oldest of addresses.keys()) {
        if (addresses.size <= MAX_HOSTS) break
        addresses.delete(oldest)
      }
      timer ??= clock.after(WRITE_AFTER_MS, () => void write())
    },
    async stop() {
      if (timer === undefined) return writing
      timer.cancel()
      await write()
    },
  }
}

async function load(path: string): Promise<Map<HostId, string>> {
  try {
    const stored: unknown = JSON.parse(await readFile(path, 'utf8'))
    const entries = typeof stored === 'object' && stored !== null ? Object.entries(stored) : []
    return new Map(entries.flatMap(([host, address]) => (typeof address === 'string' ? [[host as HostId, address] as const] : [])))
  } catch {
    return new Map()
  }
}

/** No sync: after a power cut an old file, or none, costs a dial that takes a little longer. */
async function save(path: string, addresses: ReadonlyMap<HostId, string>): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const fresh = `${path}.new`
  await writeFile(fresh, `${JSON.stringify(Object.fromEntries(addresses), null, 1)}\n`)
  await rename(fresh, path)
}
