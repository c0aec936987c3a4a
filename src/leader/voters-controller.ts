// Keeps the best voters, and a host in the lead: proposes what voters.ts decides, one change at a time.
import { present } from '../base/assert.ts'
import { hasCode } from '../base/errors.ts'
import { type MemberId } from '../base/ids.ts'
import { type ClusterStatus } from '../inventory/cluster.ts'
import { type Duty } from './controllers.ts'
import { seatsOf } from './seats.ts'
import { planVoters, type VotersPlan } from './voters.ts'

/** While a transfer is tried (half a second) nothing can be proposed: one that fails is not tried again at once. */
const TRANSFER_AGAIN_MS = 10_000

export function votersController(): { readonly name: string; run(duty: Duty, signal: AbortSignal): Promise<void> } {
  const inactiveSince = new Map<MemberId, number>()
  let transferAfter = -Infinity
  return {
    name: 'voters',
    async run(duty, signal) {
      const { cluster, clock, self } = duty
      const status = cluster.status()
      const nowMs = clock.now()
      noteInactive(inactiveSince, status, nowMs)
      // The one before has to be over: its quorum is not the one that would be reckoned with.
      if (status.changing) return
      const seats = seatsOf({ inventory: cluster.view(), self, status, contacts: duty.contacts(), inactiveSince, nowMs })
      const plan = planVoters(seats)
      if (plan.kind === 'transfer' && nowMs < transferAfter) return
      transferAfter = plan.kind === 'transfer' ? nowMs + TRANSFER_AGAIN_MS : transferAfter
      await carryOut(duty, plan, status, signal)
    },
  }
}

async function carryOut(duty: Duty, plan: VotersPlan, { members }: ClusterStatus, signal: AbortSignal): Promise<void> {
  switch (plan.kind) {
    case 'stay':
      return
    case 'transfer': {
      const to = present(
        members.find(({ member }) => member === plan.to),
        'host of the heir',
      )
      return duty.handOver(to.host, plan.why, signal)
    }
    case 'change': {
      const { kind: _, ...change } = plan
      // Somebody else's change (a join) may be under way: the next look sees what it led to.
      return duty.propose({ kind: 'voters-change', ...change }, signal).catch((error: unknown) => {
        if (!hasCode(error, 'conflict')) throw error
      })
    }
  }
}

function noteInactive(inactiveSince: Map<MemberId, number>, { members }: ClusterStatus, nowMs: number): void {
  const inactive = new Set(members.filter(({ active }) => active !== true).map(({ member }) => member))
  for (const member of inactiveSince.keys()) if (!inactive.has(member)) inactiveSince.delete(member)
  for (const member of inactive) if (!inactiveSince.has(member)) inactiveSince.set(member, nowMs)
}
