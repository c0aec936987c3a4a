// The route that hands leadership to another host: no entry of the log decides who leads, so it is no write like the others.
import { abortable, deadline } from '../base/deadline.ts'
import { hasCode } from '../base/errors.ts'
import { type HostId } from '../base/ids.ts'
import { type Inventory } from '../inventory/inventory.ts'
import { hostName } from '../inventory/view.ts'
import { type ApiContext } from './context.ts'
import { readForWrite } from './freshness.ts'
import { type StreamHandlers } from './handler.ts'
import { findHost } from './resolve.ts'
import { stepStream } from './step-stream.ts'

/** The hand-over itself is given up after an election time-out, half a second; the rest is for a leader that is busy. */
const HAND_OVER_MS = 10_000
/** The leader hears of its successor before this host does, by a heartbeat or two. */
const HEARD_MS = 2_000

export const leaderRoutes: Pick<StreamHandlers, 'leaderTransfer'> = {
  leaderTransfer({ context, body, signal }) {
    const { clock, cluster, self } = context
    const { host, dryRun = false, reason = null } = body
    return stepStream({ clock, signal }, async (tell) => {
      const inventory = await readForWrite(context, signal)
      const to = findHost(inventory, host)
      const plan = planOf(inventory, cluster.status().leader, to.name)
      const started = clock.now()
      const limit = deadline(clock, HAND_OVER_MS, `to hand leadership to ${to.name}`, signal)
      try {
        tell(plan[0])
        await cluster.handOver({ to: to.id, why: 'a person asked for it', actor: `admin@${self.name()}`, reason, dryRun }, limit.signal)
        if (!dryRun) await heard(context, to.id, limit.signal)
      } finally {
        limit.done()
      }
      const leader = dryRun ? cluster.status().leader : to.id
      return {
        kind: 'done' as const,
        dryRun,
        plan: [...plan],
        leader: leader === null ? null : { id: leader, name: hostName(inventory, leader) },
        term: cluster.status().term,
        tookMs: Math.round(clock.now() - started),
      }
    })
  },
}

function planOf(inventory: Inventory, leader: HostId | null, to: string): readonly [string, ...string[]] {
  const from = leader === null ? 'the leader' : hostName(inventory, leader)
  return [`${from} stops taking proposals and completes the log of ${to}`, `${to} calls an election at once and leads`]
}

/** Whoever asks this host next should be told of the new leader; that it leads is known already. */
async function heard({ clock, cluster }: ApiContext, to: HostId, signal: AbortSignal): Promise<void> {
  const limit = deadline(clock, HEARD_MS, 'hearing of the new leader', signal)
  const { promise, resolve } = Promise.withResolvers<void>()
  const off = cluster.onMembers(() => {
    if (cluster.status().leader === to) resolve()
  })
  try {
    if (cluster.status().leader !== to) await abortable(promise, limit.signal)
  } catch (error) {
    if (signal.aborted || !hasCode(error, 'timeout')) throw error
  } finally {
    off()
    limit.done()
  }
}
