// The StateStore contract on the real store and on the fake.
import { openLevelState } from '../../src/consensus/level-state.ts'
import { memoryStateDisk, openMemoryState } from '../fixture/memory-state.ts'
import { temporaryDirectory } from '../fixture/temporary-directory.ts'
import { stateSnapshotsContract } from './state-snapshots.ts'
import { stateStoreContract } from './state-store.ts'

for (const contract of [stateStoreContract, stateSnapshotsContract]) {
  contract('LevelDB', async () => {
    const directory = await temporaryDirectory()
    return { open: () => openLevelState(directory) }
  })

  contract('memory', async () => {
    const disk = memoryStateDisk()
    return { open: async () => openMemoryState(disk) }
  })
}
