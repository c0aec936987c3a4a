// The open job of an object, found without a walk through all jobs: an index derived once per jobs table.
import { type JobId } from '../base/ids.ts'
import { type Inventory } from './inventory.ts'
import { type Job } from './model.ts'

const indexes = new WeakMap<ReadonlyMap<JobId, Job>, ReadonlyMap<string, Job>>()

/** The one job of this VM or disk that has not ended, or null; of one kind only where `kind` is given. */
export function openJob(inventory: Inventory, object: string, kind?: Job['kind']): Job | null {
  let index = indexes.get(inventory.jobs)
  if (index === undefined) {
    index = new Map([...inventory.jobs.values()].filter((job) => job.endedAt === null).map((job) => [job.object.id, job]))
    indexes.set(inventory.jobs, index)
  }
  const job = index.get(object)
  return job === undefined || (kind !== undefined && job.kind !== kind) ? null : job
}
