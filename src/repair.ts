// What an agent does when the stores of its member are damaged: it rests, says so, and lets itself in again as another member, a learner.
import { type AgentPorts } from './agent-ports.ts'
import { errorText, hasCode } from './base/errors.ts'
import { startLoop } from './base/loop.ts'
import { type MemberIdentity } from './cluster/member.ts'
import { type Lifecycle } from './lifecycle.ts'
import { goOver } from './recovery.ts'

/** A damaged member is found at its start, or by the word of another: neither is a matter of milliseconds. Nor is the return of a quorum. */
const LOOK_MS = 1_000

/**
 * Guests, links and API stay up throughout; only the member is another one afterwards. The damaged stores are set aside, for whoever wants to
 * look into them. Until a leader has let the host in again, it is tried over and over.
 */
export function startRepair(ports: AgentPorts, lifecycle: Lifecycle): { stop(): Promise<void> } {
  const loop = startLoop({
    clock: ports.clock,
    everyMs: LOOK_MS,
    onError: (error) => ports.log.warn({ error: errorText(error) }, 'the damaged member of this host was not replaced yet'),
    async run(signal) {
      await rememberHosts(lifecycle)
      await repair(ports, lifecycle, signal)
    },
  })
  return { stop: () => loop.stop() }
}

/** Whom to ask must not stand in the stores alone that may be damaged one day. */
async function rememberHosts(lifecycle: Lifecycle): Promise<void> {
  const hosts = lifecycle.session?.member.machine.inventory().hosts
  if (hosts === undefined || hosts.size === 0) return
  const introduced = [...hosts.values()].map(({ id, member, addresses }) => ({ id, member, addresses }))
  await lifecycle.remember((identity) => (sameHosts(identity.introduced, introduced) ? identity : { ...identity, introduced }))
}

type Introduced = MemberIdentity['introduced']

function sameHosts(a: Introduced, b: Introduced): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

async function repair(ports: AgentPorts, lifecycle: Lifecycle, signal: AbortSignal): Promise<void> {
  const { log, mesh } = ports
  const member = lifecycle.session?.member
  const health = member?.replica.health()
  if (member === undefined || health?.kind !== 'damaged') return
  // Others may forget what this member had acknowledged: it must not vote again after a restart, however whole its stores look.
  await lifecycle.remember((identity) => (identity.damaged === undefined ? { ...identity, damaged: health.why } : identity))
  for (const { host } of mesh.peers().filter(({ link }) => link === 'up')) {
    try {
      await goOver(ports, lifecycle, host, signal)
      return
    } catch (error) {
      signal.throwIfAborted()
      if (lifecycle.session?.member !== member || !hasCode(error, 'unreachable', 'no-quorum', 'timeout', 'conflict')) throw error
      log.info({ host, error: errorText(error) }, 'this host needs repair, and was not let in again yet')
    }
  }
}
