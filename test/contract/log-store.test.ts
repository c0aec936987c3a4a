// The LogStore contract on the real store and on the fake.
import { openLevelLog } from '../../src/consensus/level-log.ts'
import { memoryLogDisk, openMemoryLog } from '../fixture/memory-log.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { logStoreContract } from './log-store.ts'

logStoreContract('LevelDB', async () => {
  const directory = await temporaryDirectory()
  return { open: () => openLevelLog(directory) }
})

logStoreContract('memory', async () => {
  const disk = memoryLogDisk()
  return { open: async () => openMemoryLog(disk) }
})
