// Tells the mesh that this agent has started, and under which addresses it is reached now.
import { type Clock } from '../base/clock.ts'
import { errorText, OperationError } from '../base/errors.ts'
import { deadline } from '../base/deadline.ts'
import { startLoop } from '../base/loop.ts'
import { type HostId, type MemberId } from '../base/ids.ts'
import { type Log } from '../base/log.ts'
import { type Cluster } from '../inventory/cluster.ts'
import { type HostCommand } from '../inventory/command.ts'
import { type HostFacts } from '../inventory/model.ts'
import { type Mesh } from '../mesh/mesh.ts'

/** A host without quorum goes on trying at this pace; a hint (new addresses, a change of the inventory) comes first. */
const RETRY_MS = 1_000
const TRY_MS = 10_000

export interface AnnounceOptions {
  readonly self: HostId
  readonly actor: string
  readonly clock: Clock
  readonly log: Log
  readonly cluster: Cluster
  readonly mesh: Mesh
  readonly facts: HostFacts
  readonly bootId: string
  readonly member: MemberId
}

/** Goes on until the agent stops; every agent start is one incarnation in the inventory. */
export function startAnnouncing(options: AnnounceOptions): { stop(): Promise<void> } {
  const { self, clock, log, cluster, mesh } = options
  let started = false

  const pending = (): HostCommand | null => {
    const addresses = mesh.ownAddresses()
    if (!started) {
      const { facts, bootId, member } = options
      return { kind: 'agent-started', host: self, facts, addresses, bootId, member }
    }
    const known = cluster.view().hosts.get(self)?.addresses ?? []
    const same = known.length === addresses.length && addresses.every((address) => known.includes(address))
    return same || addresses.length === 0 ? null : { kind: 'host-addresses', host: self, addresses }
  }
  const loop = startLoop({
    clock,
    everyMs: RETRY_MS,
    onError: (error) => log.debug({ error: errorText(error) }, 'the mesh cannot be told about this agent yet'),
    run: async (stopping) => {
      const command = pending()
      if (command === null) return
      const limit = deadline(clock, TRY_MS, `telling the mesh: ${command.kind}`, stopping)
      try {
        const result = await cluster.propose(command, {
          signal: limit.signal,
          actor: options.actor,
        })
        if (result.kind !== 'done') throw new OperationError('refused', `${command.kind}: ${JSON.stringify(result)}`)
        if (command.kind === 'agent-started') started = true
      } finally {
        limit.done()
      }
    },
  })
  const off = mesh.onAddresses(() => loop.wake())
  return {
    async stop() {
      off()
      await loop.stop()
    },
  }
}
