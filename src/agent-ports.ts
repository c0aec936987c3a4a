// Everything that an agent needs of the world: daemon.ts gives it the real one, the simulator one of its own.
import { type Clock } from './base/clock.ts'
import { type Log } from './base/log.ts'
import { type Random } from './base/random.ts'
import { type MemberPorts, type MemberStore } from './cluster/member.ts'
import { type DiskFiles } from './host/carry-out.ts'
import { type HostMeter } from './host/report-load.ts'
import { type Datastore, type HostFacts } from './inventory/model.ts'
import { type Mesh } from './mesh/mesh.ts'
import { type Driver } from './vm/driver.ts'

export interface AgentPorts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly mesh: Mesh
  readonly driver: Driver
  readonly files: DiskFiles & { check(datastore: Datastore): Promise<void> }
  readonly meter: HostMeter
  readonly store: MemberStore
  /** Room on the disk that `store` writes to. */
  readonly freeMiB: () => Promise<number>
  readonly facts: HostFacts
  readonly bootId: string
  /** The machine's own name: becomes the host's when it founds or joins a mesh. */
  readonly hostName: string
  /** The member cannot go on: the process has to end; guests live on. */
  readonly onFatal: (error: unknown) => void
  readonly raftLimits?: MemberPorts['raftLimits']
}
