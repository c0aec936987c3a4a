// Grows the quorum from one voter to three as hosts join, caught up and stable. Replaces none yet.
import { type HostId } from '../base/ids.ts'
import { type Duty } from './controllers.ts'
import { votersToPromote } from './voters.ts'

export function votersController(): { readonly name: string; run(duty: Duty, signal: AbortSignal): Promise<void> } {
  const upSince = new Map<HostId, number>()
  return {
    name: 'voters',
    async run(duty, signal) {
      const nowMs = duty.clock.now()
      const liveness = duty.liveness()
      for (const host of duty.cluster.view().hosts.keys()) {
        if (liveness.get(host) !== 'up') upSince.delete(host)
        else if (!upSince.has(host)) upSince.set(host, nowMs)
      }
      const { members, commitIndex } = duty.cluster.status()
      const promote = votersToPromote({ inventory: duty.cluster.view(), members, commitIndex, upSince, nowMs })
      if (promote !== null) await duty.propose({ kind: 'voters-change', promote, demote: [], remove: [] }, signal)
    },
  }
}
