// Which peers were seen as two live processes under one key, and for how long both stay refused.
import { type HostId } from '../base/ids.ts'

/** Both redial every 5 s at most, so a clone that lives on is seen at least twice in this time. */
export const CLONE_MEMORY_MS = 15_000
/** Boot ids remembered per host: a clone that restarts in a loop must not fill the memory. */
const MAX_BOOT_IDS = 16

export class Clones {
  /** Only hosts under suspicion; their boot ids, and when each was last seen. */
  readonly #seen = new Map<HostId, Map<string, number>>()

  /** Two of this host's processes live at this moment. */
  found(host: HostId, bootIds: readonly string[], now: number): void {
    const seen = this.#seen.get(host) ?? new Map<string, number>()
    for (const bootId of bootIds) seen.set(bootId, now)
    this.#seen.set(host, seen)
  }

  /** A process of this host shows itself. The boot ids it is refused for, its own first; undefined when there is no other. */
  judge(host: HostId, bootId: string, now: number): readonly string[] | undefined {
    const seen = this.#seen.get(host)
    if (seen === undefined) return undefined
    for (const [known, at] of seen) if (now - at >= CLONE_MEMORY_MS) seen.delete(known)
    if (seen.has(bootId) || seen.size < MAX_BOOT_IDS) seen.set(bootId, now)
    const others = [...seen.keys()].filter((known) => known !== bootId)
    if (others.length > 0) return [bootId, ...others]
    this.#seen.delete(host)
    return undefined
  }

  /** Removed from the mesh: nothing is remembered. */
  forget(host: HostId): void {
    this.#seen.delete(host)
  }
}
