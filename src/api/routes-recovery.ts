// Routes of a mesh that lost its quorum for good: the plan, carrying it out, and going over to where others went on.
import { type ApiContext, type RecoveryView } from './context.ts'
import { assertMember } from './freshness.ts'
import { type LocalHandlers } from './handler.ts'
import { findHost } from './resolve.ts'
import { type RecoveryPlanAnswer } from './types.ts'

export const recoveryRoutes: Pick<LocalHandlers, 'recoveryPlan' | 'recover' | 'rejoin'> = {
  async recoveryPlan({ context, signal }) {
    assertMember(context)
    return planAnswer(context, await context.recovery.plan(signal))
  },
  async recover({ context, body, signal }) {
    assertMember(context)
    return { ...(await context.recovery.confirm(body.digest, signal)) }
  },
  async rejoin({ context, body, signal }) {
    assertMember(context)
    const host = findHost(context.cluster.view(), body.host)
    return { ...(await context.recovery.rejoin(host.id, signal)) }
  },
}

function planAnswer({ self }: ApiContext, { mesh, plan, digest }: RecoveryView): RecoveryPlanAnswer {
  const chosen = plan.hosts.find(({ host }) => host === plan.chosen)
  return {
    mesh: { id: mesh.id, name: mesh.name },
    self: { id: self.id, name: self.name() },
    generation: { from: plan.from, to: plan.to },
    chosen: chosen === undefined ? null : { id: chosen.host, name: chosen.name },
    hosts: plan.hosts.map(({ host, name, part, voted, standing, why }) => ({ id: host, name, part, voted, log: logOf(standing), why })),
    kept: { ...plan.kept, unsure: plan.kept.lastIndex - plan.kept.commitIndex },
    mayLoseMore: plan.mayLoseMore,
    running: plan.running.map(({ host, vms }) => ({ host, vms: [...vms] })),
    reasons: plan.reasons.map((reason) => ({ ...reason })),
    digest,
  }
}

function logOf(standing: RecoveryView['plan']['hosts'][number]['standing']): RecoveryPlanAnswer['hosts'][number]['log'] {
  if (standing === null) return null
  const { lastTerm, lastIndex, commitIndex, appliedIndex } = standing
  return { lastTerm, lastIndex, commitIndex, appliedIndex }
}
