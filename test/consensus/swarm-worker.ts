// A worker of the swarm: takes a batch of seeds, gives back a report of each.
import { parentPort } from 'node:worker_threads'
import { runSeed } from './simulated-run.ts'

export interface Batch {
  readonly first: number
  readonly count: number
}

parentPort?.on('message', ({ first, count }: Batch) => {
  parentPort?.postMessage(Array.from({ length: count }, (_, offset) => runSeed(first + offset)))
})
