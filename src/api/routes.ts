// Every handler under its name in the contract: the compiler misses none.
import { type Handlers } from './handler.ts'
import { backupStreams, restoreRoutes } from './routes-backup.ts'
import { configReads, configWrites } from './routes-config.ts'
import { hostReads, hostWrites } from './routes-host.ts'
import { jobReads, jobWrites } from './routes-job.ts'
import { leaderRoutes } from './routes-leader.ts'
import { localRoutes, meshReads, streamRoutes } from './routes-mesh.ts'
import { powerWrites } from './routes-power.ts'
import { recoveryRoutes } from './routes-recovery.ts'
import { storageReads, storageWrites } from './routes-storage.ts'
import { vmReads, vmWrites } from './routes-vm.ts'

export const HANDLERS: Handlers = {
  read: { ...meshReads, ...hostReads, ...vmReads, ...storageReads, ...jobReads, ...configReads },
  write: { ...hostWrites, ...vmWrites, ...powerWrites, ...storageWrites, ...jobWrites, ...configWrites },
  local: { ...localRoutes, ...recoveryRoutes, ...restoreRoutes },
  stream: { ...streamRoutes, ...leaderRoutes, ...backupStreams },
}
