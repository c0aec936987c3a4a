// A leader dies: how, and how long it takes until a write through one of the others is done.
import { callOnce } from '../../src/api/client-retry.ts'
import { realClock } from '../../src/base/clock.ts'
import { realRandom } from '../../src/base/random.ts'
import { type FailoverPhases, phasesOf } from './failover-phases.ts'
import { leadership, wholeMesh } from './look.ts'
import { type MeshHost } from './mesh-lab.ts'

export type Death =
  /** kill -9 of the agent: the kernel closes its connections, peers hear of it at once. */
  | 'killed'
  /** The cable is pulled, then every process ends: peers hear nothing. */
  | 'power cut'
  /** SIGSTOP of the agent: its connections stay, nobody answers on them. */
  | 'stopped'

export interface Failover {
  readonly died: MeshHost
  readonly through: MeshHost
  /** From the moment of the death until the write was done. */
  readonly writtenAfterMs: number
  /** Undefined where the logs do not tell. */
  readonly phases: FailoverPhases | undefined
}

/** A write that never ends is a broken mesh. */
const WRITE_LIMIT_MS = 60_000

/** The leader dies, and at the same moment somebody writes through the next host. */
export async function leaderDies(hosts: readonly MeshHost[], death: Death): Promise<Failover> {
  const { leader, others } = await leadership(hosts)
  const [through] = others
  if (through === undefined) throw new Error('a mesh of one host has no fail-over')
  // The pulling itself counts: what is measured is never less than what the mesh took.
  const diedAt = Date.now()
  const from = performance.now()
  if (death === 'power cut') await leader.host.cut()
  const gone = end(leader, death)
  await write(through, `after ${leader.name} was gone`, valueOf(from))
  const writtenAfterMs = performance.now() - from
  const phases = phasesOf(others, { diedAt, writtenAt: diedAt + writtenAfterMs })
  await gone
  return { died: leader, through, writtenAfterMs, phases }
}

function end(leader: MeshHost, death: Death): Promise<void> {
  switch (death) {
    case 'killed':
      return leader.killAgent()
    case 'power cut':
      return leader.host.crash()
    case 'stopped':
      return leader.agent.signal('SIGSTOP')
  }
}

/** Its agent, with its host where that has no power, comes back; returns when all hosts see each other. */
export async function comesBack({ died }: Failover, hosts: readonly MeshHost[], death: Death): Promise<void> {
  if (death === 'killed') await died.startAgent({ boot: false })
  else if (death === 'power cut') await died.powerOn()
  else await died.agent.signal('SIGCONT')
  for (const host of hosts) await wholeMesh(host)
}

/** A setting that nothing here depends on, and `reason` in its event. Asked for again under the same key while its outcome is unknown. */
export async function write({ api }: MeshHost, reason: string, value: number): Promise<void> {
  const input = { params: { key: 'placement.memory-reserve-mib' }, query: { reason }, body: { value } }
  const options = { clock: realClock, random: realRandom, signal: AbortSignal.timeout(WRITE_LIMIT_MS) }
  await callOnce(api, 'configSet', input, options)
}

/** Another one each time: a setting that is so already is no change. */
function valueOf(ms: number): number {
  return 512 + (Math.round(ms) % 100_000)
}
