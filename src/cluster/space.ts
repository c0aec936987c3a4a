// Whether there is room for more on the disk that holds the stores: a leader refuses wishes in time, before a full disk stops it.
import { type Clock } from '../base/clock.ts'
import { errorText, type OperationError, refusal } from '../base/errors.ts'
import { type Log } from '../base/log.ts'
import { startLoop } from '../base/loop.ts'
import { RESERVE_MIB } from '../inventory/load.ts'

/** At 100 MB/s of other people's writes the reserve lasts longer than this. */
const LOOK_MS = 1_000

export interface Space {
  /** Null: not known, so nothing is refused. */
  freeMiB(): number | null
}

export interface SpaceWatch extends Space {
  stop(): Promise<void>
}

export function watchSpace(options: { readonly clock: Clock; readonly log: Log; readonly measure: () => Promise<number> }): SpaceWatch {
  const { clock, log, measure } = options
  let free: number | null = null
  const loop = startLoop({
    clock,
    everyMs: LOOK_MS,
    onError(error) {
      free = null
      log.warn({ error: errorText(error) }, 'the free space of the data directory could not be measured')
    },
    async run() {
      const before = free
      free = await measure()
      const short = isShort(free)
      if (short !== isShort(before)) log.warn({ freeMiB: free, neededMiB: RESERVE_MIB }, short ? 'short of space' : 'there is space again')
    },
  })
  return { freeMiB: () => free, stop: () => loop.stop() }
}

export function isShort(freeMiB: number | null): boolean {
  return freeMiB !== null && freeMiB < RESERVE_MIB
}

/** Exit code 3. What hosts report, and what the leader decides, still goes in: it is little, and ownership hangs on it. */
export function shortOfSpace(host: string, freeMiB: number | null): OperationError {
  const message = `host ${host}, which leads, has ${freeMiB ?? 0} MiB free where it keeps the log of the mesh, ${RESERVE_MIB} MiB are needed`
  return refusal(
    'the leader is short of space',
    [{ code: 'disk-full', message, fix: `make room on the disk of the data directory of ${host}` }],
    { freeMiB, neededMiB: RESERVE_MIB },
  )
}
