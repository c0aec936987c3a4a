// A process that runs one seed after the other, as swarm-workers.ts tells it: seed and lengths in, a report out.
import { runSeed, type SeedOptions } from './seed-run.ts'

// What the parent sends is its own SeedOptions, cloned.
process.on('message', (options: SeedOptions) => {
  void runSeed(options).then((report) => process.send?.(report))
})
process.on('disconnect', () => process.exit(0))
